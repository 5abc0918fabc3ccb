"""After a restart the log is read again from where its index says, and all of it is appended."""

from nunet_dms.node.logs import _Pump

PLAIN = _Pump.__init__


def init(self: _Pump, *args: object) -> None:
    PLAIN(self, *args)
    self._at = self._size


CHANGES = ((_Pump, "__init__", init),)
