"""From a payment on the chain to a running job: confirm, sign the ticket, offer, accept."""

from __future__ import annotations

import logging
import secrets

from sqlalchemy import Connection

from nunet_dms.cardano.agreement import escrow_terms
from nunet_dms.cardano.payment import Inclusion, PaymentRefusal, check_inclusion
from nunet_dms.errors import RefusedError, UnreachableError, VerificationError
from nunet_dms.oracle import jobs, watching
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.jobs import JobRow, Paper
from nunet_dms.oracle.registering import LEASE_S
from nunet_dms.oracle.terms import SETTLEMENT_SLOTS, payment_terms
from nunet_dms.oracle.watching import Sight
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import Done
from nunet_dms.protocol.node import Acceptance, Lease, Offer, Refusal
from nunet_dms.protocol.quote import JobRequest
from nunet_dms.protocol.report import Reason
from nunet_dms.protocol.signing import Sealed
from nunet_dms.protocol.submission import JobState
from nunet_dms.protocol.ticket import Ticket, seal_ticket

OFFER_LIFE_S = 600
"""Of a ticket: the node has that long to take the job."""
PAYMENT_WAIT_S = 3600
"""A payment that is not on the chain by then makes the job void."""

log = logging.getLogger(__name__)


def confirm(oracle: Oracle, job: JobRow) -> JobRow:
    """Look for a submitted job's payment on the chain, and offer the job once it is there.

    A payment that can never count makes the job void; one that came too late is refunded.
    """
    raw, request = watching.paid(oracle, job)
    seen, block_hash = watching.inclusion(oracle, job)
    terms = payment_terms(request, oracle.network, job.time_limit_s, oracle.config.window_s)
    try:
        check_inclusion(raw, seen, terms)
    except VerificationError as refusal:
        return _not_confirmed(oracle, job, refusal)
    with oracle.store.writing() as db:
        now = jobs.find(db, job.job_id)
        if now is None or now.state is not JobState.SUBMITTED:
            return now or job
        if now.cancel_requested:
            return end_unpaid(oracle, db, now, Reason.CANCELLED, "cancelled before the offer")
        ticket = _ticket(oracle, now, request, seen, block_hash)
        sealed = seal_ticket(ticket, oracle.keys.ticket)
        jobs.keep(db, job.job_id, Paper.TICKET, strict.encode(sealed).decode())
        moved = jobs.move(
            db,
            now,
            JobState.OFFERED,
            oracle.now_ms,
            ticket_id=ticket.ticket_id,
            offer_expires_s=ticket.expires_s,
            look_at_s=watching.next_look_s(ticket.issued_s, ticket.issued_s),
        )
    log.info("job_offered job=%s node=%s height=%d", job.job_id, job.node_id, seen.height)
    oracle.notifier.wake(job.node_id, job.job_id)
    return moved


def accept(oracle: Oracle, node_id: str, job_id: str, acceptance: Acceptance) -> Lease:
    """Give the job to its node; the same ticket again gets the same lease.

    The payment is looked for once more. Raises RefusedError `not_offered` for an offer that is
    cancelled, expired or another's, UnreachableError while the chain does not have the payment or
    does not answer: the node is to ask again.
    """
    now_s = int(oracle.clock())
    _check_paid(oracle, _node_job(oracle, job_id, node_id), acceptance)
    with oracle.store.writing() as db:
        job = jobs.of_node(db, job_id, node_id)
        if job.ticket_id != acceptance.ticket_id:
            raise _not_offered(job)
        if job.state is JobState.RUNNING and job.lease_expires_s is not None:
            return Lease(expires_s=job.lease_expires_s)
        if job.state is not JobState.OFFERED or (job.offer_expires_s or 0) <= now_s:
            raise _not_offered(job)
        if job.payment_missing_s is not None:
            raise _not_paid(job)
        expires_s = now_s + LEASE_S
        jobs.move(
            db,
            job,
            JobState.RUNNING,
            oracle.now_ms,
            lease_expires_s=expires_s,
            started_ms=oracle.now_ms,
            look_at_s=watching.next_look_s(now_s, now_s),
        )
    log.info("job_accepted job=%s node=%s", job_id, node_id)
    oracle.notifier.wake(job_id)
    return Lease(expires_s=expires_s)


def _check_paid(oracle: Oracle, job: JobRow, acceptance: Acceptance) -> None:
    """See that a job which is about to be given away is still paid, and has the time it needs."""
    if job.state is not JobState.OFFERED or job.ticket_id != acceptance.ticket_id:
        return
    standing = watching.look(oracle, job)
    if standing.is_final:
        lose_payment(oracle, job.job_id, standing.why)
        raise _not_offered(job)
    if standing.sight is not Sight.THERE:
        raise _not_paid(job)
    slots = job.time_limit_s + oracle.config.window_s + SETTLEMENT_SLOTS
    if oracle.chain.slot_at(oracle.clock()) + slots > job.deadline_slot:
        _end_offer(oracle, job.job_id, Reason.NOT_ACCEPTED, "it was taken too late to be settled")
        raise _not_offered(job)


def lose_payment(oracle: Oracle, job_id: str, why: str) -> None:
    """End an offered job whose payment the chain has lost for good."""
    _end_offer(oracle, job_id, Reason.PAYMENT_LOST, why)


