"""What a node and the Oracle say to each other about the node and its jobs."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from nunet_dms.protocol.api import JOBS_MAX, POLL_WAIT_MAX_S
from nunet_dms.protocol.bounds import (
    AddressText,
    Amount,
    CpuMhz,
    Hex16,
    Hex28,
    Hex32,
    Hex64,
    HexBytes,
    Length,
    Pattern,
    RamMb,
    Range,
    ShortText,
    UnixSeconds,
)
from nunet_dms.protocol.dispute import Party
from nunet_dms.protocol.machine import MachineFacts
from nunet_dms.protocol.phase import JobProgress
from nunet_dms.protocol.quote import JobRequest, PriceList
from nunet_dms.protocol.signing import Sealed

JobIds = Annotated[tuple[Hex16, ...], Length(0, JOBS_MAX)]
MissedReason = Literal["cpu", "ram", "disk", "unsupported", "platform", "price", "dearer", "paused"]
"""Why a node did not get a job: the first resource that it has too little left of; the job asks for
what nobody offers yet; it goes on from a checkpoint that does not fit the node's platform; its
price is above the requester's limit; another node was cheaper or preferred; it takes no jobs
now."""
MISSED_REASONS: tuple[MissedReason, ...] = get_args(MissedReason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What a node sells in all."""

    cpu_mhz: CpuMhz
    ram_mb: RamMb
    disk_mb: Annotated[int, Range(0, 2**40)]
    gpus: Annotated[int, Range(0, 1024)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRegistration:
    """A node introduces itself; sealed with its identity key."""

    version: Literal[1] = 1
    node_id: Hex28
    settlement_key_hash: Hex28
    wallet: AddressText
    network_magic: Annotated[int, Range(0, 2**32 - 1)]
    capacity: Capacity
    price: PriceList
    architecture: ShortText
    platform: ShortText
    agent_version: ShortText
    issued_s: UnixSeconds
    machine: MachineFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Sent every few seconds: what still runs keeps its lease."""

    holding: JobIds = ()
    accepting: bool
    free_cpu_mhz: Annotated[int, Range(0, 10_000_000)]
    free_ram_mb: Annotated[int, Range(0, 100_000_000)]
    progress: Annotated[tuple[JobProgress, ...], Length(0, JOBS_MAX)] = ()
    """What the jobs that it has taken, and that have not ended, are at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedWork:
    """Jobs that a node did not get for one reason, and what they would have paid by its prices."""

    reason: MissedReason
    count: Annotated[int, Range(1, 2**40)]
    would_pay: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """A verdict that is not paid out yet."""

    job_id: Hex16
    amount: Amount
    """The node's share."""
    window_ends_s: UnixSeconds
    """Until when its two parties may object."""
    objections: Annotated[tuple[Party, ...], Length(0, 16)] = ()
    deadline_s: UnixSeconds
    """From then on the requester may take everything back alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatReply:
    """The Oracle's clock, lost leases, what is not paid out, and the work missed in 24 hours."""

    time_s: UnixSeconds
    lost: JobIds = ()
    missed: Annotated[tuple[MissedWork, ...], Length(0, len(MISSED_REASONS))] = ()
    """One entry a reason, the one that would have paid most first."""
    unsettled: Annotated[tuple[Unsettled, ...], Length(0, JOBS_MAX)] = ()
    """Verdicts on the node's jobs that give it something, the nearest deadline first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """Ask for news; what is already being handled is named, so that it is not sent again."""

    known_offers: JobIds = ()
    known_cancels: JobIds = ()
    known_settlements: JobIds = ()
    known_receipts: JobIds = ()
    wait_s: Annotated[int, Range(0, POLL_WAIT_MAX_S)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A paid job for this node: the sealed ticket, and the exact spec and request it commits to."""

    ticket: Sealed
    spec: Annotated[str, Length(2, 4 * 1024 * 1024)]
    request: Annotated[str, Length(2, 8192)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """A settlement that waits for the other signature; the Oracle has already signed it."""

    job_id: Hex16
    verdict: Sealed
    first_verdict: Sealed | None = None
    """The one that `verdict` revises, where it does: it must not itself revise another."""
    tx: HexBytes
    request: JobRequest
    escrow_tx_id: Hex32
    escrow_output_index: Annotated[int, Range(0, 65_535)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Voided:
    """A job of which nothing can be paid out any more, and why."""

    job_id: Hex16
    why: ShortText


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """News for a node."""

    offers: Annotated[tuple[Offer, ...], Length(0, 16)] = ()
    cancels: JobIds = ()
    lost_payments: JobIds = ()
    """Jobs to be stopped because the chain has lost their payment."""
    settlements: Annotated[tuple[Settlement, ...], Length(0, 16)] = ()
    receipts: JobIds = ()
    voided: Annotated[tuple[Voided, ...], Length(0, 64)] = ()
    """Jobs that the node had; each comes until it is acknowledged as a receipt is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """The node takes the job of this ticket."""

    ticket_id: Hex16


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Until when the job is the node's, unless a heartbeat renews it."""

    expires_s: UnixSeconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The node does not take the job, and why."""

    ticket_id: Hex16
    code: Annotated[str, Pattern(r"[a-z0-9_]{1,64}", "a reason code")]
    message: ShortText = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLength:
    """How many bytes of the log the Oracle holds."""

    length: Annotated[int, Range(0, 2**50)]


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingBlobs:
    """Which contents still have to be uploaded, by SHA-256."""

    missing: Annotated[tuple[Hex32, ...], Length(0, 10_000)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """The second signature under a settlement: a vkey witness over the transaction id."""

    public_key: Hex32
    signature: Hex64
