"""The CPU: how many cores, and how fast one is when all of them work."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.machine.kernelfile import read_text

_MODEL = re.compile(r"^(?:model name|Model|cpu model|Hardware)\s*:\s*(.+)$", re.MULTILINE)
_PROCESSOR = re.compile(r"^processor\s*:\s*\d+", re.MULTILINE)
_CPU_MHZ = re.compile(r"^(?:cpu MHz|clock)\s*:\s*(\d{1,6})(?:\.\d+)?(?:MHz)?$", re.MULTILINE)
_RATE_IN_NAME = re.compile(r"@\s*(\d{1,2}(?:\.\d{1,3})?)\s*GHz", re.IGNORECASE)
_SPAN = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")


@dataclass(frozen=True, slots=True)
class CpuFacts:
    """Model, logical cores, the sustained rate of one in MHz (None: not to be found), and where
    the rate was found."""

    model: str
    cores: int
    core_mhz: int | None
    source: str

    @property
    def total_mhz(self) -> int | None:
        """Cores times rate: what can be shared out, in MHz."""
        return None if self.core_mhz is None else self.cores * self.core_mhz


def read_cpu(root: Path = Path("/")) -> CpuFacts:
    """Return the CPU's facts from the kernel's files below `root`; raises nothing.

    The rate is taken from the first of `RATE_SOURCES` that knows one: virtual machines and ARM
    boards often have none of the usual ones.
    """
    info = read_text(root / "proc/cpuinfo")
    model = _MODEL.search(info)
    name = model[1].strip() if model else ""
    source, rate = next(
        ((source, rate) for source, find in RATE_SOURCES if (rate := find(root, info)) is not None),
        ("nothing: the kernel tells no rate", None),
    )
    return CpuFacts(model=name, cores=_cores(root, info), core_mhz=rate, source=source)


def _cores(root: Path, info: str) -> int:
    """Count the cores that are switched on: `0-3,6` in the kernel's notation."""
    online = read_text(root / "sys/devices/system/cpu/online").strip()
    if online:
        spans = [_SPAN.fullmatch(part) for part in online.split(",")]
        counts = [int(span[2] or span[1]) - int(span[1]) + 1 for span in spans if span]
        if len(counts) == len(spans) and min(counts) > 0:
            return sum(counts)
    return max(1, len(_PROCESSOR.findall(info)))


def _base_frequency(root: Path, _: str) -> int | None:
    """The slowest core's base frequency: what every core sustains (kernel: intel_pstate)."""
    rates = _cpufreq(root, "base_frequency")
    return min(rates) if rates else None


def _highest_now(_: Path, info: str) -> int | None:
    """The highest present rate: idle cores are clocked down."""
    rates = [int(rate) for rate in _CPU_MHZ.findall(info) if int(rate) > 0]
    return max(rates) if rates else None


def _rate_in_name(_: Path, info: str) -> int | None:
    found = _RATE_IN_NAME.search(info)
    return round(float(found[1]) * 1000) or None if found else None


def _highest_allowed(root: Path, _: str) -> int | None:
    """The slowest core's highest frequency; the one that ARM boards give."""
    rates = _cpufreq(root, "cpuinfo_max_freq")
    return min(rates) if rates else None


RATE_SOURCES: tuple[tuple[str, Callable[[Path, str], int | None]], ...] = (
    ("cpufreq base_frequency", _base_frequency),
    ("/proc/cpuinfo, highest core", _highest_now),
    ("the model's name", _rate_in_name),
    ("cpufreq cpuinfo_max_freq", _highest_allowed),
)
"""In order of trust."""


def _cpufreq(root: Path, name: str) -> list[int]:
    """Return one value of cpufreq for each core that has it, in MHz (the files hold kHz)."""
    files = (root / "sys/devices/system/cpu").glob(f"cpu[0-9]*/cpufreq/{name}")
    texts = [read_text(file).strip() for file in files]
    return [int(text) // 1000 for text in texts if text.isdecimal() and int(text) >= 1000]
