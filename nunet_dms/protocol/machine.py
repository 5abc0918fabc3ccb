"""What a node tells the Oracle of its machine; None and empty mean: could not be found out."""

from dataclasses import dataclass
from typing import Annotated, Literal

from nunet_dms.protocol.bounds import Length, Range, ShortText, UnixSeconds

GPUS_MAX = 64
"""Cards in one machine; the largest servers have 16."""

Megabytes = Annotated[int, Range(0, 2**40)]
KilobitsPerSecond = Annotated[int, Range(0, 2**40)]


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineGpu:
    """One GPU as its driver describes it."""

    vendor: Literal["nvidia", "amd"]
    name: ShortText
    uuid: ShortText
    vram_mb: Megabytes | None = None
    driver: ShortText = ""
    health: Literal["ok", "degraded", "lost", "unknown"] = "unknown"
    mig_instances: Annotated[int, Range(0, 64)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """The fingerprint as it travels: what a requester may want to know of the machine.

    Sizes are MiB, rates MHz and kbit/s.
    """

    taken_s: UnixSeconds
    cpu_model: ShortText
    cores: Annotated[int, Range(1, 100_000)]
    core_mhz: Annotated[int, Range(1, 100_000)] | None = None
    ram_mb: Megabytes | None = None
    disk_free_mb: Megabytes | None = None
    down_kbps: KilobitsPerSecond | None = None
    up_kbps: KilobitsPerSecond | None = None
    gpus: Annotated[tuple[MachineGpu, ...], Length(0, GPUS_MAX)] = ()
    kind: Literal["native", "vm", "container", "wsl1", "wsl2", "unknown"] = "unknown"
    hypervisor: ShortText = ""
    os_name: ShortText = ""
    kernel: ShortText = ""
    engine_version: ShortText = ""
    cgroup_version: Annotated[int, Range(1, 2)] | None = None
    storage_driver: ShortText = ""
