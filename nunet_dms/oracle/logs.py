"""A job's log: appended where it ends, read from anywhere."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, delete, func, insert, select

from nunet_dms.errors import RefusedError
from nunet_dms.oracle import jobs
from nunet_dms.oracle.jobs import JobRow
from nunet_dms.oracle.tables import log_chunks
from nunet_dms.protocol.submission import JobState


class LogOffsetError(RefusedError):
    """A chunk that does not begin where the log ends; `length` says where that is."""

    def __init__(self, length: int, offset: int) -> None:
        super().__init__(
            "log_offset", f"cannot append at {offset}: the log has {length} bytes", where="$offset"
        )
        self.length = length


def append(db: Connection, job: JobRow, offset: int, data: bytes, limit: int) -> int:
    """Append to the log of a running job and return its new length.

    Raises LogOffsetError at any other offset than the end, RefusedError `not_running` and
    `log_full`.
    """
    if offset != job.log_bytes:  # first: a node that delivers everything again finds its way
        raise LogOffsetError(job.log_bytes, offset)
    if job.state is not JobState.RUNNING:
        raise RefusedError(
            "not_running", f"cannot append to the log of job {job.job_id}: it is {job.state.value}"
        )
    length = offset + len(data)
    if length > limit:
        raise RefusedError(
            "log_full", f"cannot append {len(data)} bytes: a log has at most {limit}"
        )
    if data:
        db.execute(insert(log_chunks).values(job_id=job.job_id, offset=offset, data=data))
        jobs.change(db, job, log_bytes=length)
    return length


def read(db: Connection, job_id: str, offset: int, limit: int) -> bytes:
    """Return at most `limit` bytes from `offset` on; nothing past the end."""
    first = (
        select(func.max(log_chunks.c.offset))
        .where(log_chunks.c.job_id == job_id, log_chunks.c.offset <= offset)
        .scalar_subquery()
    )
    rows = db.execute(
        select(log_chunks.c.offset, log_chunks.c.data)
        .where(log_chunks.c.job_id == job_id, log_chunks.c.offset >= first)
        .order_by(log_chunks.c.offset)
    )
    parts: list[bytes] = []
    wanted = limit
    for start, data in rows:
        part = data[max(0, offset - start) :][:wanted]
        parts.append(part)
        wanted -= len(part)
        if wanted <= 0:
            rows.close()
            break
    return b"".join(parts)


def remove(db: Connection, job_id: str) -> None:
    """Remove a job's log; its length and what the report says of it stay."""
    db.execute(delete(log_chunks).where(log_chunks.c.job_id == job_id))


def sha256(db: Connection, job_id: str) -> str:
    """Return the hash of the whole log as it is stored, as hex."""
    digest = hashlib.sha256()
    for (data,) in db.execute(
        select(log_chunks.c.data)
        .where(log_chunks.c.job_id == job_id)
        .order_by(log_chunks.c.offset)
        .execution_options(yield_per=16)
    ):
        digest.update(data)
    return digest.hexdigest()
