"""What a job is promised, in the units that the engine enforces."""

from __future__ import annotations

from nunet_dms.config import CapacityConfig
from nunet_dms.machine.share import SHARE_MAX_PERCENT
from nunet_dms.node.rows import Capacity
from nunet_dms.protocol.machine import MachineFacts

NANO = 1_000_000_000


def nano_cpus(cpu_mhz: int, core_mhz: int) -> int:
    """Return the hard cap in billionths of a core: asked MHz by the MHz of one core.

    At least 0.01 core, the least that Docker takes.
    """
    return max(cpu_mhz * NANO // core_mhz, NANO // 100)


def cores_of(cpu_mhz: int, core_mhz: int) -> int:
    """Return how many threads are worth starting: whole cores, rounded up."""
    return -(-cpu_mhz // core_mhz)


def sellable(offered: CapacityConfig, machine: MachineFacts | None) -> Capacity:
    """Return what may be sold: what is offered, less where the machine is smaller than it was.

    Its owner's tenth is not sold then either. `machine` is None before it was looked at.
    """
    cpu_mhz, ram_mb = offered.cpu_mhz, offered.ram_mb
    if machine is not None:
        cpu_mhz = min(cpu_mhz, machine.cores * offered.core_mhz * SHARE_MAX_PERCENT // 100)
        if machine.ram_mb is not None:
            ram_mb = min(ram_mb, machine.ram_mb * SHARE_MAX_PERCENT // 100)
    return Capacity(cpu_mhz=cpu_mhz, ram_mb=ram_mb, disk_mb=offered.disk_mb)
