"""Windows beside us: which partitions, and whether it only sleeps."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden import machine, tree

from nunet_dms.machine.dualboot import DualBootFacts, read_dual_boot

WINDOWS = (
    "E:ID_PART_ENTRY_TYPE=ebd0a0a2-b9e5-4433-87c0-68b6b72699c7\nE:ID_PART_ENTRY_SIZE=936378368\n"
    "E:ID_FS_LABEL=Windows\nE:ID_FS_TYPE=ntfs\nG:systemd\n"
)
RECORD, EVENT = "run/udev/data/b8:3", "sys/dev/block/8:3/uevent"
BESIDE = {RECORD: WINDOWS, EVENT: "MAJOR=8\nMINOR=3\nDEVNAME=sda3\nDEVTYPE=partition\n"}
NAME = "/dev/sda3 (Windows)"


def mounted(kind: str = "fuseblk", number: str = "8:3", point: str = "/mnt/c") -> dict[str, str]:
    line = f"90 27 {number} / {point} rw,relatime shared:49 - {kind} /dev/sda3 rw,user_id=0\n"
    return {"proc/self/mountinfo": line, "mnt/c/Windows/notepad.exe": ""}


@pytest.mark.parametrize(
    ("head", "hibernated", "why"),
    [
        (b"HIBR\0\0\0\0", True, f"hiberfil.sys of {NAME} says that Windows is hibernated"),
        (b"hibr", True, f"hiberfil.sys of {NAME} says that Windows is hibernated"),
        (b"WAKE\0\0", False, f"Windows on {NAME} is shut down"),
        (bytes(4096), False, f"Windows on {NAME} is shut down"),
        (None, False, f"Windows on {NAME} is shut down"),  # hibernation switched off
        (b"RSTR", None, f"cannot tell: hiberfil.sys of {NAME} cannot be read"),
        (b"", None, f"cannot tell: hiberfil.sys of {NAME} cannot be read"),
    ],
)
@pytest.mark.parametrize("kind", ["fuseblk", "ntfs3", "ntfs"])
def test_a_mounted_windows_tells_by_its_hiberfil(
    tmp_path: Path, kind: str, head: bytes | None, hibernated: bool | None, why: str
) -> None:
    files = BESIDE | mounted(kind)
    root = tree(tmp_path, files if head is None else {**files, "mnt/c/hiberfil.sys": head})
    assert read_dual_boot(root) == DualBootFacts((NAME,), hibernated, why)


def test_a_windows_that_is_not_mounted_cannot_be_asked(tmp_path: Path) -> None:
    facts = read_dual_boot(tree(tmp_path, BESIDE))
    assert facts == DualBootFacts((NAME,), None, f"cannot tell: {NAME} is not mounted")


def test_an_encrypted_windows_is_found_too(tmp_path: Path) -> None:
    record = WINDOWS.replace("ntfs", "BitLocker").replace("E:ID_FS_LABEL=Windows\n", "")
    facts = read_dual_boot(tree(tmp_path, BESIDE | {RECORD: record}))
    assert (facts.windows, facts.hibernated) == (("/dev/sda3 (BitLocker)",), None)


@pytest.mark.parametrize(
    "record",
    [
        WINDOWS.replace("ntfs", "ext4"),
        WINDOWS + "E:ID_BUS=usb\n",
        WINDOWS.replace("936378368", "1126400"),  # a boot partition of 550 MiB
        WINDOWS.replace("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7",
                        "de94bba4-06d1-4d4d-a16f-bfd50179d6ac"),
    ],
)  # fmt: skip
def test_partitions_that_hold_no_windows_are_left_out(tmp_path: Path, record: str) -> None:
    facts = read_dual_boot(tree(tmp_path, BESIDE | mounted() | {RECORD: record}))
    assert facts == DualBootFacts((), False, "no Windows partition")


def test_a_mounted_ntfs_counts_where_udev_is_silent(tmp_path: Path) -> None:
    root = tree(tmp_path, {**mounted(point="/mnt/my\\040c"), "mnt/my c/hiberfil.sys": b"HIBR"})
    facts = read_dual_boot(root)
    assert (facts.windows, facts.hibernated) == (("/dev/sda3 (ntfs)",), True)


def test_one_that_sleeps_decides_over_one_that_cannot_be_read(tmp_path: Path) -> None:
    files = {**BESIDE, "run/udev/data/b8:1": WINDOWS, **mounted(), "mnt/c/hiberfil.sys": b"HIBR"}
    facts = read_dual_boot(tree(tmp_path, files))
    assert facts.windows == ("device 8:1 (Windows)", NAME)
    assert facts.hibernated is True


def test_one_that_cannot_be_read_leaves_it_open(tmp_path: Path) -> None:
    files = {**BESIDE, "run/udev/data/b8:1": WINDOWS, **mounted(), "mnt/c/hiberfil.sys": b"WAKE"}
    assert read_dual_boot(tree(tmp_path, files)).hibernated is None


def test_the_recovery_partition_of_a_laptop_is_no_second_windows(tmp_path: Path) -> None:
    facts = read_dual_boot(machine("ubuntu-24.04-bare", tmp_path))
    assert facts.why == "cannot tell: /dev/nvme0n1p3 (Windows) is not mounted"
