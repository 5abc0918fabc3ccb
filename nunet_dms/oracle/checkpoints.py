"""What running jobs saved: each job's last whole checkpoint, and jobs that go on from one."""

from __future__ import annotations

import logging

from sqlalchemy import Connection, insert, select, update

from nunet_dms.errors import RefusedError
from nunet_dms.oracle import files, jobs, retention
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.files import GRANT_LIFE_S
from nunet_dms.oracle.jobs import JobRow, Paper
from nunet_dms.oracle.states import HOLDS_CAPACITY
from nunet_dms.oracle.tables import checkpoints
from nunet_dms.oracle.tables import jobs as jobs_table
from nunet_dms.protocol import strict
from nunet_dms.protocol.checkpoint import (
    CHECKPOINT_MAX_BYTES,
    CheckpointManifest,
    open_checkpoint,
    resume_from,
)
from nunet_dms.protocol.job import MB, JobSpec, Resume, check_tree
from nunet_dms.protocol.node import MissingBlobs
from nunet_dms.protocol.signing import Sealed
from nunet_dms.protocol.submission import CheckpointView, JobState

log = logging.getLogger(__name__)


def take(oracle: Oracle, node_id: str, job_id: str, sealed: Sealed) -> MissingBlobs:
    """Take a running job's checkpoint, and return which contents are still to be uploaded.

    Sent again with nothing missing it is whole, and takes the place of the one before; until then
    that one stays. Raises VerificationError for a foreign one, RefusedError `not_running`,
    `no_checkpoint_folder`, `stale_checkpoint` or `checkpoint_too_large`.
    """
    with oracle.store.reading() as db:  # what takes long is done before the one writer's turn
        jobs.of_node(db, job_id, node_id)
        spec = jobs.spec_of(db, job_id)
    if spec.checkpoint is None:
        raise RefusedError(
            "no_checkpoint_folder", f"cannot take the checkpoint: job {job_id} names no folder"
        )
    manifest = open_checkpoint(sealed, job_id, node_id)
    _check_size(spec, manifest)
    with oracle.store.writing() as db:
        job = jobs.of_node(db, job_id, node_id)
        known = db.execute(select(checkpoints).where(checkpoints.c.job_id == job_id)).first()
        if known is not None and known.digest == sealed.digest:
            return MissingBlobs()
        _check(job, manifest, 0 if known is None else known.number)
        expires_s = int(oracle.clock()) + GRANT_LIFE_S
        files.grant(db, node_id, manifest.files, expires_s)
        files.lend(db, node_id, job_id, manifest.files, expires_s)  # what we gave it to start from
        missing = files.missing(db, oracle.blobs, node_id, manifest.files)
        if not missing.missing:
            _keep(oracle, db, manifest, sealed, node_id)
    if not missing.missing:
        log.info("checkpoint_whole job=%s number=%d", job_id, manifest.number)
    return missing


def last_of(oracle: Oracle, requester: str, job_id: str) -> Sealed:
    """Return a job's last whole checkpoint; raises RefusedError `no_checkpoint`, `files_gone`."""
    with oracle.store.reading() as db:
        retention.check_kept(oracle, jobs.of_requester(db, job_id, requester))
        body = jobs.paper(db, job_id, Paper.CHECKPOINT)
    if body is None:
        raise RefusedError(
            "no_checkpoint", f"cannot resume job {job_id}: it has no checkpoint that is whole"
        )
    return strict.decode(Sealed, body)


def views(db: Connection, requester: str, job_id: str | None = None) -> dict[str, CheckpointView]:
    """Return the last whole checkpoints of a requester's jobs, or of one of them, by job."""
    wanted = (
        select(checkpoints)
        .join(jobs_table, jobs_table.c.job_id == checkpoints.c.job_id)
        .where(jobs_table.c.requester == requester)
    )
    if job_id is not None:
        wanted = wanted.where(checkpoints.c.job_id == job_id)
    return {
        row.job_id: CheckpointView(
            number=row.number, taken_ms=row.taken_ms, size_bytes=row.size_bytes
        )
        for row in db.execute(wanted)
    }


def lend(oracle: Oracle, db: Connection, requester: str, spec: JobSpec) -> None:
    """Let a job that goes on from a checkpoint have that, and the inputs of the job before.

    Nothing of it has to be uploaded. Raises RefusedError `unknown_job`, `not_ended`, `files_gone`,
    or `unknown_checkpoint` for one that is not exactly the last whole one of that job.
    """
    resume = spec.resume
    if resume is None:
        return
    job = jobs.of_requester(db, resume.job_id, requester)
    if job.state in HOLDS_CAPACITY:
        raise RefusedError(
            "not_ended",
            f"cannot resume job {job.job_id}: it is {job.state.value}; cancel it, or let it end",
            where="$.spec.checkpoint.resume.job_id",
        )
    retention.check_kept(oracle, job)
    body = jobs.paper(db, job.job_id, Paper.CHECKPOINT)
    if body is None or not _is_of(resume, job, strict.decode(Sealed, body)):
        raise RefusedError(
            "unknown_checkpoint",
            f"cannot resume job {job.job_id}: this is not its last whole checkpoint",
            where="$.spec.checkpoint.resume",
        )
    expires_s = int(oracle.clock()) + GRANT_LIFE_S
    for manifest in (spec.inputs, resume.files):
        files.lend(db, requester, job.job_id, manifest, expires_s)


def _is_of(resume: Resume, job: JobRow, sealed: Sealed) -> bool:
    if sealed.digest != resume.checkpoint:
        return False
    return resume_from(sealed, open_checkpoint(sealed, job.job_id, job.node_id)) == resume


def _check(job: JobRow, manifest: CheckpointManifest, known_number: int) -> None:
    if job.state is not JobState.RUNNING:
        raise RefusedError(
            "not_running", f"cannot take the checkpoint: job {job.job_id} is {job.state.value}"
        )
    if manifest.number <= known_number:
        raise RefusedError(
            "stale_checkpoint",
            f"cannot take checkpoint {manifest.number}: {known_number} is there already",
        )


def _check_size(spec: JobSpec, manifest: CheckpointManifest) -> None:
    check_tree(manifest.files, "$.files")
    total, disk_mb = manifest.files.total_bytes, spec.resources.disk_mb
    if total > disk_mb * MB or len(strict.encode(manifest)) > CHECKPOINT_MAX_BYTES:
        raise RefusedError(
            "checkpoint_too_large",
            f"cannot take the checkpoint: {total} bytes in {len(manifest.files.files)} files; "
            f"the job has {disk_mb} MB",
        )


def _keep(
    oracle: Oracle, db: Connection, manifest: CheckpointManifest, sealed: Sealed, node_id: str
) -> None:
    """Put a whole checkpoint in the place of the one before."""
    job_id = manifest.job_id
    before = files.bound(db, job_id, files.CHECKPOINT)
    files.bind(db, job_id, manifest.files, files.CHECKPOINT)
    files.let_go(db, node_id, before, int(oracle.clock()))
    jobs.keep(db, job_id, Paper.CHECKPOINT, strict.encode(sealed).decode())
    values = {
        "number": manifest.number,
        "taken_ms": manifest.taken_ms,
        "size_bytes": manifest.files.total_bytes,
        "digest": sealed.digest,
    }
    here = update(checkpoints).where(checkpoints.c.job_id == job_id).values(values)
    if db.execute(here).rowcount == 0:
        db.execute(insert(checkpoints).values(values | {"job_id": job_id}))
