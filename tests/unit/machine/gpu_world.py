"""What the tests of GPUs share: kernel files of machines with cards, and a stand-in for NVML."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "fake_nvml.c"
LIBRARY = "libnvidia-ml.so.1"
GIB = 2**30


def compile_fake(folder: Path) -> Path:
    """Compile the stand-in for NVIDIA's library into a folder, as its linker looks for it."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.fail("the tests of GPUs compile a stand-in for NVIDIA's library: install gcc", False)
    library = folder / LIBRARY
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    done = subprocess.run(
        [compiler, *flags, "-o", library, SOURCE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return library


def write_tree(root: Path, files: Mapping[str, str]) -> Path:
    """Write files below a root, with their folders."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def pci_card(address: str, vendor: str, device: str = "2330", driver: str = "") -> dict[str, str]:
    """The files of a display card in sysfs."""
    folder = f"sys/bus/pci/devices/{address}"
    uevent = (f"DRIVER={driver}\n" if driver else "") + f"PCI_SLOT_NAME={address}\n"
    return {
        f"{folder}/vendor": f"0x{vendor}\n",
        f"{folder}/device": f"0x{device}\n",
        f"{folder}/class": "0x030200\n",
        f"{folder}/uevent": uevent,
    }


def nvidia_card(bus: int, driver: str = "nvidia") -> dict[str, str]:
    """The files of an NVIDIA card on a bus of the first domain."""
    return pci_card(f"0000:{bus:02x}:00.0", "10de", driver=driver)


def fake_gpu(bus: int, *more: str) -> str:
    """A GPU in the world of the stand-in: an H100 that idles, and what is added to it."""
    lines = (
        "gpu",
        " name NVIDIA H100 80GB HBM3",
        f" uuid GPU-{bus:08x}",
        f" pci 00000000:{bus:02X}:00.0",
        f" total {80 * GIB}",
        f" free {79 * GIB}",
        " load 0",
        " celsius 31",
        " milliwatts 70400",
        *(f" {line}" for line in more),
    )
    return "".join(f"{line}\n" for line in lines)
