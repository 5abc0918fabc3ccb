"""Memory, in MiB."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.errors import NunetError

KIB_PER_MIB = 1024
MIB = 1024 * 1024

_LINE = re.compile(r"^(MemTotal|MemAvailable|MemFree):\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class MemoryFacts:
    """All memory that programs here may use, and how much of it could be had now, in MiB."""

    total_mb: int
    available_mb: int


def read_memory(root: Path = Path("/")) -> MemoryFacts:
    """Return memory from /proc/meminfo below `root`; less where a control group has less.

    Raises NunetError if the kernel does not tell.
    """
    try:
        text = (root / "proc/meminfo").read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise NunetError(f"cannot read this machine's memory: {error}") from error
    kib = {name: int(number) for name, number in _LINE.findall(text)}
    if not kib.get("MemTotal"):
        raise NunetError("cannot read this machine's memory: /proc/meminfo has no MemTotal")
    total_mb = min(kib["MemTotal"] // KIB_PER_MIB, *_group_limits_mb(root))
    available_mb = kib.get("MemAvailable", kib.get("MemFree", 0)) // KIB_PER_MIB
    return MemoryFacts(total_mb, min(total_mb, available_mb))


def _group_limits_mb(root: Path) -> list[int]:
    """The limit of the container that we may be in (cgroup v2, cgroup v1); a host has none."""
    limits = [2**62]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            text = (root / "sys/fs/cgroup" / name).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text.isdecimal():  # otherwise "max"
            limits.append(int(text) // MIB)
    return limits
