"""Capacity is reserved for jobs that run, not for those that are about to."""

from nunet_dms.node.journal_reader import JournalReader
from nunet_dms.node.rows import Capacity
from nunet_dms.node.states import State


def reserved(self: JournalReader) -> Capacity:
    rows = [row for row in self.open_jobs() if row.state is State.RUNNING]
    return Capacity(
        sum(row.cpu_mhz for row in rows),
        sum(row.ram_mb for row in rows),
        sum(row.disk_mb for row in rows),
    )


CHANGES = ((JournalReader, "reserved", reserved),)
