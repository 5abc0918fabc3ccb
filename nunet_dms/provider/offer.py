"""What may be offered of a machine: its room, half of it as a proposal, and the bounds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nunet_dms.config import CORE_MHZ_MAX, DEFAULT_DISK_MB, CapacityConfig
from nunet_dms.errors import UsageError
from nunet_dms.machine.fingerprint import Fingerprint
from nunet_dms.machine.share import SHARE_MAX_PERCENT, check_share, share_bounds

DISK_DEFAULT_PERCENT = 50
"""Of the free disk: where that is less than the usual default, it is the default."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options say; None where they say nothing."""

    cpu_mhz: int | None = None
    ram_mb: int | None = None
    disk_mb: int | None = None
    core_mhz: int | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the CPU and of the RAM."""

    cpu_mhz: int
    ram_mb: int


@dataclass(frozen=True, slots=True)
class Room:
    """What this machine has: cores and the rate of one, RAM, and the disk that is free."""

    cores: int
    core_mhz: int
    ram_mb: int
    disk_free_mb: int | None
    jobs_dir: Path

    @property
    def total_mhz(self) -> int:
        """Cores times rate: what CPU shares are taken of."""
        return self.cores * self.core_mhz

    @property
    def words(self) -> str:
        """The sum that people ask about: `4 cores of 2000 MHz are 8000 MHz`."""
        cores = f"{self.cores} core{'s' if self.cores > 1 else ''} of {self.core_mhz} MHz"
        return f"{cores} {'are' if self.cores > 1 else 'is'} {self.total_mhz} MHz"


def room_of(
    found: Fingerprint, wanted: Wanted, kept: CapacityConfig | None, jobs_dir: Path
) -> Room:
    """Return the machine's room; raises UsageError when the kernel hides the CPU's rate or RAM.

    The rate of a core is measured once and then kept, so that a clock that goes up and down does
    not change what was offered.
    """
    rate = wanted.core_mhz
    if rate is None:
        rate = kept.core_mhz if kept else found.cpu.core_mhz
    if rate is None:
        raise UsageError(
            "cannot tell how fast a core of this machine is: the kernel does not say",
            hint="give it yourself: --core-mhz 2400",
        )
    if not 1 <= rate <= CORE_MHZ_MAX:
        raise UsageError(f"cannot use --core-mhz {rate}: it must be from 1 to {CORE_MHZ_MAX}")
    if found.memory.total_mb is None:
        raise UsageError("cannot tell how much RAM this machine has: /proc/meminfo does not say")
    return Room(found.cpu.cores, rate, found.memory.total_mb, found.disk.free_mb, jobs_dir)


def proposal(room: Room, kept: CapacityConfig | None) -> Share:
    """Return half of the machine, or what is offered now, as far as the machine still has it."""
    if kept is None:
        return Share(room.total_mhz // 2, room.ram_mb // 2)
    return Share(
        _within(kept.cpu_mhz, share_bounds(room.total_mhz)),
        _within(kept.ram_mb, share_bounds(room.ram_mb)),
    )


def _within(offered: int, bounds: tuple[int, int]) -> int:
    low, high = bounds
    return max(low, min(offered, high))


def checked_capacity(wanted: Wanted, room: Room, kept: CapacityConfig | None) -> CapacityConfig:
    """Hold what is offered against the machine; raises UsageError naming both bounds."""
    usual = proposal(room, kept)
    cpu_mhz = usual.cpu_mhz if wanted.cpu_mhz is None else wanted.cpu_mhz
    ram_mb = usual.ram_mb if wanted.ram_mb is None else wanted.ram_mb
    check_share("--cpu", cpu_mhz, room.total_mhz, f"MHz ({room.words})")
    check_share("--ram", ram_mb, room.ram_mb, "MB of RAM")
    return CapacityConfig(
        cpu_mhz=cpu_mhz,
        ram_mb=ram_mb,
        disk_mb=_disk_mb(wanted, room, kept),
        core_mhz=room.core_mhz,
    )


def _disk_mb(wanted: Wanted, room: Room, kept: CapacityConfig | None) -> int:
    """Return the disk for jobs: as wanted, as kept, or the usual, at most half of what is free."""
    free_mb = room.disk_free_mb
    if wanted.disk_mb is None:
        # What is kept was checked when it was first offered: the jobs of now may use part of it.
        if kept is not None:
            return kept.disk_mb
        usual_mb = DEFAULT_DISK_MB if free_mb is None else free_mb * DISK_DEFAULT_PERCENT // 100
        return max(1, min(DEFAULT_DISK_MB, usual_mb))
    if free_mb is None:
        raise UsageError(f"cannot offer --disk: how much is free at {room.jobs_dir} is unknown")
    most_mb = free_mb * SHARE_MAX_PERCENT // 100
    if not 1 <= wanted.disk_mb <= most_mb:
        raise UsageError(
            f"cannot offer --disk {wanted.disk_mb}: it must be from 1 to {most_mb} MB,"
            f" {SHARE_MAX_PERCENT} % of what is free where {room.jobs_dir} lies"
        )
    return wanted.disk_mb
