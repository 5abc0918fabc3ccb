"""Jobs in the database: their state, what was signed about them, and their story."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import Enum

from sqlalchemy import Connection, Row, Select, delete, func, insert, or_, select, tuple_, update

from nunet_dms.errors import InvalidTransitionError, RefusedError
from nunet_dms.oracle.auth import Caller
from nunet_dms.oracle.states import check_move
from nunet_dms.oracle.tables import events, jobs, papers
from nunet_dms.protocol import strict
from nunet_dms.protocol.job import JobSpec
from nunet_dms.protocol.quote import JobRequest
from nunet_dms.protocol.report import Reason
from nunet_dms.protocol.submission import JobState

DETAIL_MAX_CHARS = 500
"""As `ShortText` in the protocol."""


class Paper(str, Enum):
    """What is kept of a job as it was signed or sent."""

    SPEC = "spec"
    REQUEST = "request"
    COSE_SIGN1 = "cose_sign1"
    COSE_KEY = "cose_key"
    PAYMENT_TX = "payment_tx"
    TICKET = "ticket"
    CHECKPOINT = "checkpoint"
    """The last that is whole."""
    RESULTS = "results"
    REPORT = "report"
    VERDICT = "verdict"
    FIRST_VERDICT = "first_verdict"
    """The one that was revised."""
    SETTLEMENT_TX = "settlement_tx"
    RECEIPT = "receipt"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job as the database has it; the large and the signed parts are its papers."""

    job_id: str
    state: JobState
    reason: Reason | None = None
    detail: str = ""
    quote_id: str
    node_id: str
    requester: str
    cpu_mhz: int
    ram_mb: int
    disk_mb: int
    time_limit_s: int
    price: int
    deadline_slot: int
    payment_tx_id: str
    payment_index: int
    ticket_id: str | None = None
    offer_expires_s: int | None = None
    lease_expires_s: int | None = None
    report_hash: str | None = None
    exit_code: int | None = None
    ran_ms: int = 0
    log_bytes: int = 0
    log_complete: bool | None = None
    log_dropped_bytes: int = 0
    """What the job wrote past the node's limit, by the node's count."""
    provider_amount: int | None = None
    requester_amount: int | None = None
    settlement_tx_id: str | None = None
    cosigned: bool = False
    receipt_acked: bool = False
    cancel_requested: bool = False
    submitted_ms: int
    started_ms: int | None = None
    finished_ms: int | None = None
    settled_ms: int | None = None
    window_ends_s: int | None = None
    """From then on no objection to the verdict is taken; Unix seconds."""
    payment_missing_s: int | None = None
    """Since when the chain lacks the payment: the job is held. None while it has it."""
    gone_height: int | None = None
    """The chain's height when the escrow was first seen to be out of reach for good."""
    payment_lost: bool = False
    """Whether the node is to stop the job, because its payment does not come back."""
    look_at_s: int | None = None
    """When the chain is to be asked again for what it has of the job; None: never again."""
    alert_level: int = 0
    """How near its deadline the job was last said to be; see `alerts`."""
    phase: str | None = None
    """The node's last word on what it is at, a `protocol.phase.Phase` in canonical JSON."""
    files_gone_s: int | None = None
    """When its log and files were removed; None while they are kept."""


def add(db: Connection, job: JobRow) -> None:
    """Store a new job; raises IntegrityError when its quote or payment is taken."""
    values = {field.name: getattr(job, field.name) for field in fields(job)}
    db.execute(insert(jobs).values(values | {"state": job.state.value}))
    _tell(db, job.job_id, job.submitted_ms, (None, job.state), "")


def remove(db: Connection, job_id: str) -> None:
    """Remove a job that never came to be, with all that was stored of it."""
    for table in (jobs, papers, events):
        db.execute(delete(table).where(table.c.job_id == job_id))


def find(db: Connection, job_id: str) -> JobRow | None:
    """Return the job, or None."""
    row = db.execute(select(jobs).where(jobs.c.job_id == job_id)).first()
    return None if row is None else _job(row)