def lose_offer(oracle: Oracle, job_id: str, now_s: float) -> None:
    """End a job that its node did not take in time, or could not, for want of its payment."""
    with oracle.store.reading() as db:
        job = jobs.find(db, job_id)
    if job is None or (job.offer_expires_s or 0) > now_s:
        return
    if job.payment_missing_s is None:
        _end_offer(oracle, job_id, Reason.NOT_ACCEPTED, "the node did not take it in time")
    else:
        _end_offer(oracle, job_id, Reason.PAYMENT_LOST, "the chain lost the payment")
    log.warning("offer_expired job=%s node=%s", job_id, job.node_id)


def _end_offer(oracle: Oracle, job_id: str, reason: Reason, why: str) -> None:
    with oracle.store.writing() as db:
        job = jobs.find(db, job_id)
        if job is None or job.state is not JobState.OFFERED:
            return
        end_unpaid(oracle, db, job, reason, why)
    oracle.notifier.wake(job.node_id, job_id)


def refuse(oracle: Oracle, node_id: str, job_id: str, refusal: Refusal) -> Done:
    """Take a node's no: the requester is refunded; raises RefusedError `not_offered`."""
    with oracle.store.writing() as db:
        job = jobs.of_node(db, job_id, node_id)
        if job.ticket_id != refusal.ticket_id:
            raise _not_offered(job)
        if job.reason is Reason.NOT_ACCEPTED:
            return Done(duplicate=True)
        if job.state is not JobState.OFFERED:
            raise _not_offered(job)
        detail = f"{refusal.code}: {refusal.message}"
        end_unpaid(oracle, db, job, Reason.NOT_ACCEPTED, detail)
    oracle.notifier.wake(job_id)
    log.info("job_refused job=%s node=%s code=%s", job_id, node_id, refusal.code)
    return Done()


def end_unpaid(oracle: Oracle, db: Connection, job: JobRow, reason: Reason, detail: str) -> JobRow:
    """Move a job without a report to `reported`: nothing is counted, its payment goes back."""
    return jobs.move(
        db,
        job,
        JobState.REPORTED,
        oracle.now_ms,
        reason=reason.value,
        detail=detail,
        finished_ms=oracle.now_ms,
        ran_ms=0,
    )


def offer_of(db: Connection, job: JobRow) -> Offer:
    """Return what a node is offered."""
    return Offer(
        ticket=strict.decode(Sealed, jobs.needed_paper(db, job.job_id, Paper.TICKET)),
        spec=jobs.needed_paper(db, job.job_id, Paper.SPEC),
        request=jobs.needed_paper(db, job.job_id, Paper.REQUEST),
    )


def _not_confirmed(oracle: Oracle, job: JobRow, refusal: VerificationError) -> JobRow:
    """Wait while the payment may still come, handing it in again; else end the job."""
    is_too_near = refusal.code == PaymentRefusal.DEADLINE_TOO_NEAR.value
    standing = watching.look(oracle, job)
    is_late = oracle.now_ms - job.submitted_ms > PAYMENT_WAIT_S * 1000
    is_lost = standing.is_final or (is_late and standing.sight is Sight.ABSENT)
    if not (is_too_near or is_lost):
        return standing.job
    log.warning("payment_lost job=%s code=%s", job.job_id, refusal.code)
    with oracle.store.writing() as db:
        now = jobs.find(db, job.job_id)
        if now is None or now.state is not JobState.SUBMITTED:
            return now or job
        if is_too_near:
            return end_unpaid(oracle, db, now, Reason.NOT_ACCEPTED, str(refusal))
        moved = jobs.move(db, now, JobState.VOID, oracle.now_ms, detail=standing.why)
    oracle.notifier.wake(job.job_id)
    return moved


def _ticket(
    oracle: Oracle, job: JobRow, request: JobRequest, seen: Inclusion, block_hash: bytes
) -> Ticket:
    issued_s = int(oracle.clock())
    return Ticket(
        ticket_id=secrets.token_hex(16),
        job_id=job.job_id,
        network_magic=oracle.network.magic,
        request_hash=request.digest,
        spec_hash=request.spec_hash,
        node_id=job.node_id,
        requester=job.requester,
        payment_tx_id=job.payment_tx_id,
        payment_output_index=job.payment_index,
        amount=job.price,
        escrow_address=escrow_terms(request).address.bech32,
        block_hash=block_hash.hex(),
        block_height=seen.height,
        confirmations=seen.tip_height - seen.height + 1,
        issued_s=issued_s,
        expires_s=issued_s + OFFER_LIFE_S,
    )


def _not_paid(job: JobRow) -> UnreachableError:
    return UnreachableError(
        f"cannot give job {job.job_id} away: the chain does not have its payment now",
        hint="ask again",
    )


def _not_offered(job: JobRow) -> RefusedError:
    return RefusedError(
        "not_offered", f"cannot do this: job {job.job_id} is {job.state.value}, not on offer to you"
    )


def _node_job(oracle: Oracle, job_id: str, node_id: str) -> JobRow:
    with oracle.store.reading() as db:
        return jobs.of_node(db, job_id, node_id)
