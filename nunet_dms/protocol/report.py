"""How a job ended: reasons, the node's report, the Oracle's verdict."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Literal

from nunet_dms.protocol.bounds import (
    Amount,
    Hex16,
    Hex28,
    Hex32,
    PositiveAmount,
    Range,
    ShortText,
    UnixMillis,
    UnixSeconds,
)


class Reason(str, Enum):
    """Why a job ended. Few states, many reasons; `PAY` maps each one to who is paid."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    OUT_OF_MEMORY = "out_of_memory"
    DISK_LIMIT = "disk_limit"
    TIME_LIMIT = "time_limit"
    CANCELLED = "cancelled"
    IMAGE_UNAVAILABLE = "image_unavailable"
    START_ERROR = "start_error"
    NODE_FAULT = "node_fault"
    NOT_ACCEPTED = "not_accepted"
    PAYMENT_LOST = "payment_lost"
    """The chain lost the payment; what the job ran until then is paid if the payment comes back."""


class Pay(str, Enum):
    """What a reason makes of the price."""

    METERED = "metered"
    REFUND = "refund"


PAY: dict[Reason, Pay] = {
    Reason.SUCCEEDED: Pay.METERED,
    Reason.FAILED: Pay.METERED,
    Reason.OUT_OF_MEMORY: Pay.METERED,
    Reason.DISK_LIMIT: Pay.METERED,
    Reason.TIME_LIMIT: Pay.METERED,
    Reason.CANCELLED: Pay.METERED,
    Reason.IMAGE_UNAVAILABLE: Pay.REFUND,
    Reason.START_ERROR: Pay.REFUND,
    Reason.NODE_FAULT: Pay.REFUND,
    Reason.NOT_ACCEPTED: Pay.REFUND,
    Reason.PAYMENT_LOST: Pay.METERED,
}
"""Total: every reason has a row. Metered is the share of the time limit that the job ran."""


class Blame(str, Enum):
    """Whose doing it was that a job ended as it did."""

    REQUESTER = "requester"
    NODE = "node"
    NOBODY = "nobody"


BLAME: dict[Reason, Blame] = {
    Reason.SUCCEEDED: Blame.NOBODY,
    Reason.FAILED: Blame.REQUESTER,
    Reason.OUT_OF_MEMORY: Blame.REQUESTER,
    Reason.DISK_LIMIT: Blame.REQUESTER,
    Reason.TIME_LIMIT: Blame.REQUESTER,
    Reason.CANCELLED: Blame.REQUESTER,
    Reason.IMAGE_UNAVAILABLE: Blame.NOBODY,  # no such image, or a registry that is down: who knows
    Reason.START_ERROR: Blame.REQUESTER,
    Reason.NODE_FAULT: Blame.NODE,
    Reason.NOT_ACCEPTED: Blame.NODE,
    Reason.PAYMENT_LOST: Blame.NOBODY,
}
"""Total, as `PAY`; what it makes of the price says that table."""

ONLY_WHEN_TOLD = frozenset({Reason.CANCELLED, Reason.PAYMENT_LOST})
"""What a node may report only of a job that the Oracle told it to stop; else it is its own fault.
Which of the two the verdict says is the Oracle's to know."""


def provider_share(price: int, reason: Reason, ran_ms: int, time_limit_s: int) -> int:
    """Return the provider's part of `price` in base units, rounded up, never above `price`."""
    if PAY[reason] is Pay.REFUND:
        return 0
    limit_ms = time_limit_s * 1000
    return -(-price * min(max(ran_ms, 0), limit_ms) // limit_ms)


def revised_share(price: int, percent: int) -> int:
    """Return the provider's part of `price` by a revision: `percent` of it, rounded up."""
    return -(-price * percent // 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The node's signed account of one attempt; its body is frozen when it is written."""

    version: Literal[1] = 1
    job_id: Hex16
    ticket_id: Hex16
    node_id: Hex28
    attempt: Annotated[int, Range(1, 1000)]
    reason: Reason
    detail: ShortText = ""
    exit_code: Annotated[int, Range(-1, 255)] | None = None
    oom_killed: bool = False
    image_id: ShortText = ""
    started_ms: UnixMillis | None = None
    finished_ms: UnixMillis | None = None
    ran_ms: Annotated[int, Range(0, 2**42)] = 0
    cpu_ms: Annotated[int, Range(0, 2**50)] | None = None
    ram_peak_mb: Annotated[int, Range(0, 2**40)] | None = None
    log_bytes: Annotated[int, Range(0, 2**50)] = 0
    log_sha256: Hex32
    log_complete: bool
    """Whether every byte that the job wrote is in the log."""
    log_dropped_bytes: Annotated[int, Range(0, 2**50)] = 0
    """What it wrote past the node's limit: not in the log, but counted."""
    results_hash: Hex32
    results_complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The Oracle's signed word on who gets what; the settlement pays exactly this."""

    version: Literal[1] = 1
    job_id: Hex16
    report_hash: Hex32 | None
    reason: Reason
    price: PositiveAmount
    ran_ms: Annotated[int, Range(0, 2**42)]
    provider_amount: Amount
    requester_amount: Amount
    issued_s: UnixSeconds
    revises: Hex32 | None = None
    """Digest of the sealed verdict that this one replaces; an operator may revise once."""
    revised_percent: Annotated[int, Range(0, 100)] | None = None
    """The provider's share of the price that the operator set; only in a revision."""
    revised_why: ShortText = ""


def share_due(verdict: Verdict, time_limit_s: int) -> int:
    """Return what a verdict's own words come to for the provider: its percent, or its reason."""
    if verdict.revised_percent is not None:
        return revised_share(verdict.price, verdict.revised_percent)
    return provider_share(verdict.price, verdict.reason, verdict.ran_ms, time_limit_s)