def of_node(db: Connection, job_id: str, node_id: str) -> JobRow:
    """Return a node's job; raises RefusedError `unknown_job` for any other."""
    job = find(db, job_id)
    if job is None or job.node_id != node_id:
        raise unknown(job_id)
    return job


def of_requester(db: Connection, job_id: str, requester: str) -> JobRow:
    """Return a requester's job; raises RefusedError `unknown_job` for any other."""
    job = find(db, job_id)
    if job is None or job.requester != requester:
        raise unknown(job_id)
    return job


def of_party(db: Connection, caller: Caller, job_id: str) -> JobRow:
    """Return a job to its node or its requester; raises RefusedError `unknown_job`."""
    if caller.kind == "node":
        return of_node(db, job_id, caller.subject)
    return of_requester(db, job_id, caller.subject)


def unknown(job_id: str) -> RefusedError:
    """Return the refusal of a job that is not there, or not the caller's."""
    return RefusedError("unknown_job", f"cannot find job {job_id}: you have no such job")


def in_state(
    db: Connection, state: JobState, limit: int, after: JobRow | None = None
) -> tuple[JobRow, ...]:
    """Return jobs in this state, oldest first, from the one after `after` on."""
    wanted = select(jobs).where(jobs.c.state == state.value)
    if after is not None:
        place = tuple_(jobs.c.submitted_ms, jobs.c.job_id)
        wanted = wanted.where(place > (after.submitted_ms, after.job_id))
    return _list(db, wanted.order_by(jobs.c.submitted_ms, jobs.c.job_id).limit(limit))


def to_look_at(db: Connection, now_s: float, limit: int) -> tuple[JobRow, ...]:
    """Return jobs whose payment or settlement is to be looked for on the chain again."""
    wanted = select(jobs).where(jobs.c.look_at_s <= now_s)
    return _list(db, wanted.order_by(jobs.c.look_at_s).limit(limit))


def with_old_files(
    db: Connection, states: Iterable[JobState], ended_before_ms: int, limit: int
) -> tuple[JobRow, ...]:
    """Return jobs in these states that ended before, and whose log and files are still kept."""
    ended_ms = func.coalesce(jobs.c.settled_ms, jobs.c.finished_ms, jobs.c.submitted_ms)
    return _list(
        db,
        select(jobs)
        .where(
            jobs.c.files_gone_s.is_(None),
            jobs.c.state.in_([state.value for state in states]),
            jobs.c.submitted_ms < ended_before_ms,  # no job ends before it begins: for the index
            ended_ms < ended_before_ms,
        )
        .limit(limit),
    )


def look_no_more(db: Connection, job: JobRow) -> None:
    """Ask the chain no more for what it had of a job, unless the job has moved on."""
    db.execute(
        update(jobs)
        .where(jobs.c.job_id == job.job_id, jobs.c.state == job.state.value)
        .values(look_at_s=None)
    )


def near_deadline(
    db: Connection, states: Iterable[JobState], slots: tuple[int, int], limit: int
) -> tuple[JobRow, ...]:
    """Return jobs in these states whose deadline lies between two slots, the nearest first."""
    low, high = slots
    return _list(
        db,
        select(jobs)
        .where(
            jobs.c.deadline_slot.between(low, high),
            jobs.c.state.in_([state.value for state in states]),
        )
        .order_by(jobs.c.deadline_slot, jobs.c.job_id)
        .limit(limit),
    )


def node_jobs(db: Connection, node_id: str, states: Iterable[JobState]) -> tuple[JobRow, ...]:
    """Return a node's jobs in these states, oldest first.

    Those whose end it has acknowledged are left out, and void ones that it never took.
    """
    names = [state.value for state in states]
    was_taken = or_(jobs.c.state != JobState.VOID.value, jobs.c.started_ms.is_not(None))
    return _list(
        db,
        select(jobs)
        .where(jobs.c.node_id == node_id, jobs.c.state.in_(names), ~jobs.c.receipt_acked, was_taken)
        .order_by(jobs.c.submitted_ms),
    )


def requester_jobs(db: Connection, requester: str, limit: int) -> tuple[JobRow, ...]:
    """Return a requester's jobs, newest first."""
    return _list(
        db,
        select(jobs)
        .where(jobs.c.requester == requester)
        .order_by(jobs.c.submitted_ms.desc(), jobs.c.job_id)
        .limit(limit),
    )


