"""The journal's rows as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nunet_dms.node.states import State

OK = "ok"
NOT_YET = "not yet reached"
"""What a worker says of an Oracle or engine: all is well, or it was not asked yet."""
STALE_AFTER_S = 120
"""A worker writes about itself every few seconds; one that has not for so long hangs."""


class HoldCode(str, Enum):
    """Why no new jobs are wanted though they could be run; stored by value."""

    OFFBOARDING = "offboarding"
    PAUSED = "paused"
    OFF_HOURS = "off_hours"
    ON_BATTERY = "on_battery"
    OWNER_BUSY = "owner_busy"
    DISK_LOW = "disk_low"


DECLINED = "settlement_declined"
"""The line in a job's story that tells of a settlement which we did not sign, and why."""
RECEIPT_REFUSED = "receipt_refused"
"""The line that tells of a receipt which does not hold, and where it is broken."""
OWNERS_WILL = frozenset(code.value for code in HoldCode if code is not HoldCode.DISK_LOW)
"""Holds that the owner asked for, by a word or by a setting."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job as the journal knows it; texts are empty and numbers None while unknown."""

    job_id: str
    ticket_id: str
    state: State
    attempt: int
    cpu_mhz: int
    ram_mb: int
    disk_mb: int
    time_limit_s: int
    price: int
    image: str
    container_id: str
    image_id: str
    boot_id: str
    stop_reason: str
    stop_ms: int | None
    reason: str
    detail: str
    exit_code: int | None
    ran_ms: int
    cpu_ms: int | None
    ram_peak_mb: int | None
    earned: int | None
    settlement_tx_id: str
    admitted_ms: int
    started_ms: int | None
    finished_ms: int | None
    changed_ms: int
    started_mono_ms: int | None
    """By the monotonic clock of boot `boot_id`: what its time limit is counted from. Noted when
    the start is about to be asked for, and once more when it is known."""
    engine_gone_ms: int | None
    """Since when the engine did not answer, the first time that it did not while the job ran."""
    deaths: int
    """Of workers, in a row, that had it in hand in the state `death_state`."""
    death_state: str


@dataclass(frozen=True, slots=True)
class EarningRow:
    """Of one job what its pay depends on; amounts in base units."""

    job_id: str
    state: State
    reason: str
    price: int
    time_limit_s: int
    ran_ms: int
    earned: int | None
    settlement_tx_id: str
    admitted_ms: int
    finished_ms: int | None
    changed_ms: int
    why: str
    """Why it was lost, or why we did not sign its settlement or take its receipt; else empty."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A report that the Oracle has not taken, and what its worth depends on."""

    job_id: str
    parked: str
    """Why it never will: then it is kept as evidence alone. Empty while it is tried."""
    price: int
    reason: str
    ran_ms: int
    time_limit_s: int
    changed_ms: int


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """What the worker last said of itself; states are `ok` or the reason why not."""

    pid: int
    version: str
    started_s: int
    ready: bool
    accepting: bool
    oracle_state: str
    engine_state: str
    note: str
    heartbeat_s: int
    hold: str = ""
    """Why no new jobs are wanted: the value of a HoldCode, or empty."""
    hold_note: str = ""
    """The same in words."""
    sold_cpu_mhz: int = 0
    sold_ram_mb: int = 0
    """What may be sold now, less than is offered where the machine is smaller; 0: not known."""

    @property
    def rests(self) -> bool:
        """Whether no jobs are taken because the owner wants none: the machine is well."""
        return self.hold in OWNERS_WILL


@dataclass(frozen=True, slots=True)
class EventRow:
    """One line of a job's story."""

    at_ms: int
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class ImageRow:
    """An image that we pulled."""

    reference: str
    image_id: str
    """Empty until it is here."""
    pulled_ms: int
    used_ms: int


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """What a job saved last: a sealed `protocol.checkpoint.CheckpointManifest`."""

    number: int
    taken_ms: int
    manifest: bytes
    stored: bool
    """Whether the Oracle has all of it."""


@dataclass(frozen=True, slots=True)
class MachineRow:
    """The machine as it was last told: `protocol.machine.MachineFacts` in canonical JSON."""

    taken_s: int
    facts: bytes


@dataclass(frozen=True, slots=True)
class NoteRow:
    """Something that changed in the machine."""

    at_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class MissedRow:
    """Work that went elsewhere within a day: why, how often, what it would have paid."""

    reason: str
    count: int
    would_pay: int
    """Base units."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """An amount of each thing that jobs share."""

    cpu_mhz: int
    ram_mb: int
    disk_mb: int

    def less(self, used: Capacity) -> Capacity:
        """Return what is left; nothing, should more be used than there is."""
        return Capacity(
            max(0, self.cpu_mhz - used.cpu_mhz),
            max(0, self.ram_mb - used.ram_mb),
            max(0, self.disk_mb - used.disk_mb),
        )


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended: what is stored together with its report."""

    reason: str
    detail: str
    exit_code: int | None
    ran_ms: int
    cpu_ms: int | None
    ram_peak_mb: int | None
    finished_ms: int | None
