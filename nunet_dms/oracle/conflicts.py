"""Reports that contradict the one a job already has: refused, kept as evidence, and told.

A node freezes its report once; a second one under the same key, both signed by it, means a node
that forgot, was copied, or lies. Whoever keeps the Oracle hears of it until it is looked at.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from nunet_dms.errors import RefusedError
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.jobs import JobRow
from nunet_dms.oracle.tables import report_conflicts
from nunet_dms.protocol import strict
from nunet_dms.protocol.signing import Sealed

KEPT_MAX = 16
"""Different reports kept of one job; more of them prove nothing more."""
SHOWN_MAX = 1000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Conflict:
    """One report that was refused because the job had another; times in Unix milliseconds."""

    job_id: str
    node_id: str
    report_hash: str
    """Of the refused one, as it was sealed; its text is in `body`."""
    taken_hash: str
    """Of the one that counts."""
    body: str
    times: int
    first_ms: int
    last_ms: int
    is_seen: bool
    """Whether the operator has looked at it."""


def keep(db: Connection, job: JobRow, sealed: Sealed, now_ms: int) -> None:
    """Keep a contradicting report, or count it again; a new one is told in the log."""
    table = report_conflicts
    here = (table.c.job_id == job.job_id, table.c.report_hash == sealed.digest)
    again = update(table).where(*here).values(times=table.c.times + 1, last_ms=now_ms)
    if db.execute(again).rowcount:
        return
    kept = select(func.count()).select_from(table).where(table.c.job_id == job.job_id)
    if db.execute(kept).scalar_one() >= KEPT_MAX:
        return
    db.execute(
        insert(table).values(
            job_id=job.job_id,
            report_hash=sealed.digest,
            node_id=job.node_id,
            taken_hash=job.report_hash,
            body=strict.encode(sealed).decode(),
            times=1,
            first_ms=now_ms,
            last_ms=now_ms,
            is_seen=False,
        )
    )
    log.error(
        "report_conflict job=%s node=%s taken=%s refused=%s",
        job.job_id, job.node_id, job.report_hash, sealed.digest,
    )  # fmt: skip


def find(oracle: Oracle) -> tuple[Conflict, ...]:
    """Return what was kept, the newest first."""
    wanted = select(report_conflicts).order_by(report_conflicts.c.first_ms.desc())
    with oracle.store.reading() as db:
        rows = db.execute(wanted.limit(SHOWN_MAX)).all()
    return tuple([Conflict(**row._mapping) for row in rows])


def unseen(oracle: Oracle) -> int:
    """Return how many jobs have a contradiction that nobody has looked at."""
    table = report_conflicts
    wanted = select(func.count(table.c.job_id.distinct())).where(~table.c.is_seen)
    with oracle.store.reading() as db:
        return int(db.execute(wanted).scalar_one())


def mark_seen(oracle: Oracle, job_id: str) -> None:
    """Note that the operator has looked at a job's; raises RefusedError `unknown_job`."""
    table = report_conflicts
    with oracle.store.writing() as db:
        changed = db.execute(update(table).where(table.c.job_id == job_id).values(is_seen=True))
        if not changed.rowcount:
            raise RefusedError(
                "unknown_job", f"cannot mark job {job_id}: it has no second report",
                hint="type: nunet oracle conflicts",
            )  # fmt: skip
