"""What a job's request means on the chain: its payment, and the output that pays it out."""

from __future__ import annotations

from nunet_dms.cardano.agreement import asset_of, escrow_terms
from nunet_dms.cardano.builder import ESCROW_LOVELACE
from nunet_dms.cardano.network import Network
from nunet_dms.cardano.payment import PaymentTerms
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.oracle.jobs import JobRow
from nunet_dms.protocol.quote import JobRequest

SETTLEMENT_SLOTS = 1800
"""Slots (seconds) that a settlement may take before the requester could refund alone."""
DISPUTE_HOLD_S = 12 * 3600
"""How long an objection holds a settlement for the operator's answer, from the window's end on;
less where the deadline is near. With the window's hour and the settlement, 13.5 h of a usual
margin of 24."""


def payment_terms(
    request: JobRequest, network: Network, time_limit_s: int, window_s: int
) -> PaymentTerms:
    """Return what the payment of a request must say; raises VerificationError.

    The job, the window for objections and the settlement must fit in before the deadline.
    """
    return PaymentTerms(
        asset=asset_of(request),
        price=request.price,
        job_hash=bytes.fromhex(request.digest),
        escrow=escrow_terms(request),
        min_lovelace=ESCROW_LOVELACE,
        network=network,
        slots_needed=time_limit_s + window_s + SETTLEMENT_SLOTS,
    )


def payment_output(job: JobRow) -> TxInput:
    """Return the escrow's output."""
    return TxInput(bytes.fromhex(job.payment_tx_id), job.payment_index)


def window_end(job: JobRow, window_s: int, now_s: int, slot: int) -> int:
    """Return until when a verdict of this moment may be objected to; `slot` is the present one.

    At once where the node never took the job: nobody has anything to win or lose then.
    """
    if job.started_ms is None:
        return now_s
    return max(now_s, min(now_s + window_s, settle_by(job, now_s, slot)))


def hold_end(job: JobRow, now_s: int, slot: int) -> int:
    """Return until when an objection may hold a decided job's settlement, Unix seconds."""
    return min((job.window_ends_s or 0) + DISPUTE_HOLD_S, settle_by(job, now_s, slot))


def settle_by(job: JobRow, now_s: int, slot: int) -> int:
    """Return the last moment to sign a settlement so that it is in a block by the deadline."""
    return now_s + job.deadline_slot - slot - SETTLEMENT_SLOTS