def move(db: Connection, job: JobRow, to: JobState, at_ms: int, **changes: object) -> JobRow:
    """Move a job to another state, with changes, and write the event.

    Raises InvalidTransitionError when the table has no such move, or when the job is no longer in
    the state in which the caller saw it.
    """
    check_move(job.job_id, job.state, to)
    if "detail" in changes:
        changes["detail"] = str(changes["detail"])[:DETAIL_MAX_CHARS]
    changed = db.execute(
        update(jobs)
        .where(jobs.c.job_id == job.job_id, jobs.c.state == job.state.value)
        .values({**changes, "state": to.value})
    )
    if changed.rowcount != 1:
        raise InvalidTransitionError(
            f"cannot move job {job.job_id} to {to.value}: it is not {job.state.value} any more"
        )
    _tell(db, job.job_id, at_ms, (job.state, to), str(changes.get("detail", "")))
    return _again(db, job.job_id)


def change(db: Connection, job: JobRow, **changes: object) -> JobRow:
    """Change a job that stays in its state; raises InvalidTransitionError if it left it."""
    changed = db.execute(
        update(jobs)
        .where(jobs.c.job_id == job.job_id, jobs.c.state == job.state.value)
        .values(changes)
    )
    if changed.rowcount != 1:
        raise InvalidTransitionError(
            f"cannot change job {job.job_id}: it is not {job.state.value} any more"
        )
    return _again(db, job.job_id)


def renew_leases(db: Connection, expires_s: int) -> None:
    """Let every running job's lease last at least until then."""
    db.execute(
        update(jobs)
        .where(jobs.c.state == JobState.RUNNING.value, jobs.c.lease_expires_s < expires_s)
        .values(lease_expires_s=expires_s)
    )


def keep(db: Connection, job_id: str, kind: Paper, body: str) -> None:
    """Keep a paper of a job, in place of an older one of its kind."""
    here = (papers.c.job_id == job_id, papers.c.kind == kind.value)
    if db.execute(update(papers).where(*here).values(body=body)).rowcount == 0:
        db.execute(insert(papers).values(job_id=job_id, kind=kind.value, body=body))


def paper(db: Connection, job_id: str, kind: Paper) -> str | None:
    """Return a paper of a job, or None."""
    return db.execute(
        select(papers.c.body).where(papers.c.job_id == job_id, papers.c.kind == kind.value)
    ).scalar()


def needed_paper(db: Connection, job_id: str, kind: Paper) -> str:
    """Return a paper that the job's state promises; raises InvalidTransitionError without it."""
    body = paper(db, job_id, kind)
    if body is None:
        raise InvalidTransitionError(f"cannot go on with job {job_id}: it has no {kind.value}")
    return body


def spec_of(db: Connection, job_id: str) -> JobSpec:
    """Return a job's spec."""
    return strict.decode(JobSpec, needed_paper(db, job_id, Paper.SPEC))


def request_of(db: Connection, job_id: str) -> JobRequest:
    """Return the request that a job's requester signed."""
    return strict.decode(JobRequest, needed_paper(db, job_id, Paper.REQUEST))


def _again(db: Connection, job_id: str) -> JobRow:
    return _job(db.execute(select(jobs).where(jobs.c.job_id == job_id)).one())


def _list(db: Connection, wanted: Select[tuple[object, ...]]) -> tuple[JobRow, ...]:
    return tuple([_job(row) for row in db.execute(wanted)])


def _job(row: Row[tuple[object, ...]]) -> JobRow:
    values = dict(row._mapping)
    reason = values["reason"]
    return JobRow(
        **values
        | {"state": JobState(values["state"]), "reason": None if reason is None else Reason(reason)}
    )


def _tell(
    db: Connection, job_id: str, at_ms: int, move_: tuple[JobState | None, JobState], detail: str
) -> None:
    start, end = move_
    db.execute(
        insert(events).values(
            job_id=job_id,
            at_ms=at_ms,
            from_state=None if start is None else start.value,
            to_state=end.value,
            detail=detail,
        )
    )
