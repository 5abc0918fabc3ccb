"""The receipt: one record from payment to payout that either side can check offline."""

from dataclasses import dataclass
from typing import Annotated, Literal

from nunet_dms.protocol.bounds import Hex16, Hex32, HexBytes, Length, Range
from nunet_dms.protocol.dispute import SignedObjection
from nunet_dms.protocol.job import JobSpec
from nunet_dms.protocol.quote import JobRequest
from nunet_dms.protocol.signing import Sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Everything that was signed about one job, each part linked to the others by hashes."""

    version: Literal[1] = 1
    job_id: Hex16
    spec: JobSpec
    request: JobRequest
    request_cose_sign1: HexBytes
    request_cose_key: HexBytes
    payment_tx: HexBytes
    payment_tx_id: Hex32
    ticket: Sealed | None
    report: Sealed | None
    first_verdict: Sealed | None = None
    """The verdict that was revised, where one was."""
    objections: Annotated[tuple[SignedObjection, ...], Length(0, 16)] = ()
    verdict: Sealed
    """The one that the settlement pays."""
    settlement_tx: HexBytes
    settlement_tx_id: Hex32
    settled_height: Annotated[int, Range(0, 2**40)]
