"""When a running job's checkpoint folder is saved, and that it reaches the Oracle whole.

    due --> snapshot (in a thread) --> journal: numbered --> store (in a thread) --> journal: stored

One job has at most one of the two under way, so that a slow line delays the next snapshot and
doubles nothing. Without an Oracle a newer snapshot takes the place of one that waits. Every part
may be repeated: the Oracle says what it lacks, and what was not sent lies in the job's spool.

A job that is told to end (time limit, cancel) is saved once more when its container has ended: it
had its grace to leave its folder in order. One that was killed for its memory, failed, or lost its
engine or machine is not: it may have been in the middle of a file, and what was saved while it ran
stands.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from nunet_dms.errors import NunetError
from nunet_dms.node.deps import Deps
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.live import Live, ask
from nunet_dms.node.oracle_client import OracleClient
from nunet_dms.node.pool import Task
from nunet_dms.node.rows import CheckpointRow, JobRow
from nunet_dms.node.snapshot import Known, Snapshot, Timing, Unfit, take
from nunet_dms.protocol import strict
from nunet_dms.protocol.checkpoint import (
    CHECKPOINT_MAX_BYTES,
    CheckpointManifest,
    seal_checkpoint,
)
from nunet_dms.protocol.job import MB, Checkpoint
from nunet_dms.protocol.platform import Platform
from nunet_dms.protocol.report import Reason
from nunet_dms.protocol.signing import Sealed

log = logging.getLogger(__name__)

DRAIN_CHECKPOINT_S = 20.0
"""Given to saving when the worker is asked to end; `nunet worker stop` waits 30 s in all."""
DRAIN_LOOK_S = 0.2
"""Between two looks at what is still being saved then; an outcome wakes it."""
LAST_CHECKPOINT_S = 600.0
"""Given to the last checkpoint of a job that has ended; its report, which is money, comes after."""

Trigger = Literal["interval", "time_limit", "drain", "stop"]


@dataclass(slots=True)
class _Saving:
    """What this process knows of one job's saving."""

    due_s: float
    """When to take the next snapshot, by the monotonic clock."""
    trigger: Trigger = "interval"
    """Of the next snapshot."""
    taking: Trigger = "interval"
    """Of the one under way, or the last: it may have begun before the job's end or the drain."""
    row: CheckpointRow | None = None
    """The last one taken."""
    known: Known = field(default_factory=Known)
    ends_s: float = math.inf
    """Until when to go on, once the container has ended."""
    complaint: str = ""
    """What was last wrong; each is told once."""

    @property
    def waits(self) -> bool:
        """Whether something is to be sent."""
        return self.row is not None and not self.row.stored

    @property
    def is_last(self) -> bool:
        """Whether no further snapshot follows the next."""
        return self.trigger != "interval"


