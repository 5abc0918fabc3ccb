"""How a requester gets its tokens back: by co-signing what a verdict says, or alone in the end."""

from __future__ import annotations

from nunet_dms.cardano.address import parse_address
from nunet_dms.cardano.agreement import escrow_terms, settlement_terms
from nunet_dms.cardano.builder import FeeParams, Utxo, build_refund, sign, witness_for
from nunet_dms.cardano.keys import Signer
from nunet_dms.cardano.settlement import check_settlement
from nunet_dms.cardano.transaction import TxInput, Witness
from nunet_dms.errors import VerificationError
from nunet_dms.protocol.dispute import first_of
from nunet_dms.protocol.keys import node_id_of
from nunet_dms.protocol.node import Settlement
from nunet_dms.protocol.quote import JobRequest
from nunet_dms.protocol.receipt import Receipt
from nunet_dms.protocol.report import Report, Verdict, provider_share
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed
from nunet_dms.requester.elsewhere import payment_of
from nunet_dms.requester.records import SubmissionRecord


def cosign(
    settlement: Settlement,
    record: SubmissionRecord,
    ticket_key: str,
    key: Signer,
    params: FeeParams,
) -> Witness:
    """Return our signature under a settlement that pays what a just verdict says.

    The request and the payment are our own record's; the verdict must be the Oracle's and follow
    from its reason by the price table. Raises VerificationError.
    """
    verdict = just_verdict(settlement.verdict, record, ticket_key, settlement.first_verdict)
    payment = payment_of(record)
    escrow_ref = TxInput(bytes.fromhex(settlement.escrow_tx_id), settlement.escrow_output_index)
    if escrow_ref.tx_id != payment.tx_id:
        raise VerificationError(
            "wrong_inputs", "cannot sign the settlement: it does not spend what we paid"
        )
    raw = bytes.fromhex(settlement.tx)
    check_settlement(raw, settlement_terms(record.request, escrow_ref, verdict), params)
    return witness_for(raw, key)


def just_verdict(
    sealed: Sealed, record: SubmissionRecord, ticket_key: str, first: Sealed | None = None
) -> Verdict:
    """Return the Oracle's verdict on a recorded job when its amounts follow from its reason.

    One that was revised must be so in our favour: raises VerificationError, `revised_against_us`
    (its node may sign it), or another code for what is wrong.
    """
    verdict = open_sealed(sealed, Verdict, Domain.VERDICT, ticket_key)
    if verdict.revises is None:
        return _follows(verdict, record)
    before = _follows(first_of(verdict, first, ticket_key), record)
    if verdict.provider_amount > before.provider_amount:
        raise VerificationError(
            "revised_against_us",
            f"cannot sign the settlement: the verdict was revised to pay the provider "
            f"{verdict.provider_amount} instead of {before.provider_amount}",
            hint=f"the Oracle's operator says: {verdict.revised_why}",
        )
    return verdict


def _follows(verdict: Verdict, record: SubmissionRecord) -> Verdict:
    """Return a verdict of the recorded job whose amounts follow from its reason."""
    price = record.request.price
    due = provider_share(price, verdict.reason, verdict.ran_ms, record.spec.time_limit_s)
    if (verdict.job_id, verdict.price) != (record.job_id, price):
        raise VerificationError("wrong_verdict", "cannot trust the verdict: it is of another job")
    if (verdict.provider_amount, verdict.requester_amount) != (due, price - due):
        raise VerificationError(
            "wrong_verdict",
            f"cannot trust the verdict: it gives the provider {verdict.provider_amount}, but "
            f"{verdict.reason.value} after {verdict.ran_ms} ms is worth {due}",
        )
    return verdict


def refund(
    request: JobRequest, found: tuple[Utxo, ...], slot: int, key: Signer, params: FeeParams
) -> tuple[bytes, ...]:
    """Return signed transactions that take back alone all that lies in a job's escrow.

    Raises VerificationError, code `deadline_not_reached` or `escrow_empty`.
    """
    if slot <= request.deadline_slot:
        raise VerificationError(
            "deadline_not_reached",
            f"cannot take the price back alone: that is possible in {request.deadline_slot - slot} "
            f"seconds",
            hint="before that, a job that failed is refunded by the Oracle's settlement",
        )
    if not found:
        raise VerificationError(
            "escrow_empty", "cannot take the price back: nothing lies in the job's escrow"
        )
    terms, home = escrow_terms(request), parse_address(request.requester)
    return tuple(
        sign(build_refund(escrow, terms, home, params=params).raw, key) for escrow in found
    )


def refund_alone(record: SubmissionRecord, key: Signer) -> bytes:
    """Return the signed refund of a recorded payment, of what is on this machine alone.

    Any node or wallet of the network takes it to the chain once the deadline has passed, unless
    the escrow was paid out before. Raises VerificationError for a payment that was never signed,
    `escrow_empty` for one that pays no escrow.
    """
    if record.unsigned:
        raise VerificationError(
            "no_witness", f"cannot refund job {record.job_id}: its payment was never signed"
        )
    terms, payment = escrow_terms(record.request), payment_of(record)
    found = [
        Utxo(TxInput(payment.tx_id, index), output)
        for index, output in enumerate(payment.outputs)
        if output.address == terms.address.raw
    ]
    if not found:
        raise VerificationError("escrow_empty", "cannot refund: the payment pays no escrow")
    home = parse_address(record.request.requester)
    return sign(build_refund(found[0], terms, home).raw, key)


def open_receipt(sealed: Sealed, job_id: str, ticket_key: str) -> Receipt:
    """Return the receipt of a job; raises VerificationError unless the Oracle sealed it."""
    receipt = open_sealed(sealed, Receipt, Domain.RECEIPT, ticket_key)
    if (receipt.job_id, receipt.request.job_id) != (job_id, job_id):
        raise VerificationError("wrong_receipt", "cannot trust the receipt: it is of another job")
    return receipt


def results_hash_of(receipt: Receipt) -> str | None:
    """Return the manifest hash that the node signed, None where it signed no report.

    Raises VerificationError when the report is not by the node that the request names.
    """
    if receipt.report is None:
        return None
    sealed = receipt.report
    if node_id_of(sealed.public_key) != receipt.request.node_id:
        raise VerificationError("foreign_key", "cannot trust the report: another node signed it")
    return open_sealed(sealed, Report, Domain.REPORT, sealed.public_key).results_hash
