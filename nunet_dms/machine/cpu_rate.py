"""How fast a core is when all of them work: sustained, not boosted, in MHz."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from nunet_dms.machine.kernelfile import names_in, read_bytes, read_number
from nunet_dms.machine.smbios import processor_speeds

RATE_MAX_MHZ = 10_000
"""No CPU sustains as much; more is a broken file."""
UNKNOWN = "nothing: the kernel tells no rate"

_CPU = re.compile(r"cpu[0-9]+")
_CPU_MHZ = re.compile(r"^(?:cpu MHz|clock)\s*:\s*([0-9]{1,6})(?:\.[0-9]+)?(?:MHz)?$", re.MULTILINE)
_RATE_IN_NAME = re.compile(r"^model name.*@ *([0-9](?:\.[0-9]{1,3})?) *GHz", re.MULTILINE)
_BOGOMIPS = re.compile(r"^bogomips\s*:\s*([0-9]{1,6}(?:\.[0-9]{1,3})?)$", re.MULTILINE)
_CONSTANT_TSC = re.compile(r"^flags[ \t]*:.* constant_tsc(?: |$)", re.MULTILINE)


def find_rate(root: Path, info: str) -> tuple[int | None, str]:
    """Return the slowest core's sustained rate and where it was found; (None, why) if nowhere.

    `info` is /proc/cpuinfo. The first of `RATE_SOURCES` that gives a rate that a CPU can have is
    believed; zero and absurd rates are passed over.
    """
    for source, find in RATE_SOURCES:
        rates = [rate for rate in find(root, info) if 0 < rate <= RATE_MAX_MHZ]
        if rates:
            return min(rates), source
    return None, UNKNOWN


def _base_frequency(root: Path, _: str) -> Iterable[int]:
    return _of_each_core(root, "cpufreq/base_frequency", khz=True)


def _nominal_frequency(root: Path, _: str) -> Iterable[int]:
    return _of_each_core(root, "acpi_cppc/nominal_freq", khz=False)


def _in_name(_: Path, info: str) -> Iterable[int]:
    return (round(float(rate) * 1000) for rate in _RATE_IN_NAME.findall(info)[:1])


def _time_stamp_counter(_: Path, info: str) -> Iterable[int]:
    if not _CONSTANT_TSC.search(info):
        return []
    return (int(float(bogomips) / 2) for bogomips in _BOGOMIPS.findall(info)[:1])


def _firmware(root: Path, _: str) -> Iterable[int]:
    return processor_speeds(read_bytes(root / "sys/firmware/dmi/tables/DMI"))


def _device_tree(root: Path, _: str) -> Iterable[int]:
    """Big endian Hz, in 4 or 8 bytes (Devicetree specification, 3.8.1)."""
    cpus = root / "proc/device-tree/cpus"
    nodes = (name for name in names_in(cpus) if name.startswith("cpu@"))
    values = (read_bytes(cpus / name / "clock-frequency", 9) for name in nodes)
    return (int.from_bytes(value, "big") // 10**6 for value in values if len(value) in {4, 8})


def _highest_allowed(root: Path, _: str) -> Iterable[int]:
    return _of_each_core(root, "cpufreq/cpuinfo_max_freq", khz=True)


def _highest_now(_: Path, info: str) -> Iterable[int]:
    """Not the slowest core's, for idle cores are clocked down."""
    rates = [int(rate) for rate in _CPU_MHZ.findall(info)]
    return [max((rate for rate in rates if rate <= RATE_MAX_MHZ), default=0)]


def _of_each_core(root: Path, name: str, *, khz: bool) -> Iterable[int]:
    cpus = root / "sys/devices/system/cpu"
    numbers = (read_number(cpus / cpu / name) for cpu in names_in(cpus) if _CPU.fullmatch(cpu))
    return (number // 1000 if khz else number for number in numbers if number is not None)


RATE_SOURCES: tuple[tuple[str, Callable[[Path, str], Iterable[int]]], ...] = (
    ("cpufreq base_frequency", _base_frequency),
    ("ACPI CPPC nominal_freq", _nominal_frequency),
    ("the model's name", _in_name),
    ("half of bogomips: the constant time stamp counter", _time_stamp_counter),
    ("SMBIOS, the processor's speed", _firmware),
    ("device tree clock-frequency", _device_tree),
    ("cpufreq cpuinfo_max_freq, perhaps boosted", _highest_allowed),
    ("/proc/cpuinfo cpu MHz of the fastest core, perhaps boosted", _highest_now),
)
"""In order of trust:

- base_frequency: what Intel guarantees on all cores (kernel: intel_pstate). Hybrid CPUs give one
  for each kind of core; the slowest counts, since a job may run on any.
- nominal_freq: the highest that ACPI's platform sustains (kernel: admin-guide/acpi/cppc_sysfs).
  AMD and ARM servers have it.
- "@ 2.40GHz" in the name: Intel's base rate, also within virtual machines.
- The time stamp counter of an x86 CPU with `constant_tsc` counts at the base rate, and bogomips is
  twice that (kernel: init/calibrate.c). AMD's names hold no rate, and in a virtual machine without
  cpufreq this is all there is. On Intel's hybrid laptops it is the highest rate without boost of
  the fast cores, which is more than the slow ones do: base_frequency, where it is given, is better.
- SMBIOS: root only, and as good as the firmware's maker. ARM servers in clouds have little else.
- The device tree of ARM and RISC-V boards, where it was filled in.
- cpuinfo_max_freq: right on ARM boards, which do not boost; elsewhere it may include the boost.
- The present rate: right in WSL 1; elsewhere it may be boosted or, with every core idle, too low.
"""
