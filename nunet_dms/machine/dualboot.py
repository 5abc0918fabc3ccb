"""Whether Windows is on this machine too, and whether it only sleeps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.machine.kernelfile import names_in, one_line, read_bytes, read_text
from nunet_dms.machine.mounts import Mount, read_mounts

NTFS_KINDS = frozenset({"ntfs", "ntfs3", "fuseblk"})
"""What a mounted NTFS is called: by the kernel's old and new driver, and by ntfs-3g."""
RECOVERY_TYPE = "de94bba4-06d1-4d4d-a16f-bfd50179d6ac"
"""Partition type of Windows' recovery tools: NTFS, but nothing that is started or sleeps."""
WINDOWS_MIN_SECTORS = 8 * 2**21
"""8 GiB in sectors of 512 bytes: no Windows fits on less, but its boot partitions do."""
ENTRY_MAX_BYTES = 64 * 1024
"""Of udev's record of one device: about 3,000."""
HIBERNATED = frozenset({b"hibr", b"HIBR"})
AWAKE = frozenset({b"wake", b"WAKE", b"\0\0\0\0"})
"""How hiberfil.sys begins: ntfs-3g and GRUB's `nthibr` go by it. Windows' fast start-up, which is
on unless it was switched off, leaves the same mark as hibernation: its disk is in use."""

_BLOCK = re.compile(r"b([0-9]{1,6}:[0-9]{1,7})")
_PROPERTY = re.compile(r"^E:([A-Z0-9_]{1,80})=(.*)$", re.MULTILINE)
_DEVICE_NAME = re.compile(r"^DEVNAME=(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class DualBootFacts:
    """Windows' partitions as they are shown, whether one is hibernated (None: cannot tell), why."""

    windows: tuple[str, ...]
    hibernated: bool | None
    why: str


def read_dual_boot(root: Path = Path("/")) -> DualBootFacts:
    """Return the partitions on fixed disks that can hold a Windows, and whether it is hibernated.

    Partitions are told by udev's records and by what is mounted; whether Windows is hibernated by
    its hiberfil.sys, which can only be read on a volume that is mounted.
    """
    mounted = {mount.number: mount for mount in read_mounts(root) if mount.kind in NTFS_KINDS}
    records = _records(root)
    numbers = [number for number, record in records.items() if _may_hold_windows(record)]
    numbers += [number for number in mounted if number not in records]
    if not numbers:
        return DualBootFacts((), False, "no Windows partition")
    names = tuple(_name(root, number, mounted, records.get(number, {})) for number in numbers)
    told = [
        _is_hibernated(root, name, mounted.get(number))
        for number, name in zip(numbers, names, strict=True)
    ]
    # one that sleeps is enough; one that cannot be read leaves it open
    hibernated, why = next(
        answer for wanted in (True, None, False) for answer in told if answer[0] is wanted
    )
    return DualBootFacts(names, hibernated, why)


def _records(root: Path) -> dict[str, dict[str, str]]:
    """Return udev's properties of each block device, by `major:minor`."""
    folder = root / "run/udev/data"
    blocks = [found for name in names_in(folder) if (found := _BLOCK.fullmatch(name))]
    return {
        found[1]: dict(_PROPERTY.findall(read_text(folder / found[0], ENTRY_MAX_BYTES)))
        for found in blocks
    }


def _may_hold_windows(record: dict[str, str]) -> bool:
    sectors = record.get("ID_PART_ENTRY_SIZE", "")
    is_small = re.fullmatch("[0-9]{1,18}", sectors) and int(sectors) < WINDOWS_MIN_SECTORS
    return (
        record.get("ID_FS_TYPE") in {"ntfs", "BitLocker"}
        and record.get("ID_BUS") != "usb"
        and record.get("ID_PART_ENTRY_TYPE") != RECOVERY_TYPE
        and not is_small
    )


def _name(root: Path, number: str, mounted: dict[str, Mount], record: dict[str, str]) -> str:
    """Return the device with its label: `/dev/sda2 (Windows)`."""
    found = _DEVICE_NAME.search(read_text(root / "sys/dev/block" / number / "uevent", 4096))
    if number in mounted:
        device = mounted[number].source
    else:
        device = f"/dev/{found[1]}" if found else f"device {number}"
    label = record.get("ID_FS_LABEL") or record.get("ID_FS_TYPE") or "ntfs"
    return one_line(f"{device} ({label})")


def _is_hibernated(root: Path, name: str, mount: Mount | None) -> tuple[bool | None, str]:
    if mount is None:
        return None, f"cannot tell: {name} is not mounted"
    folder = root / mount.point.lstrip("/")
    head = read_bytes(folder / "hiberfil.sys", 4)
    if head in HIBERNATED:
        return True, f"hiberfil.sys of {name} says that Windows is hibernated"
    names = {entry.lower() for entry in names_in(folder)}
    if head in AWAKE or (names and "hiberfil.sys" not in names):
        return False, f"Windows on {name} is shut down"
    return None, f"cannot tell: hiberfil.sys of {name} cannot be read"
