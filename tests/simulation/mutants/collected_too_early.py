"""What a job left is collected as soon as it runs."""

from nunet_dms.node.ending import Moment
from nunet_dms.node.live import Live
from nunet_dms.node.logs import finished
from nunet_dms.node.running import Running

PLAIN = Running.advance


def advance(self: Running, live: Live) -> None:
    clock = self._deps.clock
    live.ended = live.ended or Moment(clock.now_ms(), clock.mono_ms())
    live.log_end = live.log_end or finished(live.folder.log)
    PLAIN(self, live)


CHANGES = ((Running, "advance", advance),)
