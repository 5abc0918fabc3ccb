"""Display cards on the PCI bus, whether a driver has them or not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.machine.kernelfile import names_in, read_line, read_text

NVIDIA = "10de"
AMD = "1002"
PASSED_THROUGH = frozenset({"vfio-pci", "pci-stub", "xen-pciback"})
"""Drivers that keep a card for virtual machines."""

_DISPLAY_CLASS = re.compile(r"0x03[0-9a-f]{4}")  # PCI code and ID assignment, base class 3
_ID = re.compile(r"0x([0-9a-f]{4})")
_DRIVER = re.compile(r"^DRIVER=(\S+)$", re.MULTILINE)
_NAME_FILES = ("usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids")


@dataclass(frozen=True, slots=True)
class PciCard:
    """A display card: address (`0000:41:00.0`), ids (`10de:2330`), driver or empty."""

    address: str
    ids: str
    driver: str

    @property
    def text(self) -> str:
        """The card as a message names it."""
        return f"{self.ids} at PCI {self.address}"


def display_cards(root: Path, vendor: str) -> tuple[PciCard, ...]:
    """Return a vendor's display cards in order of address, from sysfs below `root`.

    Virtual functions are left out: they are parts of a card, for virtual machines.
    """
    found = []
    devices = root / "sys/bus/pci/devices"
    for address in names_in(devices):
        folder = devices / address
        if _id_in(folder / "vendor") != vendor or read_line(folder / "physfn/vendor"):
            continue
        if _DISPLAY_CLASS.fullmatch(read_line(folder / "class")):
            driver = _DRIVER.search(read_text(folder / "uevent"))
            ids = f"{vendor}:{_id_in(folder / 'device') or '????'}"
            found.append(PciCard(address, ids, driver[1] if driver else ""))
    return tuple(found)


def card_name(root: Path, ids: str) -> str:
    """Return the name that pci.ids has for `10de:2330`; empty if none."""
    vendor, _, device = ids.partition(":")
    # A vendor's devices are the lines below it that begin with one tab: see the file's own head.
    wanted = re.compile(
        rf"^{re.escape(vendor)}  (?P<vendor>.+)\n(?:[\t#].*\n)*?"
        rf"\t{re.escape(device)}  (?P<device>.+)$",
        re.MULTILINE,
    )
    for name in _NAME_FILES:
        if found := wanted.search(read_text(root / name)):
            return found["device"].strip()
    return ""


def _id_in(path: Path) -> str:
    """Return the four digits of a file that holds `0x10de`; empty if it does not."""
    found = _ID.fullmatch(read_line(path))
    return found[1] if found else ""
