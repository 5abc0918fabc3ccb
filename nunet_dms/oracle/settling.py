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
from nunet_dms.oracle import jobs
from nunet_dms.oracle.auth import Caller
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.jobs import JobRow, Paper
from nunet_dms.oracle.offering import spec_of
from nunet_dms.oracle.terms import payment_output
from nunet_dms.oracle.verdicts import decide
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import Done
from nunet_dms.protocol.node import Cosignature, Settlement
from nunet_dms.protocol.quote import JobRequest
from nunet_dms.protocol.receipt import Receipt, linked
from nunet_dms.protocol.signing import Domain, Sealed, seal
from nunet_dms.protocol.submission import JobState

SPENT_ELSEWHERE = "the escrow was spent by another transaction"

log = logging.getLogger(__name__)


def begin(oracle: Oracle, job_id: str) -> None:
    """Decide a reported job and sign the settlement; does nothing in any other state."""
    with oracle.store.reading() as db:
        job = jobs.find(db, job_id)
        if job is None or job.state is not JobState.REPORTED:
            return
        request = _request(db, job_id)
    verdict = decide(job, int(oracle.clock()))
    escrow = oracle.chain.utxo(payment_output(job))
    if escrow is None:
        _escrow_gone(oracle, job)
        return
    terms = settlement_terms(request, payment_output(job), verdict)
    parameters = oracle.chain.parameters()
    raw = build_settlement(escrow, terms, parameters).raw
    check_settlement(raw, terms, parameters)
    raw = sign(raw, oracle.keys.escrow)
    with oracle.store.writing() as db:
        now = jobs.find(db, job_id)
        if now is None or now.state is not JobState.REPORTED:
            return
        sealed = seal(verdict, Domain.VERDICT, oracle.keys.ticket)
        jobs.keep(db, job_id, Paper.VERDICT, strict.encode(sealed).decode())
        jobs.keep(db, job_id, Paper.SETTLEMENT_TX, raw.hex())
        jobs.move(
            db,
            now,
            JobState.SETTLING,
            oracle.now_ms,
            provider_amount=verdict.provider_amount,
            requester_amount=verdict.requester_amount,
            detail=now.detail,
        )
    log.info(
        "verdict job=%s reason=%s provider=%d requester=%d",
        job_id,
        verdict.reason.value,
        verdict.provider_amount,
        verdict.requester_amount,
    )
    oracle.notifier.wake(job.node_id, job_id)


def waiting(db: Connection, job: JobRow) -> Settlement:
    """Return the settlement of a settling job, for its other signer."""
    return Settlement(
        job_id=job.job_id,
        verdict=strict.decode(Sealed, jobs.needed_paper(db, job.job_id, Paper.VERDICT)),
        tx=jobs.needed_paper(db, job.job_id, Paper.SETTLEMENT_TX),
        request=_request(db, job.job_id),
        escrow_tx_id=job.payment_tx_id,
        escrow_output_index=job.payment_index,
    )


def settlement_of(oracle: Oracle, caller: Caller, job_id: str) -> Settlement:
    """Return a settlement to its node or requester; raises RefusedError `no_settlement`."""
    with oracle.store.reading() as db:
        job = party_job(db, caller, job_id)
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
        job = party_job(db, caller, job_id)
        if job.state not in (JobState.SETTLING, JobState.SETTLED):
            raise RefusedError("not_settling", f"cannot co-sign: job {job_id} is {job.state.value}")
        _check_signer(_request(db, job_id), witness)
        raw = bytes.fromhex(jobs.needed_paper(db, job_id, Paper.SETTLEMENT_TX))
        whole = add_witness(raw, witness)
        if job.cosigned:
            return Done(duplicate=True)
        jobs.keep(db, job_id, Paper.SETTLEMENT_TX, whole.hex())
        tx_id = read_transaction(whole).tx_id.hex()
        jobs.change(db, job, cosigned=True, settlement_tx_id=tx_id)
    log.info("settlement_cosigned job=%s by=%s tx=%s", job_id, caller.kind, tx_id)
    _hand_in(oracle, job_id, whole)
    return Done()


def follow(oracle: Oracle, job: JobRow) -> None:
    """Look for a settling job's payout on the chain: settle it, or hand it in again."""
    if job.settlement_tx_id is not None and job.cosigned:
        found = oracle.chain.transaction(bytes.fromhex(job.settlement_tx_id))
        if found is not None:
            deep = oracle.chain.tip().height - found.height + 1
            if found.valid and deep >= oracle.network.confirmations:
                _settle(oracle, job, found)
            return
    if oracle.chain.is_spent(payment_output(job)):
        _void(oracle, job, JobState.SETTLING)
    elif job.cosigned:
        with oracle.store.reading() as db:
            raw = bytes.fromhex(jobs.needed_paper(db, job.job_id, Paper.SETTLEMENT_TX))
        _hand_in(oracle, job.job_id, raw)


