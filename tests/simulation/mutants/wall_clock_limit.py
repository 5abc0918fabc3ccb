"""A job's time is counted by the wall clock, which can be set."""

from nunet_dms.node.live import Live
from nunet_dms.node.running import Running


def started_s(self: Running, live: Live) -> float:
    clock = self._deps.clock
    ran_ms = clock.now_ms() - (live.row.started_ms or 0)
    return clock.monotonic_s() - ran_ms / 1000


CHANGES = ((Running, "_started_s", started_s),)
