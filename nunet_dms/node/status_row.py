"""The row that `nunet status` reads of a worker: written when it changed, and as a sign of life."""

from __future__ import annotations

import os
from dataclasses import dataclass

from nunet_dms import __version__
from nunet_dms.node.availability import Hold
from nunet_dms.node.clock import Clock
from nunet_dms.node.journal import Journal
from nunet_dms.node.rows import Capacity, WorkerRow

STATUS_EVERY_S = 15.0
"""Between two writes of an unchanged row."""


@dataclass(frozen=True, slots=True)
class Status:
    """What changes of it: states are `ok` or the reason why not."""

    ready: bool
    accepting: bool
    oracle_state: str
    engine_state: str
    note: str
    hold: Hold | None
    sold: Capacity


class StatusRow:
    """Writes it."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._started_s = int(clock.wall_s())
        self._shown: Status | None = None
        self._due_s = 0.0

    def hurry(self) -> None:
        """Write it at the next asking, changed or not."""
        self._due_s = 0.0

    def show(self, status: Status) -> None:
        """Write it if it changed or is due; raises JournalError when it cannot be written."""
        now_s = self._clock.monotonic_s()
        if status == self._shown and now_s < self._due_s:
            return
        hold, sold = status.hold, status.sold
        self._journal.write_worker(
            WorkerRow(
                pid=os.getpid(),
                version=__version__,
                started_s=self._started_s,
                ready=status.ready,
                accepting=status.accepting,
                oracle_state=status.oracle_state,
                engine_state=status.engine_state,
                note=status.note,
                heartbeat_s=int(self._clock.wall_s()),
                hold=hold.code.value if hold else "",
                hold_note=hold.note if hold else "",
                sold_cpu_mhz=sold.cpu_mhz,
                sold_ram_mb=sold.ram_mb,
            )
        )
        self._shown, self._due_s = status, now_s + STATUS_EVERY_S
