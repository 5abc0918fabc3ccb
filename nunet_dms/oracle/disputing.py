"""Between the verdict and the settlement: objections of the two parties, the operator's answer.

An objection to the present verdict holds the settlement until the operator revises the verdict,
which may be done once, or upholds it; at most until `terms.hold_end`, so that no deadline is
missed. A revised verdict is the last word: no objection to it is taken.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from nunet_dms.cardano.address import parse_address
from nunet_dms.cardano.cip8 import SignedMessage, verify_message
from nunet_dms.errors import RefusedError
from nunet_dms.oracle import jobs, nodes, verdicts
from nunet_dms.oracle.auth import Caller
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.jobs import JobRow, Paper
from nunet_dms.oracle.tables import jobs as jobs_table
from nunet_dms.oracle.tables import objections, papers
from nunet_dms.oracle.terms import hold_end
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import Done
from nunet_dms.protocol.dispute import (
    Decision,
    Objection,
    Party,
    SignedObjection,
    WalletSigned,
    objection_payload,
)
from nunet_dms.protocol.report import Verdict
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed, seal
from nunet_dms.protocol.submission import JobState

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Dispute:
    """A decided job that somebody objects to, or may; for the operator."""

    job: JobRow
    verdict: Verdict
    objections: tuple[Objection, ...]
    is_held: bool
    """Whether the settlement waits for the operator's answer."""
    held_until_s: int


@dataclass(frozen=True, slots=True)
class Disputed:
    """Which of a requester's jobs somebody objected to, and which verdicts were revised."""

    parties: Mapping[str, tuple[Party, ...]]
    revised: frozenset[str]


def decision_of(oracle: Oracle, caller: Caller, job_id: str) -> Decision:
    """Return a job's verdict to its node or requester; raises RefusedError `no_verdict`."""
    with oracle.store.reading() as db:
        job = jobs.of_party(db, caller, job_id)
        sealed = jobs.paper(db, job_id, Paper.VERDICT)
        if sealed is None:
            raise RefusedError(
                "no_verdict", f"cannot give a verdict: job {job_id} is {job.state.value}"
            )
        return Decision(
            job_id=job_id,
            verdict=strict.decode(Sealed, sealed),
            first_verdict=first_verdict(db, job_id),
            window_ends_s=job.window_ends_s or 0,
            objections=signed_objections(db, job_id),
        )


def object_to(oracle: Oracle, caller: Caller, job_id: str, signed: SignedObjection) -> Done:
    """Take an objection to the present verdict on a job; the same again is a duplicate.

    Raises RefusedError `not_decided`, `revised_already`, `window_closed`, `other_verdict`,
    `objected_already`, `foreign_objection`, and VerificationError for one that its party did not
    sign.
    """
    party: Party = "node" if caller.kind == "node" else "requester"
    text = strict.encode(signed).decode()
    with oracle.store.writing() as db:
        job = jobs.of_party(db, caller, job_id)
        if (party, text) in _stored(db, job_id):
            return Done(duplicate=True)
        given = _open(db, job, party, signed)
        _check(db, job, given, oracle.clock())
        db.execute(
            insert(objections).values(
                job_id=job_id,
                verdict_hash=given.verdict_hash,
                party=party,
                signed=text,
                taken_s=int(oracle.clock()),
                is_answered=False,
            )
        )
    log.warning("objection job=%s by=%s evidence=%s", job_id, party, given.evidence_sha256)
    oracle.notifier.wake(job_id)
    return Done()


