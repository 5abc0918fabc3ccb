"""The CPU: how many cores, and how fast one is when all of them work."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.machine.cpu_flags import instruction_sets
from nunet_dms.machine.cpu_rate import find_rate
from nunet_dms.machine.kernelfile import (
    names_in,
    one_line,
    read_line,
    read_text,
)

CORES_MAX = 8192
"""NR_CPUS of the largest kernels; more is a broken file."""
CPU_FOLDER = "sys/devices/system/cpu"
GROUP_FOLDER = "sys/fs/cgroup"

_PROCESSOR = re.compile(r"^processor\s*:\s*[0-9]+", re.MULTILINE)
_SPAN = re.compile(r"([0-9]{1,6})(?:-([0-9]{1,6}))?")
_FLAGS = re.compile(r"^flags[ \t]*:(.*)$", re.MULTILINE)
_CPU = re.compile(r"cpu[0-9]+")
_MICROSECONDS = re.compile(r"[0-9]{1,18}")
_ARM_PART = re.compile(
    r"^CPU implementer\s*:\s*(0x[0-9a-f]{1,2})$.{0,400}?^CPU part\s*:\s*(0x[0-9a-f]{1,3})$",
    re.MULTILINE | re.DOTALL,
)

ARM_CORES = {
    "0xd03": "Cortex-A53",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1",
    "0xd49": "Neoverse-N2",
    "0xd4f": "Neoverse-V2",
}
"""ARM's own cores (implementer 0x41) in servers and boards: /proc/cpuinfo has numbers only.

Source: the part numbers in arch/arm64/include/asm/cputype.h of the kernel.
"""


@dataclass(frozen=True, slots=True)
class CpuFacts:
    """Model, logical cores that can be had, the sustained rate of one in MHz, and more.

    `core_mhz` is None where it is not to be found; `source` says where it was found.
    `physical_cores` counts those behind the logical ones, None where the kernel does not tell.
    `virtualization` is the flag for hardware virtual machines: "vmx" (Intel), "svm" (AMD) or "".
    """

    model: str
    cores: int
    core_mhz: int | None
    source: str
    physical_cores: int | None = None
    virtualization: str = ""
    flags: tuple[str, ...] = ()
    """Instruction sets, see `cpu_flags`."""

    @property
    def total_mhz(self) -> int | None:
        """Cores times rate: what can be shared out, in MHz."""
        return None if self.core_mhz is None else self.cores * self.core_mhz


def read_cpu(root: Path = Path("/")) -> CpuFacts:
    """Return the CPU's facts from the kernel's files below `root`; raises nothing."""
    info = read_text(root / "proc/cpuinfo")
    rate, source = find_rate(root, info)
    cores = min(_online(root, info), *_group_limits(root))
    physical = _physical(root, info)
    return CpuFacts(
        model=_model(root, info),
        cores=cores,
        core_mhz=rate,
        source=source,
        physical_cores=None if physical is None else min(physical, cores),
        virtualization=_virtualization(info),
        flags=instruction_sets(info),
    )


def _online(root: Path, info: str) -> int:
    """Count the logical cores that are switched on."""
    count = _count(read_text(root / CPU_FOLDER / "online"))
    return count or max(1, min(len(_PROCESSOR.findall(info)), CORES_MAX))


def _group_limits(root: Path) -> list[int]:
    """Cores that the container which we may be in may use (cgroup v2, cgroup v1).

    As for memory, what a container cannot get is not its to sell. A quota's last part of a core is
    left out. A host's own groups have no limit.
    """
    groups = root / GROUP_FOLDER
    sets = ("cpuset.cpus.effective", "cpuset/cpuset.effective_cpus", "cpuset/cpuset.cpus")
    counts = [_count(read_text(groups / name)) for name in sets]
    quota, _, period = read_line(groups / "cpu.max").partition(" ")
    old_quota, old_period = (
        read_line(groups / "cpu" / name) for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    )
    quotas = _whole_cores(quota, period) + _whole_cores(old_quota, old_period)
    return [CORES_MAX, *(count for count in counts if count), *quotas]


def _whole_cores(quota: str, period: str) -> list[int]:
    """Return how many whole cores a quota is, if it is one: "max" and "-1" are none."""
    if not (_MICROSECONDS.fullmatch(quota) and _MICROSECONDS.fullmatch(period) and int(period)):
        return []
    return [max(1, int(quota) // int(period))]


def _count(text: str) -> int | None:
    """Count `0-3,6`, the kernel's notation for a set of cores; None if that is not what it is."""
    spans = [_SPAN.fullmatch(part) for part in text.strip().split(",")]
    counts = [int(span[2] or span[1]) - int(span[1]) + 1 for span in spans if span]
    is_sound = len(counts) == len(spans) and min(counts) > 0 and sum(counts) <= CORES_MAX
    return sum(counts) if is_sound else None


def _physical(root: Path, info: str) -> int | None:
    """Count the cores behind the logical ones: each is one set of siblings.

    Not by `core_id`, which on some machines is unique only within a die or a cluster.
    """
    cpus = root / CPU_FOLDER
    siblings = {
        read_line(cpus / name / "topology/thread_siblings_list")
        for name in names_in(cpus)
        if _CPU.fullmatch(name)
    } - {""}
    if siblings:
        return len(siblings)
    packages, cores = (
        re.findall(rf"^{key}\s*:\s*([0-9]{{1,6}})$", info, re.MULTILINE)
        for key in ("physical id", "core id")
    )
    is_told = packages and len(packages) == len(cores)
    return len(set(zip(packages, cores, strict=True))) if is_told else None


def _virtualization(info: str) -> str:
    found = _FLAGS.search(info)
    flags = found[1].split() if found else []
    return next((flag for flag in ("vmx", "svm") if flag in flags), "")


def _model(root: Path, info: str) -> str:
    """Return the CPU's name; on ARM the core's, else the board's, which is all that there is."""
    return (
        _line_of(info, "model name")
        or _line_of(info, "cpu model")
        or _arm_core(info)
        or _line_of(info, "Model")
        or _line_of(info, "Hardware")
        or read_line(root / "proc/device-tree/model")
    )


def _line_of(info: str, key: str) -> str:
    found = re.search(rf"^{key}[ \t]*:[ \t]*(\S.*)$", info, re.MULTILINE)
    return one_line(found[1]) if found else ""


def _arm_core(info: str) -> str:
    found = _ARM_PART.search(info)
    if not found:
        return ""
    implementer, part = found.groups()
    known = ARM_CORES.get(part) if implementer == "0x41" else None
    return known or f"ARM, implementer {implementer}, part {part}"