class Checkpoints:
    """Asked at every turn of the runner; only its methods write to the journal."""

    def __init__(self, deps: Deps) -> None:
        self.platform: Platform | None = None
        """What this machine is; None before the first look at it, which a snapshot waits for."""
        self._deps = deps
        self._saving: dict[str, _Saving] = {}
        self.handle: dict[str, Callable[[Live, object], None]] = {
            "snapshot": self._taken,
            "store": self._stored,
        }

    def advance(self, live: Live) -> None:
        """Do what is due for a running job."""
        checkpoint = live.job.spec.checkpoint
        if checkpoint is not None:
            self._go_on(live, self._of(live, checkpoint))

    def drain(self, live: Live) -> bool:
        """Save a running job a last time in this process; False once there is nothing to wait for.

        One try at each part: the container runs on, and the next worker saves it again.
        """
        checkpoint = live.job.spec.checkpoint
        if checkpoint is None:
            return False
        saving = self._of(live, checkpoint)
        if not saving.is_last:
            saving.trigger, saving.due_s = "drain", -math.inf
        return self._go_on(live, saving)

    def finish(self, live: Live) -> bool:
        """Save a job whose container has ended; True once nothing more is to be waited for."""
        checkpoint = live.job.spec.checkpoint
        if checkpoint is None or live.row.started_ms is None:
            return True
        saving, now_s = self._of(live, checkpoint), self._deps.clock.monotonic_s()
        if saving.ends_s == math.inf:
            saving.ends_s, saving.trigger = now_s + LAST_CHECKPOINT_S, _last_trigger(live.row)
            is_due = _was_told_to_end(live.row) and not _is_of_the_end(saving.row)
            saving.due_s = -math.inf if is_due else math.inf
        if now_s >= saving.ends_s:
            self._complain(live, saving, "there was no time left to send it")
            return True
        self._go_on(live, saving)
        is_settled = saving.due_s == math.inf and not saving.waits
        return is_settled and not self._is_busy(live)

    def failed(self, live: Live, what: str, error: Exception) -> None:
        """Give up one checkpoint after an answer that is a no; the next is taken from scratch."""
        saving = self._saving.get(live.row.job_id)
        if saving is not None:
            saving.known = Known()
            if what == "store" and saving.row is not None:
                saving.row = replace(saving.row, stored=True)  # it waits for nothing any more
            self._plan_next(live, saving)
            self._complain(live, saving, str(error))

    def forget(self, live: Live) -> None:
        """Note that a job is over."""
        self._saving.pop(live.row.job_id, None)
        if live.job.spec.checkpoint is not None:
            self._deps.journal.empty_checkpoint(live.row.job_id)

    def _of(self, live: Live, checkpoint: Checkpoint) -> _Saving:
        """Return what is known; after a restart the interval goes on from the last one taken."""
        saving = self._saving.get(live.row.job_id)
        if saving is None:
            row = self._deps.journal.checkpoint(live.row.job_id)
            since_ms = row.taken_ms if row is not None else live.row.started_ms
            gone_s = (self._deps.clock.now_ms() - (since_ms or 0)) / 1000
            left_s = min(max(checkpoint.interval_s - gone_s, 0.0), float(checkpoint.interval_s))
            saving = _Saving(due_s=self._deps.clock.monotonic_s() + left_s, row=row)
            self._saving[live.row.job_id] = saving
        return saving

    def _go_on(self, live: Live, saving: _Saving) -> bool:
        """Start the next part unless one is under way; False when nothing can be done now."""
        if self._is_busy(live):
            return True
        what = "snapshot" if self._deps.clock.monotonic_s() >= saving.due_s else "store"
        if what == "store" and not saving.waits:
            return False
        if not self._deps.backoff.is_ready(_task(live, what), self._deps.clock.monotonic_s()):
            return False
        if what == "snapshot":
            if self.platform is None:
                return False
            saving.taking = saving.trigger
            self._take(live, saving.known)
        elif saving.row is not None:
            self._store(live, saving.row)
        return True

    def _take(self, live: Live, known: Known) -> None:
        folder, limit = live.folder, live.row.disk_mb * MB
        timing = Timing(self._deps.clock.now_ms, threading.Event().wait)
        ask(self._deps, live, "snapshot", lambda: take(folder, known, limit, timing))

    def _taken(self, live: Live, value: object) -> None:
        saving = self._saving[live.row.job_id]
        if isinstance(value, Unfit):
            self._not_taken(live, saving, value.why)
        elif isinstance(value, Snapshot) and not value.files.files:
            self._plan_next(live, saving)  # nothing to go on from, which is not worth a price
        elif isinstance(value, Snapshot) and self.platform is not None:
            manifest = self._manifest(live, saving, value, self.platform)
            if len(strict.encode(manifest)) > CHECKPOINT_MAX_BYTES:
                self._not_taken(live, saving, f"its list is over {CHECKPOINT_MAX_BYTES} bytes")
                return
            number, taken_ms = manifest.number, manifest.taken_ms
            sealed = strict.encode(seal_checkpoint(manifest, self._deps.identity.key))
            self._plan_next(live, saving)  # first: a journal without room is tried at the next one
            self._deps.journal.checkpointed(live.row.job_id, number, taken_ms, sealed)
            saving.row = CheckpointRow(number, taken_ms, sealed, stored=False)
            saving.known = replace(saving.known, hashes=value.hashes)

    def _manifest(
        self, live: Live, saving: _Saving, found: Snapshot, here: Platform
    ) -> CheckpointManifest:
        row, now_ms = live.row, self._deps.clock.now_ms()
        has_gpus = live.job.spec.resources.gpus > 0
        return CheckpointManifest(
            job_id=row.job_id,
            number=1 if saving.row is None else saving.row.number + 1,
            taken_ms=now_ms,
            ran_ms=row.ran_ms if row.reason else max(now_ms - (row.started_ms or now_ms), 0),
            trigger=saving.taking,
            platform=here if has_gpus else replace(here, gpus=()),
            files=found.files,
            left_out=found.left_out,
        )

    def _not_taken(self, live: Live, saving: _Saving, why: str) -> None:
        self._plan_next(live, saving)
        self._complain(live, saving, why)

    def _store(self, live: Live, row: CheckpointRow) -> None:
        oracle, job_id, folder = self._deps.oracle, live.row.job_id, live.folder
        ask(self._deps, live, "store", lambda: (row.number, send(oracle, job_id, folder, row)))

    def _stored(self, live: Live, value: object) -> None:
        saving = self._saving[live.row.job_id]
        number, hashes = value if isinstance(value, tuple) else (0, frozenset())
        if saving.row is not None and saving.row.number == number:
            saving.row = replace(saving.row, stored=True)
        saving.known, saving.complaint = replace(saving.known, stored=hashes), ""
        self._deps.journal.checkpoint_stored(live.row.job_id, number)
        log.info("checkpoint_stored job=%s number=%d", live.row.job_id, number)

    def _plan_next(self, live: Live, saving: _Saving) -> None:
        checkpoint = live.job.spec.checkpoint
        if saving.taking != saving.trigger:
            return  # the one that matters is still to be taken
        if saving.is_last or checkpoint is None:
            saving.due_s = math.inf
        else:
            saving.due_s = self._deps.clock.monotonic_s() + checkpoint.interval_s

    def _complain(self, live: Live, saving: _Saving, why: str) -> None:
        """Say why a checkpoint was not taken or not sent, once for each reason in a row."""
        if why != saving.complaint:
            saving.complaint = why
            log.warning("checkpoint_skipped job=%s: %s", live.row.job_id, why)
            self._deps.journal.note(live.row.job_id, "checkpoint_skipped", why)

    def _is_busy(self, live: Live) -> bool:
        return any(self._deps.pool.is_busy(_task(live, what)) for what in self.handle)