def revise(oracle: Oracle, job_id: str, percent: int, why: str) -> Verdict:
    """Put another verdict in the place of a job's first one: the provider gets `percent`.

    Raises RefusedError `not_decided`, `revised_already`, or `no_report` where the provider would
    be paid for a job that it signed no report of.
    """
    with oracle.store.writing() as db:
        job = _decided(db, job_id)
        sealed = strict.decode(Sealed, jobs.needed_paper(db, job_id, Paper.VERDICT))
        first = open_sealed(sealed, Verdict, Domain.VERDICT, oracle.keys.ticket.public)
        if first.revises is not None:
            raise RefusedError(
                "revised_already", f"cannot revise: the verdict on job {job_id} was revised before"
            )
        if percent and job.report_hash is None:
            raise RefusedError(
                "no_report",
                f"cannot pay for job {job_id}: its node signed no report of it",
                hint="only a revision to 0 percent is possible",
            )
        new = verdicts.revise(first, sealed.digest, percent, why, int(oracle.clock()))
        revised = strict.encode(seal(new, Domain.VERDICT, oracle.keys.ticket)).decode()
        jobs.keep(db, job_id, Paper.FIRST_VERDICT, strict.encode(sealed).decode())
        jobs.keep(db, job_id, Paper.VERDICT, revised)
        jobs.change(
            db, job, provider_amount=new.provider_amount, requester_amount=new.requester_amount
        )
        _answer(db, job_id)
    log.warning("verdict_revised job=%s percent=%d why=%s", job_id, percent, why)
    oracle.notifier.wake(job.node_id, job_id)
    return new


def uphold(oracle: Oracle, job_id: str) -> int:
    """Let the verdict on a job stand against every objection so far; returns how many.

    Raises RefusedError `not_decided`, or `no_objection` where there is none to answer.
    """
    with oracle.store.writing() as db:
        _decided(db, job_id)
        answered = _answer(db, job_id)
        if not answered:
            raise RefusedError("no_objection", f"cannot uphold: nobody objects in job {job_id}")
    log.warning("verdict_upheld job=%s objections=%d", job_id, answered)
    return answered


def disputes(oracle: Oracle, limit: int) -> tuple[Dispute, ...]:
    """Return decided jobs that were objected to, those that wait for the operator first."""
    now_s = int(oracle.clock())
    slot = oracle.chain.slot_at(now_s)
    with oracle.store.reading() as db:
        found = [
            _dispute(db, job, now_s, slot)
            for job in jobs.in_state(db, JobState.DECIDED, limit)
            if signed_objections(db, job.job_id)
        ]
    return tuple(sorted(found, key=lambda each: (not each.is_held, each.held_until_s)))


def is_over(db: Connection, job: JobRow, now_s: int, slot: int) -> bool:
    """Say whether a decided job's window has ended and no unanswered objection holds it."""
    if now_s < (job.window_ends_s or 0):
        return False
    return not _is_unanswered(db, job.job_id) or now_s >= hold_end(job, now_s, slot)


def first_verdict(db: Connection, job_id: str) -> Sealed | None:
    """Return the verdict that was revised, if one was."""
    text = jobs.paper(db, job_id, Paper.FIRST_VERDICT)
    return None if text is None else strict.decode(Sealed, text)


def signed_objections(db: Connection, job_id: str) -> tuple[SignedObjection, ...]:
    """Return every objection in a job, as they were signed, in the order in which they came."""
    return tuple([strict.decode(SignedObjection, text) for _, text in _stored(db, job_id)])


def disputed(db: Connection, requester: str, job_id: str | None = None) -> Disputed:
    """Return what is disputed of all jobs of a requester, or of one."""
    theirs = select(jobs_table.c.job_id).where(jobs_table.c.requester == requester)
    if job_id is not None:
        theirs = theirs.where(jobs_table.c.job_id == job_id)
    found: dict[str, tuple[Party, ...]] = {}
    for row in db.execute(
        select(objections.c.job_id, objections.c.party)
        .where(objections.c.job_id.in_(theirs))
        .order_by(objections.c.taken_s, objections.c.party)
    ):
        party: Party = "node" if row.party == "node" else "requester"
        found[row.job_id] = (*found.get(row.job_id, ()), party)
    revised = select(papers.c.job_id).where(
        papers.c.kind == Paper.FIRST_VERDICT.value, papers.c.job_id.in_(theirs)
    )
    return Disputed(found, frozenset(db.execute(revised).scalars()))


def parties(db: Connection, job_id: str) -> tuple[Party, ...]:
    """Return who objected in a job, in order."""
    return tuple([party for party, _ in _stored(db, job_id)])


def _stored(db: Connection, job_id: str) -> list[tuple[Party, str]]:
    rows = db.execute(
        select(objections.c.party, objections.c.signed)
        .where(objections.c.job_id == job_id)
        .order_by(objections.c.taken_s, objections.c.party)
    )
    return [("node" if party == "node" else "requester", text) for party, text in rows]


