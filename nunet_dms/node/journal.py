"""What the node knows and must not forget: jobs, the outbox, the pinned Oracle.

One SQLite file. The worker is the only writer; everybody else reads it through JournalReader.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

from nunet_dms.errors import CapacityError, InvalidTransitionError, UsageError
from nunet_dms.node.journal_file import open_to_write
from nunet_dms.node.journal_life import end, leave, statements
from nunet_dms.node.journal_reader import JournalReader, job_of
from nunet_dms.node.journal_transaction import Transaction
from nunet_dms.node.journal_trouble import JournalError, trouble_told
from nunet_dms.node.rows import Capacity, JobEnd, JobRow, MachineRow, MissedRow, WorkerRow
from nunet_dms.node.states import State, check_move
from nunet_dms.node.storage import Storage

log = logging.getLogger(__name__)

NOTES_KEPT_MAX = 100
"""Changes of the machine; a card that comes and goes must not fill the disk."""
TRIMMED_AT_ONCE = 500
"""Rows of a kind: some milliseconds of a step."""


class Journal(JournalReader):
    """The worker's own journal. `now_ms` is the wall clock, in milliseconds.

    Every writing raises a JournalError where nothing can be written now. Then nothing was, unless
    the disk failed: whether it was then, only opening the file again tells.
    """

    def __init__(self, path: Path, now_ms: Callable[[], int], boot_id: str = "") -> None:
        """Open or create; raises JournalUnusableError for a file that no worker may start with.

        That is one which is damaged, foreign, newer, not the one that was here, or not all of it.
        """
        self.storage = Storage(path)
        """The room that the journal has where it lies."""
        self._path = path
        self._told = trouble_told(path)
        self._sql = statements()
        self._transaction = Transaction(self)
        self._lock = threading.RLock()
        self._now_ms = now_ms
        self.storage.make_way()
        with self.storage.told:
            self._db, former = open_to_write(path, (now_ms(), boot_id))
        self.former = former
        """The life before this one; None in a new journal."""
        self.died = former is not None and not former.clean and former.boot_id == boot_id
        """Whether the worker before this one ended suddenly, and not because the machine did."""
        self._leave = weakref.finalize(self, leave, self._db, path)

    def close(self) -> None:
        """Close the file and note in it that this was meant.

        Where that cannot be written, it is left as a killed worker leaves it.
        """
        if self._leave.detach() is None:
            return  # it was closed before
        with self._lock:
            try:
                with self.storage.told:
                    end(self._db)
            except JournalError as error:
                log.warning("journal_not_closed: %s", error)
                leave(self._db, self._path)

    def admit(self, row: Mapping[str, object], capacity: Capacity) -> None:
        """Reserve and store a job in one transaction.

        Raises CapacityError when it does not fit, UsageError when its ticket was used before.
        """
        with self._transaction:
            used = self.reserved()
            for name in ("cpu_mhz", "ram_mb", "disk_mb"):
                wanted, free = int(str(row[name])), getattr(capacity, name) - getattr(used, name)
                if wanted > free:
                    raise CapacityError(f"cannot take the job: {wanted} {name} of {free} free")
            try:
                self._write("insert_seen", ticket_id=row["ticket_id"])
                self._write("insert_job", **row)
            except sqlite3.IntegrityError as error:
                raise UsageError("cannot take the job: its ticket was used before") from error
            self._note(str(row["job_id"]), State.ADMITTED.value)

    def move(self, job: JobRow, new: State, detail: str = "") -> JobRow:
        """Move a job; raises InvalidTransitionError unless table and file agree."""
        with self._transaction:
            return self._move(job, new, detail)

    def created(self, job: JobRow, container_id: str, image_id: str) -> JobRow:
        """Store the container, and move to CREATED."""
        with self._transaction:
            self._write(
                "set_container", job_id=job.job_id, container_id=container_id, image_id=image_id
            )
            return self._move(job, State.CREATED, container_id[:12])

    def starting(self, job: JobRow, boot_id: str, mono_ms: int) -> JobRow:
        """Store when the start is about to be asked for, and move to STARTING."""
        with self._transaction:
            self._write("set_starting", job_id=job.job_id, boot_id=boot_id, started_mono_ms=mono_ms)
            return self._move(job, State.STARTING, "")

    def started(self, job: JobRow, started_ms: int, boot_id: str, mono_ms: int) -> JobRow:
        """Store when the container started and in which boot, and move to RUNNING.

        `mono_ms` is the start by the monotonic clock of that boot.
        """
        with self._transaction:
            self._write(
                "set_started", job_id=job.job_id, started_ms=started_ms, boot_id=boot_id,
                started_mono_ms=mono_ms,
            )  # fmt: skip
            return self._move(job, State.RUNNING, "")

    def engine_gone(self, job: JobRow) -> JobRow:
        """Store that the engine does not answer while a job runs; the first time stays."""
        with self._transaction:
            if self._write("set_engine_gone", job_id=job.job_id):
                self._note(job.job_id, "engine_gone")
        return self._again(job)

    def pulled_image(self, reference: str) -> None:
        """Store that an image is about to be pulled: from now on it is ours."""
        with self._transaction:
            self._write("insert_image", reference=reference)

    def used_image(self, reference: str, image_id: str) -> None:
        """Store that a job needs an image, and its id; does nothing for one that is not ours."""
        with self._transaction:
            self._write("set_image_used", reference=reference, image_id=image_id)

    def forget_image(self, reference: str) -> None:
        """An image of ours did not come, or is gone."""
        with self._transaction:
            self._write("delete_image", reference=reference)

    def ask_stop(self, job: JobRow, reason: str) -> JobRow:
        """Store why we are about to stop a job; the first reason stays."""
        with self._transaction:
            self._write("set_stop", job_id=job.job_id, reason=reason)
            self._note(job.job_id, "stop", reason)
        return self._again(job)

    def ended(self, job: JobRow, end: JobEnd, key: str, report: bytes) -> JobRow:
        """Store exit facts and the frozen report, and move to EXITED: one transaction."""
        with self._transaction:
            values = {field.name: getattr(end, field.name) for field in fields(end)}
            self._write("set_end", job_id=job.job_id, **values)
            self._write("insert_report", key=key, job_id=job.job_id, body=report)
            return self._move(job, State.EXITED, end.reason)

    def reported(self, job: JobRow) -> JobRow:
        """The Oracle has the report: mark it and move to REPORTED."""
        with self._transaction:
            self._write("report_acked", job_id=job.job_id)
            return self._move(job, State.REPORTED, "")

    def parked(self, job: JobRow, why: str) -> JobRow:
        """The Oracle refuses the report for good: keep the evidence and move to LOST."""
        with self._transaction:
            self._write("report_parked", job_id=job.job_id, why=why)
            return self._move(job, State.LOST, why)

    def signed(self, job: JobRow, earned: int, tx_id: str) -> JobRow:
        """Store what a settlement pays us before its signature leaves."""
        with self._transaction:
            self._write("set_earned", job_id=job.job_id, earned=earned, tx_id=tx_id)
            return self._move(job, State.SIGNED, tx_id)

    def settled(self, job: JobRow, earned: int, tx_id: str) -> JobRow:
        """The ledger has the settlement."""
        with self._transaction:
            self._write("set_earned", job_id=job.job_id, earned=earned, tx_id=tx_id)
            return self._move(job, State.SETTLED, tx_id)

    def usage(self, job_id: str, cpu_ms: int, ram_peak_mb: int) -> None:
        """Store a sample of what a running job has used; only growth counts."""
        with self._transaction:
            self._write("set_usage", job_id=job_id, cpu_ms=cpu_ms, ram_peak_mb=ram_peak_mb)

    def checkpointed(self, job_id: str, number: int, taken_ms: int, sealed: bytes) -> None:
        """Store what a job saved, before any of it leaves; a number is used once."""
        with self._transaction:
            self._write(
                "write_checkpoint",
                job_id=job_id,
                number=number,
                taken_ms=taken_ms,
                manifest=sealed,
            )

    def checkpoint_stored(self, job_id: str, number: int) -> None:
        """Note that the Oracle has all of a checkpoint."""
        with self._transaction:
            self._write("checkpoint_stored", job_id=job_id, number=number)

    def empty_checkpoint(self, job_id: str) -> None:
        """Let go of a checkpoint's list of files, which may be a megabyte, when its job is over."""
        with self._transaction:
            self._write("empty_checkpoint", job_id=job_id)

    def pin_oracle(self, url: str, info: bytes) -> None:
        """Store the Oracle's own words; another Oracle only while no job of the former is open.

        Raises UsageError when one is.
        """
        with self._transaction:
            if self.pin() is not None and (count := len(self.open_jobs())):
                raise UsageError(
                    f"cannot change to the Oracle at {url}: {count} jobs of the former are open",
                    hint="they end by themselves; look at them with: nunet jobs",
                )
            self._write("write_pin", url=url, info=info)

    def move_pin(self, url: str) -> None:
        """Store where the pinned Oracle answers now."""
        with self._transaction:
            self._write("move_pin", url=url)

    def write_worker(self, row: WorkerRow) -> None:
        """Store what `nunet status` shows."""
        with self._transaction:
            self._write("write_worker", **{f.name: getattr(row, f.name) for f in fields(row)})

    def write_machine(self, machine: MachineRow, changes: tuple[str, ...]) -> None:
        """Store the machine as it is to be told now, and what changed since it was last told."""
        with self._transaction:
            self._write(
                "write_machine", **{f.name: getattr(machine, f.name) for f in fields(machine)}
            )
            for text in changes:
                self._write("insert_machine_note", text=text)
            self._write("trim_machine_notes", count=NOTES_KEPT_MAX)

    def next_issued_s(self, now_s: int) -> int:
        """Return and store a time for the next registration: later than the last, come what may.

        The Oracle takes none that is older than the last, and a clock may be set back.
        """
        rows = self._rows("issued")
        issued_s = max(now_s, int(rows[0][0]) + 1 if rows else 0)
        with self._transaction:
            self._write("write_issued", issued_s=issued_s)
        return issued_s

    def write_missed(self, missed: tuple[MissedRow, ...]) -> None:
        """Store what the Oracle now says of missed work, in place of what it said before."""
        with self._transaction:
            self._write("clear_missed")
            for row in missed:
                self._write("insert_missed", **{f.name: getattr(row, f.name) for f in fields(row)})

    def note_machine(self, text: str) -> None:
        """Add a line to what `nunet status` tells of the machine."""
        with self._transaction:
            self._write("insert_machine_note", text=text)
            self._write("trim_machine_notes", count=NOTES_KEPT_MAX)

    def trim(self, before_ms: int) -> int:
        """Delete what nobody needs of jobs that ended before; return how many rows went.

        Stories and reports of settled jobs (the receipt has the report), and used tickets. Kept for
        ever: every job's own row, which is its owner's account and refuses its ticket a second
        time, the offer in it, which verifies its receipt; the story of a lost job, which says why.
        """
        with self._transaction:
            return sum(
                self._write(f"trim_{what}", before_ms=before_ms, count=TRIMMED_AT_ONCE)
                for what in ("stories", "reports", "tickets")
            )

    def died_with(self, rows: tuple[JobRow, ...], story: str) -> None:
        """Store `deaths` and `death_state` of the jobs that a worker which died had in hand."""
        with self._transaction:
            for row in rows:
                self._write(
                    "set_deaths", job_id=row.job_id, deaths=row.deaths, death_state=row.death_state
                )
                self._note(row.job_id, "worker_died", f"in state {row.state.value}; {story}")
        self.died = False

    def lived_with(self, job: JobRow) -> JobRow:
        """Store that the worker lives well with a job in the state that it is in."""
        with self._transaction:
            state = job.state.value
            self._write("set_deaths", job_id=job.job_id, deaths=0, death_state=state)
        return self._again(job)

    def note(self, job_id: str, what: str, detail: str = "") -> None:
        """Add a line to a job's story."""
        with self._transaction:
            self._note(job_id, what, detail)

    def _move(self, job: JobRow, new: State, detail: str) -> JobRow:
        check_move(job.job_id, job.state, new)
        moved = self._write("move_job", job_id=job.job_id, old=job.state.value, new=new.value)
        if moved != 1:
            story = "; ".join(f"{event.what} {event.detail}" for event in self.events(job.job_id))
            raise InvalidTransitionError(
                f"cannot move job {job.job_id} from {job.state.value} to {new.value}: {story}"
            )
        self._note(job.job_id, new.value, detail)
        return self._again(job)

    def _note(self, job_id: str, what: str, detail: str = "") -> None:
        self._write("insert_event", job_id=job_id, what=what, detail=detail[:500])

    def _again(self, job: JobRow) -> JobRow:
        return job_of(self._rows("one_job", job_id=job.job_id)[0])

    def _write(self, query: str, **values: object) -> int:
        """Run one statement of a transaction, and return how many rows it changed."""
        values.setdefault("now_ms", self._now_ms())
        return self._db.execute(self._sql[query], values).rowcount
