"""What the journal tells to others than the worker: every reading of it, and nothing else.

Loads neither docker nor requests, so that `nunet status` stays fast.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from nunet_dms.errors import UsageError
from nunet_dms.node.journal_file import open_to_read
from nunet_dms.node.journal_life import statements
from nunet_dms.node.journal_trouble import trouble_told
from nunet_dms.node.rows import (
    Capacity,
    CheckpointRow,
    EarningRow,
    EventRow,
    ImageRow,
    JobRow,
    MachineRow,
    MissedRow,
    NoteRow,
    OutboxRow,
    WorkerRow,
)
from nunet_dms.node.states import State

JOBS_SHOWN_MAX = 1000
NOTES_SHOWN_MAX = 5


class JournalReader:
    """The journal as others may see it; nothing can be written through it."""

    def __init__(self, path: Path) -> None:
        """Open read-only; raises JournalError when there is none or it is not ours.

        Every reading raises it too, where the file is damaged.
        """
        self._told = trouble_told(path)
        self._db = open_to_read(path)
        self._sql = statements()
        self._lock = threading.RLock()

    def __enter__(self) -> JournalReader:
        """Use as `with JournalReader(path) as journal:`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def jobs(self) -> tuple[JobRow, ...]:
        """Return the newest jobs first, at most `JOBS_SHOWN_MAX`."""
        return tuple(map(job_of, self._rows("all_jobs", count=JOBS_SHOWN_MAX)))

    def open_jobs(self) -> tuple[JobRow, ...]:
        """Return every job that is neither settled nor lost, oldest first."""
        return tuple(map(job_of, self._rows("open_jobs")))

    def find(self, job_id: str) -> JobRow | None:
        """Return the job with exactly this id, or None."""
        rows = self._rows("one_job", job_id=job_id)
        return job_of(rows[0]) if rows else None

    def job(self, prefix: str) -> JobRow:
        """Return the job whose id begins with `prefix`; raises UsageError unless there is one."""
        rows = self._rows("jobs_by_prefix", prefix=prefix)
        if len(rows) == 1 and prefix:
            return job_of(rows[0])
        why = "several jobs begin so" if rows else "there is none"
        raise UsageError(f"cannot find job {prefix!r:.70}: {why}", hint="type: nunet jobs")

    def events(self, job_id: str) -> tuple[EventRow, ...]:
        """Return a job's story, oldest first."""
        return tuple(EventRow(**_named(row)) for row in self._rows("events", job_id=job_id))

    def reserved(self) -> Capacity:
        """Return what running and coming jobs hold."""
        cpu_mhz, ram_mb, disk_mb = self._rows("reserved")[0]
        return Capacity(cpu_mhz, ram_mb, disk_mb)

    def outbox_waiting(self) -> int:
        """Return how many reports still have to reach the Oracle."""
        return sum(not report.parked for report in self.outbox())

    def outbox(self) -> tuple[OutboxRow, ...]:
        """Return the reports that the Oracle has not taken, oldest job first."""
        return tuple([OutboxRow(**_named(row)) for row in self._rows("outbox")])

    def earned(self) -> int:
        """Return what settled jobs have paid, in base units."""
        return int(self._rows("earned_total")[0][0])

    def earnings(self, *, settled_too: bool = True) -> tuple[EarningRow, ...]:
        """Return of every job, or of every open one, what its pay depends on, oldest first."""
        rows = map(_named, self._rows("earnings", settled_too=settled_too))
        return tuple(EarningRow(**row | {"state": State(row["state"])}) for row in rows)

    def worker(self) -> WorkerRow | None:
        """Return what the worker last said of itself, or None."""
        rows = self._rows("worker")
        if not rows:
            return None
        known = _named(rows[0])
        known["ready"], known["accepting"] = bool(known["ready"]), bool(known["accepting"])
        return WorkerRow(**known)

    def machine(self) -> MachineRow | None:
        """Return the machine as the Oracle was last told of it, or None."""
        rows = self._rows("machine")
        return MachineRow(**_named(rows[0])) if rows else None

    def machine_notes(self) -> tuple[NoteRow, ...]:
        """Return what changed in the machine, the newest first, at most `NOTES_SHOWN_MAX`."""
        rows = self._rows("machine_notes", count=NOTES_SHOWN_MAX)
        return tuple(NoteRow(**_named(row)) for row in rows)

    def missed(self) -> tuple[MissedRow, ...]:
        """Return the work that this node missed lately, as the Oracle last told it."""
        return tuple(MissedRow(**_named(row)) for row in self._rows("missed"))

    def jobs_cpu_ms(self) -> int:
        """Return the CPU time that all jobs together have used; it grows while they run."""
        return int(self._rows("jobs_cpu_ms")[0][0])

    def images(self) -> tuple[ImageRow, ...]:
        """Return the images that we pulled, or are about to, the longest unused first."""
        return tuple(ImageRow(**_named(row)) for row in self._rows("images"))

    def pin(self) -> tuple[str, bytes] | None:
        """Return the pinned Oracle's URL and its own words, or None before first contact."""
        rows = self._rows("pin")
        return (rows[0]["url"], rows[0]["info"]) if rows else None

    def offer(self, job_id: str) -> bytes:
        """Return the exact bytes of the offer that a job came from."""
        return bytes(self._rows("offer", job_id=job_id)[0][0])

    def report(self, job_id: str) -> bytes:
        """Return the frozen body of a job's report."""
        return bytes(self._rows("report_body", job_id=job_id)[0][0])

    def checkpoint(self, job_id: str) -> CheckpointRow | None:
        """Return what a job saved last, or None."""
        rows = self._rows("checkpoint", job_id=job_id)
        if not rows:
            return None
        known = _named(rows[0])
        return CheckpointRow(**known | {"stored": bool(known["stored"])})

    def _rows(self, query: str, **values: object) -> list[sqlite3.Row]:
        with self._told, self._lock:
            return self._db.execute(self._sql[query], values).fetchall()


def job_of(row: sqlite3.Row) -> JobRow:
    """Return a row of the table as a value."""
    known = _named(row)
    del known["offer"]
    known["state"] = State(known["state"])
    return JobRow(**known)


def _named(row: sqlite3.Row) -> dict[str, Any]:
    """Return what `dict(row)` does, without its search through all names for each value."""
    return dict(zip(row.keys(), row, strict=True))
