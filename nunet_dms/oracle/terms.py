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


def payment_terms(request: JobRequest, network: Network, time_limit_s: int) -> PaymentTerms:
    """Return what the payment of a request must say; raises VerificationError."""
    return PaymentTerms(
        asset=asset_of(request),
        price=request.price,
        job_hash=bytes.fromhex(request.digest),
        escrow=escrow_terms(request),
        min_lovelace=ESCROW_LOVELACE,
        network=network,
        slots_needed=time_limit_s + SETTLEMENT_SLOTS,
    )


def payment_output(job: JobRow) -> TxInput:
    """Return the escrow's output."""
    return TxInput(bytes.fromhex(job.payment_tx_id), job.payment_index)