def _is_unanswered(db: Connection, job_id: str) -> bool:
    wanted = select(objections.c.job_id).where(
        objections.c.job_id == job_id, ~objections.c.is_answered
    )
    return db.execute(wanted).first() is not None


def _answer(db: Connection, job_id: str) -> int:
    """Mark a job's objections as answered; returns how many were not."""
    here = (objections.c.job_id == job_id, ~objections.c.is_answered)
    return db.execute(update(objections).where(*here).values(is_answered=True)).rowcount


def _open(db: Connection, job: JobRow, party: Party, signed: SignedObjection) -> Objection:
    """Return an objection that its party signed."""
    if party == "node" and signed.node is not None and signed.requester is None:
        node = nodes.find(db, job.node_id)
        if node is None:
            raise jobs.unknown(job.job_id)
        given = open_sealed(signed.node, Objection, Domain.OBJECTION, node.public_key)
    elif party == "requester" and signed.requester is not None and signed.node is None:
        given = _wallet_s(signed.requester, job.requester)
    else:
        raise _foreign("it is not signed by the side that brings it")
    if (given.job_id, given.party) != (job.job_id, party):
        raise _foreign("it is of another job or side")
    return given


def _wallet_s(signed: WalletSigned, address: str) -> Objection:
    message = SignedMessage(bytes.fromhex(signed.cose_sign1), bytes.fromhex(signed.cose_key))
    if verify_message(message, parse_address(address)) != objection_payload(signed.text):
        raise _foreign("the wallet signed something else")
    return strict.decode(Objection, signed.text, at="$.requester.text")


def _check(db: Connection, job: JobRow, given: Objection, now_s: float) -> None:
    """Refuse an objection that comes too early, too late, twice, or to another verdict."""
    _decided(db, job.job_id)
    if jobs.paper(db, job.job_id, Paper.FIRST_VERDICT) is not None:
        raise RefusedError(
            "revised_already",
            f"cannot take the objection: the verdict on job {job.job_id} was revised, which is "
            "the last word",
        )
    if now_s >= (job.window_ends_s or 0):
        raise RefusedError(
            "window_closed", f"cannot take the objection: the window of job {job.job_id} has ended"
        )
    sealed = strict.decode(Sealed, jobs.needed_paper(db, job.job_id, Paper.VERDICT))
    if given.verdict_hash != sealed.digest:
        raise RefusedError(
            "other_verdict",
            f"cannot take the objection: the verdict on job {job.job_id} is another one",
            where="$.verdict_hash",
        )
    known = select(objections.c.job_id).where(
        objections.c.job_id == job.job_id,
        objections.c.verdict_hash == given.verdict_hash,
        objections.c.party == given.party,
    )
    if db.execute(known).first() is not None:
        raise RefusedError(
            "objected_already",
            f"cannot take the objection: the {given.party} of job {job.job_id} has objected",
        )


def _decided(db: Connection, job_id: str) -> JobRow:
    job = jobs.find(db, job_id)
    if job is None:
        raise jobs.unknown(job_id)
    if job.state is not JobState.DECIDED:
        raise RefusedError(
            "not_decided",
            f"cannot do this: job {job_id} is {job.state.value}, no verdict on it is open",
        )
    return job


def _dispute(db: Connection, job: JobRow, now_s: int, slot: int) -> Dispute:
    sealed = strict.decode(Sealed, jobs.needed_paper(db, job.job_id, Paper.VERDICT))
    return Dispute(
        job=job,
        verdict=strict.decode(Verdict, sealed.payload),
        objections=tuple([_inside(each) for each in signed_objections(db, job.job_id)]),
        is_held=_is_unanswered(db, job.job_id) and now_s < hold_end(job, now_s, slot),
        held_until_s=hold_end(job, now_s, slot),
    )


def _inside(signed: SignedObjection) -> Objection:
    """Return a stored objection: its signature was checked when it came."""
    text = signed.node.payload if signed.node else signed.requester.text if signed.requester else ""
    return strict.decode(Objection, text)


def _foreign(why: str) -> RefusedError:
    return RefusedError("foreign_objection", f"cannot take the objection: {why}")
