"""What a job is promised, in the units that the engine enforces."""

from __future__ import annotations

from nunet_dms.config import CapacityConfig
from nunet_dms.node.rows import Capacity

NANO = 1_000_000_000


def nano_cpus(cpu_mhz: int, core_mhz: int) -> int:
    """Return the hard cap in billionths of a core: asked MHz by the MHz of one core.

    At least 0.01 core, the least that Docker takes.
    """
    return max(cpu_mhz * NANO // core_mhz, NANO // 100)


def cores_of(cpu_mhz: int, core_mhz: int) -> int:
    """Return how many threads are worth starting: whole cores, rounded up."""
    return -(-cpu_mhz // core_mhz)


def capacity_of(config: CapacityConfig) -> Capacity:
    """Return what this node sells in all."""
    return Capacity(cpu_mhz=config.cpu_mhz, ram_mb=config.ram_mb, disk_mb=config.disk_mb)