def receipt_of(oracle: Oracle, caller: Caller, job_id: str) -> Sealed:
    """Return a settled job's receipt; raises RefusedError `no_receipt` before that."""
    with oracle.store.reading() as db:
        job = party_job(db, caller, job_id)
        text = jobs.paper(db, job_id, Paper.RECEIPT)
    if text is None:
        raise RefusedError(
            "no_receipt", f"cannot give a receipt: job {job_id} is {job.state.value}"
        )
    return strict.decode(Sealed, text)


def ack_receipt(oracle: Oracle, node_id: str, job_id: str) -> Done:
    """Note that the node has the receipt; raises RefusedError `no_receipt`."""
    with oracle.store.writing() as db:
        job = jobs.of_node(db, job_id, node_id)
        if job.state is not JobState.SETTLED:
            raise RefusedError("no_receipt", f"cannot take this: job {job_id} has no receipt")
        if job.receipt_acked:
            return Done(duplicate=True)
        jobs.change(db, job, receipt_acked=True)
    return Done()


def party_job(db: Connection, caller: Caller, job_id: str) -> JobRow:
    """Return a job to its node or its requester; raises RefusedError `unknown_job`."""
    if caller.kind == "node":
        return jobs.of_node(db, job_id, caller.subject)
    return jobs.of_requester(db, job_id, caller.subject)


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
    with oracle.store.writing() as db:
        now = jobs.find(db, job.job_id)
        if now is None or now.state is not JobState.SETTLING:
            return
        receipt = _receipt(db, now, found)
        sealed = seal(linked(receipt), Domain.RECEIPT, oracle.keys.ticket)
        jobs.keep(db, job.job_id, Paper.RECEIPT, strict.encode(sealed).decode())
        jobs.move(
            db, now, JobState.SETTLED, oracle.now_ms, settled_ms=oracle.now_ms, detail=now.detail
        )
    log.info("job_settled job=%s tx=%s height=%d", job.job_id, job.settlement_tx_id, found.height)
    oracle.notifier.wake(job.node_id, job.job_id)


def _receipt(db: Connection, job: JobRow, found: ChainTransaction) -> Receipt:
    ticket = jobs.paper(db, job.job_id, Paper.TICKET)
    report = jobs.paper(db, job.job_id, Paper.REPORT)
    return Receipt(
        job_id=job.job_id,
        spec=spec_of(db, job.job_id),
        request=_request(db, job.job_id),
        request_cose_sign1=jobs.needed_paper(db, job.job_id, Paper.COSE_SIGN1),
        request_cose_key=jobs.needed_paper(db, job.job_id, Paper.COSE_KEY),
        payment_tx=jobs.needed_paper(db, job.job_id, Paper.PAYMENT_TX),
        payment_tx_id=job.payment_tx_id,
        ticket=None if ticket is None else strict.decode(Sealed, ticket),
        report=None if report is None else strict.decode(Sealed, report),
        verdict=strict.decode(Sealed, jobs.needed_paper(db, job.job_id, Paper.VERDICT)),
        settlement_tx=found.raw.hex(),
        settlement_tx_id=read_transaction(found.raw).tx_id.hex(),
        settled_height=found.height,
    )


def _escrow_gone(oracle: Oracle, job: JobRow) -> None:
    """A reported job's escrow cannot be read: void if it was spent, else wait (a rollback)."""
    if oracle.chain.is_spent(payment_output(job)):
        _void(oracle, job, JobState.REPORTED)
    else:
        log.error("escrow_not_on_chain job=%s", job.job_id)


def _void(oracle: Oracle, job: JobRow, expected: JobState) -> None:
    with oracle.store.writing() as db:
        now = jobs.find(db, job.job_id)
        if now is None or now.state is not expected:
            return
        jobs.move(db, now, JobState.VOID, oracle.now_ms, detail=SPENT_ELSEWHERE)
    log.error("escrow_spent_elsewhere job=%s", job.job_id)
    oracle.notifier.wake(job.node_id, job.job_id)


def _hand_in(oracle: Oracle, job_id: str, raw: bytes) -> None:
    """Hand the settlement to the chain; what goes wrong now is tried again by the clockwork."""
    try:
        oracle.chain.submit(raw)
    except (RefusedError, CapacityError, UnreachableError) as error:
        log.error("settlement_waits job=%s why=%s", job_id, error)


def _request(db: Connection, job_id: str) -> JobRequest:
    return strict.decode(JobRequest, jobs.needed_paper(db, job_id, Paper.REQUEST))
