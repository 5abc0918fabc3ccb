"""Memory, in MiB."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.machine.kernelfile import read_number, read_text

KIB_PER_MIB = 1024
MIB = 1024 * 1024

_LINE = re.compile(r"^(MemTotal|MemAvailable|MemFree):\s+([0-9]{1,15}) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class MemoryFacts:
    """All memory that programs here may use, and how much of it could be had now, in MiB.

    None where the kernel does not tell.
    """

    total_mb: int | None
    available_mb: int | None


def read_memory(root: Path = Path("/")) -> MemoryFacts:
    """Return memory from /proc/meminfo below `root`; less where a control group has less."""
    kib = {name: int(number) for name, number in _LINE.findall(read_text(root / "proc/meminfo"))}
    if not kib.get("MemTotal"):
        return MemoryFacts(None, None)
    total_mb = min(kib["MemTotal"] // KIB_PER_MIB, *_group_limits_mb(root))
    available = kib.get("MemAvailable", kib.get("MemFree"))
    if available is None:
        return MemoryFacts(total_mb, None)
    return MemoryFacts(total_mb, min(total_mb, available // KIB_PER_MIB))


def _group_limits_mb(root: Path) -> list[int]:
    """The limit of the container that we may be in (cgroup v2, cgroup v1); a host has none."""
    limits = [2**62]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        limit = read_number(root / "sys/fs/cgroup" / name)
        if limit is not None:  # otherwise "max", or more digits than there is memory
            limits.append(limit // MIB)
    return limits