def send(
    oracle: OracleClient, job_id: str, folder: JobFolder, row: CheckpointRow
) -> frozenset[str]:
    """Send what the Oracle lacks of a checkpoint, and return the hashes of all of it.

    The spool is empty after that. Raises UnreachableError to be called again, RefusedError, and
    OSError for a content that is in the spool no more.
    """
    sealed = strict.decode(Sealed, row.manifest)
    manifest = strict.decode(CheckpointManifest, sealed.payload)
    for sha256 in oracle.put_checkpoint(job_id, sealed).missing:
        with (folder.spool / sha256).open("rb") as content:
            oracle.put_blob(sha256, content)
    if missing := oracle.put_checkpoint(job_id, sealed).missing:
        raise NunetError(f"cannot save job {job_id}: the Oracle still lacks {len(missing)} files")
    folder.empty_spool()
    return frozenset(entry.sha256 for entry in manifest.files.files)


def _task(live: Live, what: str) -> Task:
    return Task(live.row.job_id, what)


def _was_told_to_end(row: JobRow) -> bool:
    """Whether SIGTERM and a grace ended the job: our own, or those of the deadline inside it."""
    by_us = bool(row.stop_reason) and row.reason == row.stop_reason
    return by_us or row.reason == Reason.TIME_LIMIT.value


def _last_trigger(row: JobRow) -> Trigger:
    return "time_limit" if row.reason == Reason.TIME_LIMIT.value else "stop"


def _is_of_the_end(row: CheckpointRow | None) -> bool:
    """Whether the last checkpoint was taken after the container's end, by an earlier process."""
    if row is None:
        return False
    manifest = strict.decode(CheckpointManifest, strict.decode(Sealed, row.manifest).payload)
    return manifest.trigger in {"time_limit", "stop"}
