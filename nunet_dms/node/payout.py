"""Getting paid: what this node co-signs, and what it keeps as proof."""

from __future__ import annotations

from dataclasses import dataclass

from nunet_dms.cardano.agreement import settlement_terms
from nunet_dms.cardano.receipt import verify_receipt
from nunet_dms.cardano.settlement import check_settlement
from nunet_dms.cardano.signing import witness_for
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.errors import VerificationError
from nunet_dms.node.identity import Identity
from nunet_dms.node.rows import JobRow
from nunet_dms.protocol.dispute import first_of
from nunet_dms.protocol.node import Cosignature, Settlement
from nunet_dms.protocol.receipt import Receipt
from nunet_dms.protocol.report import Reason, Verdict, provider_share
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed

METERING_TOLERANCE_MS = 5_000
"""By how much the Oracle's clock may have counted less than ours."""


@dataclass(frozen=True, slots=True)
class Payout:
    """Our signature under a settlement, and what it pays us in base units."""

    signature: Cosignature
    amount: int
    tx_id: str
    revised_why: str | None = None
    """What the Oracle's operator says of a revised verdict; None where it was not revised."""


def sign_settlement(
    settlement: Settlement, ticket_key: str, us: Identity, job: JobRow | None
) -> Payout:
    """Check a settlement and sign it; raises VerificationError with the rule that it breaks.

    It must pay exactly what the Oracle's signed verdict says, and the verdict must be what our
    own report comes to. Of a job that we never took, only a full refund is signed. A verdict that
    was rightly revised, once, is signed whatever it gives us: not to sign leaves everything to the
    requester at the deadline.
    """
    request = settlement.request
    if request.job_id != settlement.job_id or request.node_id != us.node_id:
        raise VerificationError("foreign_request", "cannot co-sign: it is another node's job")
    verdict = open_sealed(settlement.verdict, Verdict, Domain.VERDICT, ticket_key)
    if verdict.revises is None:
        _check_verdict(verdict, job)
    else:
        first_of(verdict, settlement.first_verdict, ticket_key)
    ref = TxInput(bytes.fromhex(settlement.escrow_tx_id), settlement.escrow_output_index)
    raw = bytes.fromhex(settlement.tx)
    transaction = check_settlement(raw, settlement_terms(request, ref, verdict), params=None)
    witness = witness_for(raw, us.settlement_key)
    return Payout(
        signature=Cosignature(public_key=witness.public.hex(), signature=witness.signature.hex()),
        amount=verdict.provider_amount,
        tx_id=transaction.tx_id.hex(),
        revised_why=verdict.revised_why if verdict.revises is not None else None,
    )


def _check_verdict(verdict: Verdict, job: JobRow | None) -> None:
    """Refuse a verdict that gives us less than our report comes to; a refund of nothing ours."""
    if job is None or not job.reason:
        due = 0
    else:
        counted_ms = job.ran_ms - METERING_TOLERANCE_MS
        due = provider_share(job.price, Reason(job.reason), counted_ms, job.time_limit_s)
    if verdict.provider_amount < due:
        raise VerificationError(
            "paid_too_little",
            f"cannot co-sign: the verdict ({verdict.reason.value}) pays"
            f" {verdict.provider_amount}, our report comes to {due}",
        )


def open_receipt(sealed: Sealed, job_id: str, ticket_key: str) -> Receipt:
    """Return the receipt of a job; raises VerificationError unless every link of it holds.

    What it says that we were paid goes into our books.
    """
    found = verify_receipt(sealed, ticket_key)
    if (broken := found.first_broken) is not None or found.receipt is None:
        where = f"{broken.link}: {broken.text}" if broken else "it cannot be read"
        raise VerificationError("broken_receipt", f"cannot trust the receipt: broken at {where}")
    if found.receipt.job_id != job_id:
        raise VerificationError("wrong_receipt", "cannot trust the receipt: it is of another job")
    return found.receipt
