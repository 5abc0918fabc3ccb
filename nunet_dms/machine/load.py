"""How busy the CPU is, and how much of that is not ours."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.machine.kernelfile import read_text

STAT_MAX_BYTES = 4096
"""Of /proc/stat: its first line stands for all cores."""

_ALL_CORES = re.compile(r"cpu +((?:[0-9]{1,18} ?){4,10})")
_IDLE, _IOWAIT, _STEAL = 3, 4, 7
"""Places in the line (proc(5)): user nice system idle iowait irq softirq steal guest guest_nice."""
_SUMMED = 8
"""Guests' time is in user and nice already."""


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Seconds since the start, summed over all cores: spent on work, and all that passed."""

    busy_s: float
    total_s: float


def read_cpu_time(root: Path = Path("/")) -> CpuTime | None:
    """Return the CPU time used on this machine from /proc/stat; None if it does not tell.

    Waiting for a disk is not work. Time stolen by the host for its other guests passed, but nobody
    on this machine worked: it counts in the total only.
    """
    found = _ALL_CORES.match(read_text(root / "proc/stat", STAT_MAX_BYTES))
    if found is None:
        return None
    ticks = [int(number) for number in found[1].split()][:_SUMMED]
    rested = sum(ticks[place] for place in (_IDLE, _IOWAIT, _STEAL) if place < len(ticks))
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    return CpuTime((sum(ticks) - rested) * tick_s, sum(ticks) * tick_s)


def others_percent(before: CpuTime, after: CpuTime, jobs_cpu_s: float) -> int:
    """Return how much of the CPU was used between two readings by others than our jobs, 0 to 100.

    `jobs_cpu_s` is the CPU time that our jobs used in between. 0 where no time has passed.
    """
    total_s = after.total_s - before.total_s
    if total_s <= 0:
        return 0
    others_s = after.busy_s - before.busy_s - jobs_cpu_s
    return round(min(100.0, max(0.0, 100 * others_s / total_s)))
