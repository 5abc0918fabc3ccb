"""AMD's GPUs, from what their kernel driver, amdgpu, shows in sysfs.

Integrated ones are among them, with the little memory that is set aside for them. Source: kernel
documentation, gpu/amdgpu (thermal, driver-misc, ras). Which processes use a card is not told there.
"""

from __future__ import annotations

import re
from pathlib import Path

from nunet_dms.machine.gpu import Gpu, GpuFacts, GpuHealth
from nunet_dms.machine.kernelfile import names_in, read_line, read_number, read_text
from nunet_dms.machine.pci import AMD, PASSED_THROUGH, PciCard, card_name, display_cards

DRIVER = "amdgpu"
COUNTS_MAX_BYTES = 4096
"""Of the file with the memory errors: a page, as every file of sysfs."""
MIB = 1024 * 1024

_UNIQUE_ID = re.compile(r"(?:0x)?([0-9a-f]{1,16})", re.IGNORECASE)
_UNCORRECTABLE = re.compile(r"^ue: (\d{1,18})$", re.MULTILINE)


def read_amd(root: Path) -> GpuFacts:
    """Return AMD's GPUs in order of PCI address, from sysfs below `root`; raises nothing."""
    cards = display_cards(root, AMD)
    driven = [card for card in cards if card.driver == DRIVER]
    # `radeon` and others drive cards that are too old to compute: no GPU, and nothing to mend
    problems = [problem for card in cards if (problem := _problem(card))]
    version = read_line(root / "sys/module/amdgpu/version")  # ROCm's own module has one
    driver = f"{DRIVER} {version}".rstrip()
    gpus = [_gpu(root, index, card, driver) for index, card in enumerate(driven)]
    return GpuFacts(tuple(gpus), tuple(problems))


def _problem(card: PciCard) -> str:
    if not card.driver:
        return (
            f"cannot use the AMD card {card.text}: it has no driver;"
            " type: sudo modprobe amdgpu (a card newer than the kernel needs a newer kernel)"
        )
    if card.driver in PASSED_THROUGH:
        return (
            f"cannot use the AMD card {card.text}: {card.driver} keeps it for virtual machines;"
            " if it is to work here, let amdgpu have it"
        )
    return ""


def _gpu(root: Path, index: int, card: PciCard, driver: str) -> Gpu:
    device = root / "sys/bus/pci/devices" / card.address
    total = read_number(device / "mem_info_vram_total")
    used = read_number(device / "mem_info_vram_used")
    busy = read_number(device / "gpu_busy_percent")
    health, faults = _health(device, total)
    return Gpu(
        vendor="amd",
        index=index,
        name=read_line(device / "product_name") or card_name(root, card.ids) or f"AMD {card.ids}",
        uuid=_uuid(device),
        pci=card.address,
        driver=driver,
        vram_mb=None if total is None else total // MIB,
        free_vram_mb=None if total is None or used is None else max(0, total - used) // MIB,
        utilization_percent=busy if busy is not None and busy <= 100 else None,
        temperature_c=_sensor(device, ("temp1_input",), per_unit=1000),
        power_w=_sensor(device, ("power1_average", "power1_input"), per_unit=1_000_000),
        health=health,
        faults=faults,
    )


def _health(device: Path, total: int | None) -> tuple[GpuHealth, tuple[str, ...]]:
    """Judge by whether the driver still answers, and by the memory errors that it counts."""
    if total is None:
        why = "its driver tells no memory size; see: sudo dmesg | grep amdgpu"
        return GpuHealth.UNKNOWN, (why,)
    counted = _UNCORRECTABLE.search(read_text(device / "ras/umc_err_count", COUNTS_MAX_BYTES))
    if counted and int(counted[1]):
        why = f"{int(counted[1])} uncorrectable memory errors since the driver was loaded: reboot"
        return GpuHealth.DEGRADED, (why,)
    return GpuHealth.OK, ()


def _uuid(device: Path) -> str:
    """Return the id as ROCm writes it; many consumer cards have none."""
    found = _UNIQUE_ID.fullmatch(read_line(device / "unique_id"))
    return f"GPU-{int(found[1], 16):016x}" if found and int(found[1], 16) else ""


def _sensor(device: Path, names: tuple[str, ...], per_unit: int) -> int | None:
    """Return the first sensor of these names that tells a number, in whole units (hwmon)."""
    for sensor in names_in(device / "hwmon"):
        for name in names:
            if (raw := read_number(device / "hwmon" / sensor / name)) is not None:
                return round(raw / per_unit)
    return None
