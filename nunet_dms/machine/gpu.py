"""GPUs of every vendor that we know how to ask: what they are, how they are, who uses them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal

PROCESSES_SHOWN = 3
"""In one line of text."""


class GpuHealth(str, Enum):
    """Whether a job may be trusted to a GPU; the values travel in the node's registration."""

    OK = "ok"
    DEGRADED = "degraded"
    """It answers, and reports a fault."""
    LOST = "lost"
    """Its driver can reach it no more."""
    UNKNOWN = "unknown"
    """It could not be asked."""


@dataclass(frozen=True, slots=True)
class MigInstance:
    """A part of an NVIDIA GPU that works as one of its own (Multi-Instance GPU); MiB."""

    uuid: str
    name: str
    vram_mb: int | None


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that uses a GPU, and how much of its memory in MiB (None: not told)."""

    pid: int
    name: str
    """As the kernel has it (proc(5), comm); empty if it is not to be seen from here."""
    vram_mb: int | None


def name_processes(processes: tuple[GpuProcess, ...]) -> str:
    """Name the first few processes with their ids, and say how many more there are."""
    shown = [f"{each.name or '?'} ({each.pid})" for each in processes[:PROCESSES_SHOWN]]
    more = len(processes) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One card; sizes in MiB. None and empty text mean: could not be found out."""

    vendor: Literal["nvidia", "amd"]
    index: int
    """Among the cards of its vendor, as the vendor's own tools count them."""
    name: str = ""
    uuid: str = ""
    pci: str = ""
    """The address as sysfs writes it, such as `0000:41:00.0`."""
    driver: str = ""
    vram_mb: int | None = None
    free_vram_mb: int | None = None
    utilization_percent: int | None = None
    temperature_c: int | None = None
    power_w: int | None = None
    health: GpuHealth = GpuHealth.UNKNOWN
    faults: tuple[str, ...] = ()
    """Why the health is not OK, each with its cure."""
    xids: tuple[int, ...] | None = None
    """Faults that NVIDIA's driver logged since the machine started (XID), each number once; None
    if the kernel's log may not be read."""
    mig_enabled: bool = False
    mig: tuple[MigInstance, ...] = ()
    processes: tuple[GpuProcess, ...] | None = None


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """The GPUs of this machine, and what hindered us from finding or asking more of them."""

    gpus: tuple[Gpu, ...]
    problems: tuple[str, ...]
    """Each names the step that failed, why, and where it is known what to do."""


def read_gpus(root: Path = Path("/")) -> GpuFacts:
    """Return the GPUs of this machine, NVIDIA's first; raises nothing.

    Kernel files are read below `root`. NVIDIA's library is asked only where there is a sign of
    such a card, and answers within `nvml_process.ANSWER_MAX_S` or not at all.
    """
    # Both make the values above, hence they cannot be imported above.
    from nunet_dms.machine.amd import read_amd  # noqa: PLC0415
    from nunet_dms.machine.nvidia import read_nvidia  # noqa: PLC0415

    found = (read_nvidia(root), read_amd(root))
    return GpuFacts(
        gpus=tuple(gpu for facts in found for gpu in facts.gpus),
        problems=tuple(problem for facts in found for problem in facts.problems),
    )
