"""From a reported job to its payout: verdict, the transaction, two signatures, the receipt."""

from __future__ import annotations

import logging

from sqlalchemy import Connection

from nunet_dms.cardano.address import parse_address
from nunet_dms.cardano.agreement import settlement_terms
from nunet_dms.cardano.builder import build_settlement
from nunet_dms.cardano.chain.backend import ChainTransaction
from nunet_dms.cardano.settlement import check_settlement
from nunet_dms.cardano.signing import add_witness, sign
from nunet_dms.cardano.transaction import Witness, read_transaction
from nunet_dms.errors import CapacityError, RefusedError, UnreachableError
from nunet_dms.oracle import disputing, jobs, watching
from nunet_dms.oracle.auth import Caller
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.jobs import JobRow, Paper
from nunet_dms.oracle.receipts import receipt_for
from nunet_dms.oracle.terms import payment_output, window_end
from nunet_dms.oracle.verdicts import decide
from nunet_dms.oracle.watching import Sight
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import Done
from nunet_dms.protocol.node import Cosignature, Settlement
from nunet_dms.protocol.quote import JobRequest
from nunet_dms.protocol.receipt import linked
from nunet_dms.protocol.report import Verdict
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed, seal
from nunet_dms.protocol.submission import JobState

FINAL_BLOCKS = 2160
"""Blocks on top of a settlement after which no node rolls it back: Cardano's security parameter."""
FINAL_AFTER_S = 129_600
"""As long as that many blocks take at the slowest (3k/f slots)."""

log = logging.getLogger(__name__)


def begin(oracle: Oracle, job_id: str) -> None:
    """Decide a reported job, and settle it at once where no window is to be waited for.

    Does nothing in any other state; what the chain cannot say now is asked again later.
    """
    decide_reported(oracle, job_id)
    try:
        pay_out(oracle, job_id)
    except UnreachableError as error:
        log.warning("settlement_waits job=%s why=%s", job_id, error)


def decide_reported(oracle: Oracle, job_id: str) -> None:
    """Sign the verdict on a reported job, and open the window for objections."""
    now_s = int(oracle.clock())
    slot = oracle.chain.slot_at(now_s)
    with oracle.store.writing() as db:
        job = jobs.find(db, job_id)
        if job is None or job.state is not JobState.REPORTED:
            return
        verdict = decide(job, now_s)
        sealed = seal(verdict, Domain.VERDICT, oracle.keys.ticket)
        jobs.keep(db, job_id, Paper.VERDICT, strict.encode(sealed).decode())
        jobs.move(
            db,
            job,
            JobState.DECIDED,
            oracle.now_ms,
            provider_amount=verdict.provider_amount,
            requester_amount=verdict.requester_amount,
            window_ends_s=window_end(job, oracle.config.window_s, now_s, slot),
            detail=job.detail,
        )
    log.info(
        "verdict job=%s reason=%s provider=%d requester=%d",
        job_id,
        verdict.reason.value,
        verdict.provider_amount,
        verdict.requester_amount,
    )
    oracle.notifier.wake(job_id)


def pay_out(oracle: Oracle, job_id: str) -> None:
    """Sign the settlement of a decided job whose window has ended, if its payment is there.

    Only one settlement of a job is ever signed: the verdict cannot be revised from then on.
    """
    now_s = int(oracle.clock())
    slot = oracle.chain.slot_at(now_s)
    with oracle.store.reading() as db:
        job = jobs.find(db, job_id)
        if not _is_due(db, job, now_s, slot) or job is None:
            return
        text = jobs.needed_paper(db, job_id, Paper.VERDICT)
        request = jobs.request_of(db, job_id)
    if not _is_payable(oracle, job, slot):
        return
    verdict = open_sealed(
        strict.decode(Sealed, text), Verdict, Domain.VERDICT, oracle.keys.ticket.public
    )
    raw = _settlement(oracle, job, request, verdict)
    if raw is None:
        return
    with oracle.store.writing() as db:
        now = jobs.find(db, job_id)
        if not _is_due(db, now, now_s, slot) or now is None:
            return
        if jobs.needed_paper(db, job_id, Paper.VERDICT) != text:
            return  # revised meanwhile: the next turn pays what it says now
        jobs.keep(db, job_id, Paper.SETTLEMENT_TX, raw.hex())
        tx_id = read_transaction(raw).tx_id.hex()
        jobs.move(
            db,
            now,
            JobState.SETTLING,
            oracle.now_ms,
            settlement_tx_id=tx_id,
            look_at_s=None,
            detail=now.detail,
        )
    log.info("settlement_signed job=%s provider=%d", job_id, verdict.provider_amount)
    oracle.notifier.wake(job.node_id, job_id)


