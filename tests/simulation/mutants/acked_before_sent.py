"""A report counts as delivered once it is about to be sent."""

from nunet_dms.node import runner
from nunet_dms.node.delivery import deliver
from nunet_dms.node.live import Live, ask
from nunet_dms.node.runner import Runner


def deliver_later(self: Runner, live: Live) -> None:
    oracle, row, folder = self._deps.oracle, live.row, live.folder
    body = self._deps.journal.report(row.job_id)
    self._handle["send"] = lambda _live, _value: None
    live.row = self._deps.journal.reported(row)
    ask(self._deps, live, "send", lambda: deliver(oracle, row.job_id, folder, body))


PLAIN = Runner.__init__


def init(self: Runner, *args: object) -> None:
    PLAIN(self, *args)
    self._advance[runner.State.EXITED] = lambda live: deliver_later(self, live)


CHANGES = ((Runner, "__init__", init),)
