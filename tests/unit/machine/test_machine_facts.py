"""Memory, disk and platform, read from trees of kernel files as different machines have them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from golden import tree

from nunet_dms.machine.disk import DiskFacts, read_disk
from nunet_dms.machine.memory import MemoryFacts, read_memory
from nunet_dms.machine.platform import read_platform

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


@pytest.mark.parametrize(
    "text", ["", "nothing\n", "MemTotal: 0 kB\n", f"MemTotal: {'9' * 5000} kB\n"]
)
def test_memory_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    root = tree(tmp_path, {"proc/meminfo": text, "sys/fs/cgroup/memory.max": "1073741824\n"})
    assert read_memory(root) == MemoryFacts(None, None)


def test_memory_may_be_told_without_how_much_is_free(tmp_path: Path) -> None:
    root = tree(tmp_path, {"proc/meminfo": "MemTotal: 4096000 kB\n"})
    assert read_memory(root) == MemoryFacts(4000, None)


def test_disk_is_that_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    there = os.statvfs(tmp_path)
    found = read_disk(tmp_path / "not" / "yet")
    assert found.total_mb == there.f_blocks * there.f_frsize // 2**20
    assert found.free_mb is not None
    assert 0 <= found.free_mb <= found.total_mb


def test_disk_below_a_file_is_that_of_its_folder(tmp_path: Path) -> None:
    root = tree(tmp_path, {"file": "x"})
    assert read_disk(root / "file" / "below").total_mb == read_disk(root).total_mb


def test_a_disk_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for place in (tmp_path / "loop" / "x", tmp_path / "a\0b", tmp_path / ("x" * 300)):
        assert read_disk(place) == DiskFacts(None, None)


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"etc/os-release": 'ID=x\nPRETTY_NAME="Debian GNU/Linux 12"\n'}, "Debian GNU/Linux 12"),
        ({"usr/lib/os-release": "PRETTY_NAME='Fedora 40'\n"}, "Fedora 40"),
        ({"etc/os-release": "PRETTY_NAME=Alpine\n"}, "Alpine"),
        ({"etc/os-release": 'PRETTY_NAME=""\n'}, os.uname().sysname),
        ({}, os.uname().sysname),
        ({"etc/os-release": f"PRETTY_NAME={'x' * 999}\n"}, "x" * 200),
        ({"etc/os-release": 'PRETTY_NAME="A\x1b[2J\tB"\n'}, "A [2J B"),
    ],
)
def test_the_platform_is_named_as_it_names_itself(
    tmp_path: Path, files: dict[str, str], name: str
) -> None:
    found = read_platform(tree(tmp_path, files))
    assert found.os_name == name
    assert (found.kernel, found.architecture) == (os.uname().release, os.uname().machine)


def test_the_platform_has_an_id_and_a_version_to_compare(tmp_path: Path) -> None:
    release = "VERSION_ID='24.04'\nID=ubuntu\nID_LIKE=debian\n#ID=no\n"
    kernel = {"proc/sys/kernel/osrelease": "6.8.0-45\n", "proc/sys/kernel/arch": "aarch64\n"}
    found = read_platform(tree(tmp_path, {"etc/os-release": release, **kernel}))
    assert (found.os_id, found.os_version) == ("ubuntu", "24.04")
    assert (found.kernel, found.architecture) == ("6.8.0-45", "aarch64")