def _settlement(oracle: Oracle, job: JobRow, request: JobRequest, verdict: Verdict) -> bytes | None:
    """Return the settlement with our signature; None if the escrow went since it was seen."""
    escrow = oracle.chain.utxo(payment_output(job))
    if escrow is None:
        return None
    terms = settlement_terms(request, payment_output(job), verdict)
    parameters = oracle.chain.parameters()
    raw = build_settlement(escrow, terms, parameters).raw
    check_settlement(raw, terms, parameters)
    return sign(raw, oracle.keys.escrow)


def _is_due(db: Connection, job: JobRow | None, now_s: int, slot: int) -> bool:
    return (
        job is not None
        and job.state is JobState.DECIDED
        and disputing.is_over(db, job, now_s, slot)
    )


def _is_payable(oracle: Oracle, job: JobRow, slot: int) -> bool:
    """Say whether a job's payment is there now; what never will be makes the job void."""
    standing = watching.look(oracle, job)
    missing_s = standing.job.payment_missing_s
    is_missed = missing_s is not None and oracle.clock() - missing_s >= watching.PAYMENT_GRACE_S
    if standing.is_final or (is_missed and slot > job.deadline_slot):
        _void(oracle, job, standing.why)
    return standing.sight is Sight.THERE


def waiting(db: Connection, job: JobRow) -> Settlement:
    """Return the settlement of a settling job, for its other signer."""
    return Settlement(
        job_id=job.job_id,
        verdict=strict.decode(Sealed, jobs.needed_paper(db, job.job_id, Paper.VERDICT)),
        first_verdict=disputing.first_verdict(db, job.job_id),
        tx=jobs.needed_paper(db, job.job_id, Paper.SETTLEMENT_TX),
        request=jobs.request_of(db, job.job_id),
        escrow_tx_id=job.payment_tx_id,
        escrow_output_index=job.payment_index,
    )


def settlement_of(oracle: Oracle, caller: Caller, job_id: str) -> Settlement:
    """Return a settlement to its node or requester; raises RefusedError `no_settlement`."""
    with oracle.store.reading() as db:
        job = jobs.of_party(db, caller, job_id)
        if jobs.paper(db, job_id, Paper.SETTLEMENT_TX) is None:
            raise RefusedError(
                "no_settlement", f"cannot give a settlement: job {job_id} is {job.state.value}"
            )
        return waiting(db, job)


def cosign(oracle: Oracle, caller: Caller, job_id: str, given: Cosignature) -> Done:
    """Add the second signature and hand the settlement to the chain.

    Raises RefusedError `foreign_key` unless the node's settlement key or the requester's payment
    key signed, VerificationError `bad_signature`, RefusedError `not_settling`.
    """
    witness = Witness(bytes.fromhex(given.public_key), bytes.fromhex(given.signature))
    with oracle.store.writing() as db:
        job = jobs.of_party(db, caller, job_id)
        if job.state not in (JobState.SETTLING, JobState.SETTLED):
            raise RefusedError("not_settling", f"cannot co-sign: job {job_id} is {job.state.value}")
        _check_signer(jobs.request_of(db, job_id), witness)
        raw = bytes.fromhex(jobs.needed_paper(db, job_id, Paper.SETTLEMENT_TX))
        whole = add_witness(raw, witness)
        if job.cosigned:
            return Done(duplicate=True)
        jobs.keep(db, job_id, Paper.SETTLEMENT_TX, whole.hex())
        tx_id = read_transaction(whole).tx_id.hex()
        job = jobs.change(db, job, cosigned=True, settlement_tx_id=tx_id, look_at_s=None)
    log.info("settlement_cosigned job=%s by=%s tx=%s", job_id, caller.kind, tx_id)
    try:
        if _is_payable(oracle, job, oracle.chain.slot_at(oracle.clock())):
            _hand_in(oracle, job_id, whole)
    except UnreachableError as error:
        log.warning("settlement_waits job=%s why=%s", job_id, error)
    return Done()


def follow(oracle: Oracle, job: JobRow) -> None:
    """Look for a settling job's payout on the chain: settle it, or hand it in again.

    Void is a job whose escrow was spent by another transaction, or whose payment never comes back.
    One that waits for a second signature is looked for the more rarely the longer it waits.
    """
    if not job.cosigned and job.look_at_s is not None:
        return
    found = _on_chain(oracle, job)
    if not job.cosigned and found is None:
        _look_later(oracle, job)
    if found is None and _is_payable(oracle, job, oracle.chain.slot_at(oracle.clock())):
        if job.cosigned:
            with oracle.store.reading() as db:
                raw = bytes.fromhex(jobs.needed_paper(db, job.job_id, Paper.SETTLEMENT_TX))
            _hand_in(oracle, job.job_id, raw)
    elif found is not None and found.valid:
        deep = oracle.chain.tip().height - found.height + 1
        if deep >= oracle.network.confirmations:
            _settle(oracle, job, found)


