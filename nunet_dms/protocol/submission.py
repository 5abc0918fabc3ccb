"""What a requester and the Oracle say to each other: quote, submission, the view of a job."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated

from nunet_dms.protocol.api import JOBS_MAX
from nunet_dms.protocol.bounds import (
    AddressText,
    Amount,
    Hex16,
    Hex28,
    Hex32,
    HexBytes,
    Length,
    PositiveAmount,
    Range,
    ShortText,
    Slot,
    UnixMillis,
    UnixSeconds,
)
from nunet_dms.protocol.dispute import Party
from nunet_dms.protocol.job import CHECKPOINT_NUMBER_MAX, JobSpec
from nunet_dms.protocol.phase import Phase
from nunet_dms.protocol.report import Reason

QUOTE_HOLD_MAX_S = 1800
"""Enough to carry a file to a wallet on another machine and back."""


class JobState(str, Enum):
    """Where a job stands at the Oracle (see oracle/states.py for the moves)."""

    SUBMITTED = "submitted"
    OFFERED = "offered"
    RUNNING = "running"
    REPORTED = "reported"
    DECIDED = "decided"
    SETTLING = "settling"
    SETTLED = "settled"
    VOID = "void"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteRequest:
    """Ask what a job costs, and hold a place for it; `node_id` names a wanted provider."""

    spec: JobSpec
    requester: AddressText
    max_price: PositiveAmount | None = None
    node_id: Hex28 | None = None
    hold_s: Annotated[int, Range(60, QUOTE_HOLD_MAX_S)] | None = None
    """How long it is to hold, where the payment is signed elsewhere; None: as long as is usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSubmission:
    """A quoted job with the wallet's signature under its request, and the signed payment."""

    quote_id: Hex16
    request: Annotated[str, Length(2, 8192)]
    cose_sign1: HexBytes
    cose_key: HexBytes
    payment_tx: HexBytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointView:
    """The last checkpoint of a job that is whole: what `nunet request resume` starts from."""

    number: Annotated[int, Range(1, CHECKPOINT_NUMBER_MAX)]
    taken_ms: UnixMillis
    size_bytes: Annotated[int, Range(0, 2**50)]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """What a requester may know of a job."""

    job_id: Hex16
    state: JobState
    reason: Reason | None
    detail: ShortText
    node_id: Hex28
    exit_code: int | None
    price: PositiveAmount
    provider_amount: Amount | None
    requester_amount: Amount | None
    payment_tx_id: Hex32
    settlement_tx_id: Hex32 | None
    log_bytes: Annotated[int, Range(0, 2**50)]
    log_complete: bool | None
    cancel_requested: bool
    submitted_ms: UnixMillis
    started_ms: UnixMillis | None
    finished_ms: UnixMillis | None
    settled_ms: UnixMillis | None
    deadline_slot: Slot
    window_ends_s: UnixSeconds | None = None
    """Until when both parties may object to the verdict; None before there is one."""
    objections: Annotated[tuple[Party, ...], Length(0, 16)] = ()
    """Who objected, in the order in which it came."""
    is_revised: bool = False
    log_dropped_bytes: Annotated[int, Range(0, 2**50)] = 0
    """What the job wrote past the node's limit, by the node's count."""
    payment_missing: bool = False
    """The chain has lost the payment: the job is held until it is back."""
    phase: Phase | None = None
    """What the node last said it is at, while it is the node's; None before it said anything."""
    checkpoint: CheckpointView | None = None
    files_until_s: UnixSeconds | None = None
    """Until when the Oracle keeps, or kept, its log and files; None while it has not ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobList:
    """A requester's jobs, newest first."""

    jobs: Annotated[tuple[JobView, ...], Length(0, JOBS_MAX)] = ()
