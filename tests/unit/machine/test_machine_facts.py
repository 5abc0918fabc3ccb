"""Facts about the machine, read from trees of kernel files as different machines have them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from nunet_dms.errors import NunetError
from nunet_dms.machine.cpu import read_cpu
from nunet_dms.machine.disk import read_disk
from nunet_dms.machine.memory import MemoryFacts, read_memory
from nunet_dms.machine.platform import read_platform

CPU = "sys/devices/system/cpu"
XEON = "".join(
    f"processor\t: {n}\nmodel name\t: Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz\n{mhz}\n"
    for n, mhz in enumerate(("cpu MHz\t\t: 1199.998", "cpu MHz\t\t: 2900.123"))
)
XEON_WITHOUT_RATE = XEON.replace("cpu MHz\t\t: 1199.998", "").replace("cpu MHz\t\t: 2900.123", "")
ARM = "processor\t: 0\nBogoMIPS\t: 108.00\n\nprocessor\t: 1\nBogoMIPS\t: 108.00\n"


def tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "core_mhz", "source"),
    [
        (
            {
                "proc/cpuinfo": XEON,
                f"{CPU}/cpu0/cpufreq/base_frequency": "2400000\n",
                f"{CPU}/cpu1/cpufreq/base_frequency": "1800000\n",
            },
            1800,
            "cpufreq base_frequency",
        ),
        ({"proc/cpuinfo": XEON}, 2900, "/proc/cpuinfo, highest core"),
        ({"proc/cpuinfo": XEON_WITHOUT_RATE}, 2400, "the model's name"),
        (
            {"proc/cpuinfo": ARM, f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq": "1500000\n"},
            1500,
            "cpufreq cpuinfo_max_freq",
        ),
        ({"proc/cpuinfo": ARM}, None, "nothing: the kernel tells no rate"),
        ({"proc/cpuinfo": XEON.replace("1199.998", "0.000").replace("2900.123", "0.000")}, 2400,
         "the model's name"),
        ({"proc/cpuinfo": ARM, f"{CPU}/cpu0/cpufreq/base_frequency": "<unknown>\n"}, None,
         "nothing: the kernel tells no rate"),
        ({}, None, "nothing: the kernel tells no rate"),
    ],
)  # fmt: skip
def test_the_rate_is_the_first_that_the_kernel_knows(
    tmp_path: Path, files: dict[str, str], core_mhz: int | None, source: str
) -> None:
    found = read_cpu(tree(tmp_path, files))
    assert (found.core_mhz, found.source) == (core_mhz, source)
    assert ("Xeon" in found.model) is ("Xeon" in files.get("proc/cpuinfo", ""))


@pytest.mark.parametrize(
    ("online", "cores"),
    [("0-3,6\n", 5), ("0\n", 1), ("0-127", 128), ("nonsense", 2), ("3-1", 2), ("", 2)],
)
def test_cores_are_those_that_are_switched_on(tmp_path: Path, online: str, cores: int) -> None:
    found = read_cpu(tree(tmp_path, {"proc/cpuinfo": XEON, f"{CPU}/online": online}))
    assert found.cores == cores
    assert found.total_mhz == cores * 2900


def test_a_machine_that_tells_nothing_has_one_core_and_no_total(tmp_path: Path) -> None:
    found = read_cpu(tmp_path)
    assert (found.model, found.cores, found.total_mhz) == ("", 1, None)


MEMINFO = "MemTotal:        4096000 kB\nMemFree: 512000 kB\nMemAvailable:    2048000 kB\n"


@pytest.mark.parametrize(
    ("files", "facts"),
    [
        ({"proc/meminfo": MEMINFO}, MemoryFacts(4000, 2000)),
        (
            {"proc/meminfo": MEMINFO, "sys/fs/cgroup/memory.max": "1073741824\n"},
            MemoryFacts(1024, 1024),
        ),
        ({"proc/meminfo": MEMINFO, "sys/fs/cgroup/memory.max": "max\n"}, MemoryFacts(4000, 2000)),
        (
            {
                "proc/meminfo": MEMINFO,
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            MemoryFacts(4000, 2000),
        ),
        ({"proc/meminfo": "MemTotal: 4096000 kB\nMemFree: 512000 kB\n"}, MemoryFacts(4000, 500)),
    ],
)
def test_memory_is_the_machine_s_or_the_container_s(
    tmp_path: Path, files: dict[str, str], facts: MemoryFacts
) -> None:
    assert read_memory(tree(tmp_path, files)) == facts


@pytest.mark.parametrize("files", [{}, {"proc/meminfo": "nothing\n"}])
def test_memory_that_cannot_be_read_is_an_error(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(NunetError, match="cannot read this machine's memory"):
        read_memory(tree(tmp_path, files))


def test_disk_is_that_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    there = os.statvfs(tmp_path)
    found = read_disk(tmp_path / "not" / "yet")
    assert found.total_mb == there.f_blocks * there.f_frsize // 2**20
    assert 0 <= found.free_mb <= found.total_mb


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"etc/os-release": 'ID=x\nPRETTY_NAME="Debian GNU/Linux 12"\n'}, "Debian GNU/Linux 12"),
        ({"usr/lib/os-release": "PRETTY_NAME='Fedora 40'\n"}, "Fedora 40"),
        ({"etc/os-release": "PRETTY_NAME=Alpine\n"}, "Alpine"),
        ({"etc/os-release": 'PRETTY_NAME=""\n'}, os.uname().sysname),
        ({}, os.uname().sysname),
        ({"etc/os-release": f"PRETTY_NAME={'x' * 999}\n"}, "x" * 200),
    ],
)
def test_the_platform_is_named_as_it_names_itself(
    tmp_path: Path, files: dict[str, str], name: str
) -> None:
    found = read_platform(tree(tmp_path, files))
    assert found.os_name == name
    assert found.architecture == os.uname().machine