def follow_settled(oracle: Oracle, job: JobRow) -> None:
    """See that the chain still has a settlement, until it is final; else hand it in again."""
    found = _on_chain(oracle, job)
    now_s = int(oracle.clock())
    settled_s = (job.settled_ms or 0) // 1000
    is_final = found is not None and (
        oracle.chain.tip().height - found.height + 1 >= FINAL_BLOCKS
        or now_s - settled_s >= FINAL_AFTER_S
    )
    with oracle.store.writing() as db:
        now = jobs.find(db, job.job_id)
        if now is None or now.state is not JobState.SETTLED:
            return
        if found is not None:
            again_s = None if is_final else watching.next_look_s(now_s, settled_s)
            jobs.change(db, now, look_at_s=again_s)
            return
        now = jobs.change(db, now, receipt_acked=False, look_at_s=None, settled_ms=None)
        jobs.move(db, now, JobState.SETTLING, oracle.now_ms, detail=now.detail)
    log.error("settlement_rolled_back job=%s tx=%s", job.job_id, job.settlement_tx_id)
    oracle.notifier.wake(job.node_id, job.job_id)


def _check_signer(request: JobRequest, witness: Witness) -> None:
    allowed = {
        bytes.fromhex(request.node_key_hash),
        parse_address(request.requester).payment_hash,
    }
    if witness.key_hash not in allowed:
        raise RefusedError(
            "foreign_key",
            "cannot co-sign: the key is neither the node's settlement key nor the requester's",
            where="$.public_key",
        )


def _settle(oracle: Oracle, job: JobRow, found: ChainTransaction) -> None:
    now_s = int(oracle.clock())
    with oracle.store.writing() as db:
        now = jobs.find(db, job.job_id)
        if now is None or now.state is not JobState.SETTLING:
            return
        receipt = receipt_for(db, now, found)
        sealed = seal(linked(receipt), Domain.RECEIPT, oracle.keys.ticket)
        jobs.keep(db, job.job_id, Paper.RECEIPT, strict.encode(sealed).decode())
        jobs.keep(db, job.job_id, Paper.SETTLEMENT_TX, found.raw.hex())  # both have signed it
        jobs.move(
            db,
            now,
            JobState.SETTLED,
            oracle.now_ms,
            settled_ms=oracle.now_ms,
            cosigned=True,
            look_at_s=watching.next_look_s(now_s, now_s),
            detail=now.detail,
        )
    log.info("job_settled job=%s tx=%s height=%d", job.job_id, job.settlement_tx_id, found.height)
    oracle.notifier.wake(job.node_id, job.job_id)


def _on_chain(oracle: Oracle, job: JobRow) -> ChainTransaction | None:
    """Return a job's settlement as the chain has it: whoever co-signs may send it past us."""
    if job.settlement_tx_id is None:
        return None
    return oracle.chain.transaction(bytes.fromhex(job.settlement_tx_id))


def _look_later(oracle: Oracle, job: JobRow) -> None:
    """Note when to look again for a settlement that nobody has co-signed."""
    now_s = int(oracle.clock())
    since_s = (job.finished_ms or job.submitted_ms) // 1000
    with oracle.store.writing() as db:
        now = jobs.find(db, job.job_id)
        if now is not None and now.state is JobState.SETTLING and not now.cosigned:
            jobs.change(db, now, look_at_s=watching.next_look_s(now_s, since_s))


def _void(oracle: Oracle, job: JobRow, why: str) -> None:
    if _on_chain(oracle, job) is not None:
        return  # our own settlement has spent the escrow meanwhile
    with oracle.store.writing() as db:
        now = jobs.find(db, job.job_id)
        if now is None or now.state is not job.state:
            return
        jobs.move(db, now, JobState.VOID, oracle.now_ms, detail=f"nothing to pay out: {why}")
    log.error("job_void job=%s why=%s", job.job_id, why)
    oracle.notifier.wake(job.node_id, job.job_id)


def _hand_in(oracle: Oracle, job_id: str, raw: bytes) -> None:
    """Hand the settlement to the chain; what goes wrong now is tried again by the clockwork."""
    try:
        oracle.chain.submit(raw)
    except (RefusedError, CapacityError, UnreachableError) as error:
        log.error("settlement_waits job=%s why=%s", job_id, error)
