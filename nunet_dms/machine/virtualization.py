"""What lies below this system: bare metal, a virtual machine, a container, or Windows (WSL)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from nunet_dms.machine.container import read_container
from nunet_dms.machine.kernelfile import (
    is_there,
    names_in,
    read_bytes,
    read_line,
    read_text,
)

UNKNOWN_HYPERVISOR = "unknown hypervisor"
DMI_FOLDER = "sys/class/dmi/id"

DMI_FIELDS = (
    "product_name",
    "sys_vendor",
    "board_vendor",
    "board_name",
    "bios_vendor",
    "chassis_vendor",
    "product_version",
)
"""The product first, to tell KVM from the QEMU that runs it; all may be read by anybody."""

DMI_NAMES = (
    ("VirtualBox", "virtualbox"),
    ("innotek GmbH", "virtualbox"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("Google Compute Engine", "google"),
    ("Amazon EC2", "amazon"),
    ("Parallels", "parallels"),
    ("Hyper-V", "hyperv"),
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("AHV", "kvm"),
    ("QEMU", "qemu"),
    ("Standard PC", "qemu"),
    ("Bochs", "qemu"),
    ("Xen", "xen"),
    ("HVM domU", "xen"),
    ("BHYVE", "bhyve"),
    ("Cloud Hypervisor", "cloud-hypervisor"),
    ("Apple Virtualization", "apple"),
)
"""How names in `DMI_FIELDS` begin. Not "Oracle Corporation" or "Microsoft Corporation" alone: both
also build machines that are made of metal."""

ACPI_TABLES = ("FACP", "APIC", "DSDT")
ACPI_OEMS = (
    ("FIRECK", "firecracker"),
    ("CLOUDH", "cloud-hypervisor"),
    ("VBOX", "virtualbox"),
    ("VRTUAL", "hyperv"),
    ("MSFTVM", "hyperv"),
    ("PRLS", "parallels"),
    ("BOCHS", "qemu"),
    ("Xen", "xen"),
)
"""How the OEM id in a table's header begins (ACPI specification, 5.2.6); root only. Firecracker
has no DMI, so that this is all that tells it from KVM."""

CLOCKS = (("kvm-clock", "kvm"), ("hyperv_clocksource", "hyperv"), ("xen", "xen"))
"""Clocks that a hypervisor offers."""

_FLAGS = re.compile(r"^flags[ \t]*:(.*)$", re.MULTILINE)
_VERSION = re.compile(r"Linux version (\S{1,100})")


class Kind(str, Enum):
    """What the platform's rules are about; the values travel (protocol.machine)."""

    NATIVE = "native"
    VM = "vm"
    CONTAINER = "container"
    WSL1 = "wsl1"
    WSL2 = "wsl2"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class VirtualizationFacts:
    """The kind, the hypervisor and the container (each may be empty), and what says the kind.

    A container in a virtual machine has both. Of several kinds the one stands that the rules ask
    for first: WSL, then container, then virtual machine.
    """

    kind: Kind
    hypervisor: str
    source: str
    container: str = ""


def read_virtualization(root: Path = Path("/")) -> VirtualizationFacts:
    """Return what lies below this system, told by files below `root` alone; raises nothing."""
    info = read_text(root / "proc/cpuinfo")
    hypervisor, hypervisor_source = _hypervisor(root, info)
    container, container_source = read_container(root)
    wsl, wsl_source = _wsl(root)
    if wsl is Kind.WSL1:  # an emulation within Windows: what the CPU's flags say is Windows' own
        return VirtualizationFacts(wsl, "", wsl_source, container)
    if wsl is Kind.WSL2:
        return VirtualizationFacts(wsl, "hyperv", wsl_source, container)
    if container:
        return VirtualizationFacts(Kind.CONTAINER, hypervisor, container_source, container)
    if hypervisor:
        return VirtualizationFacts(Kind.VM, hypervisor, hypervisor_source)
    return _without_hypervisor(root, info)


def _wsl(root: Path) -> tuple[Kind | None, str]:
    """Tell WSL by the kernel's release; a kernel of the owner's own by what WSL registers."""
    release, source = read_line(root / "proc/sys/kernel/osrelease"), "/proc/sys/kernel/osrelease"
    if not release:
        found = _VERSION.match(read_text(root / "proc/version", 4096))
        release, source = (found[1] if found else ""), "/proc/version"
    # 4.4.0-19041-Microsoft is WSL 1; 5.15.153.1-microsoft-standard-WSL2 is WSL 2
    if "-Microsoft" in release:
        return Kind.WSL1, f"{source}: {release}"
    if "microsoft-standard" in release or "WSL2" in release:
        return Kind.WSL2, f"{source}: {release}"
    for name in ("WSLInterop", "WSLInterop-late"):
        if is_there(root / "proc/sys/fs/binfmt_misc" / name):
            return Kind.WSL2, f"/proc/sys/fs/binfmt_misc/{name}"
    return None, ""


def _hypervisor(root: Path, info: str) -> tuple[str, str]:
    """Return the hypervisor and what says so; two empty texts where there is no sign of one."""
    if _is_xen_host(root):
        return "", ""
    for find in (_by_dmi, _by_sysfs, _by_acpi, _by_device_tree, _by_clock):
        name, source = find(root)
        if name:
            return name, source
    if "hypervisor" in _flags(info):
        return UNKNOWN_HYPERVISOR, "/proc/cpuinfo: the hypervisor flag"
    return "", ""


def _by_dmi(root: Path) -> tuple[str, str]:
    dmi = {field: read_line(root / DMI_FOLDER / field) for field in DMI_FIELDS}
    if dmi["sys_vendor"] == "Microsoft Corporation" and dmi["product_name"] == "Virtual Machine":
        return "hyperv", f"/{DMI_FOLDER}/product_name: Virtual Machine of Microsoft"
    for field, value in dmi.items():
        for start, name in DMI_NAMES:
            if value.startswith(start):
                if name == "amazon" and ".metal" in dmi["product_name"]:
                    return "", ""  # rented as a whole: no hypervisor
                is_kvm = name == "qemu" and _by_clock(root)[0]  # a clock of KVM, or one it imitates
                return "kvm" if is_kvm else name, f"/{DMI_FOLDER}/{field}: {value}"
    return "", ""


def _by_sysfs(root: Path) -> tuple[str, str]:
    name = read_line(root / "sys/hypervisor/type")
    return name, f"/sys/hypervisor/type: {name}"


def _by_acpi(root: Path) -> tuple[str, str]:
    for table in ACPI_TABLES:
        oem = read_bytes(root / "sys/firmware/acpi/tables" / table, 16)[10:]
        for start, name in ACPI_OEMS:
            if oem.startswith(start.encode()):
                return name, f"/sys/firmware/acpi/tables/{table}: made by {start}"
    return "", ""


def _by_device_tree(root: Path) -> tuple[str, str]:
    """ARM: a hypervisor's node, QEMU's node, or the board that exists only in virtual machines."""
    tree = root / "proc/device-tree"
    compatible = read_line(tree / "hypervisor/compatible")
    if compatible:
        known = (name for name in ("kvm", "xen", "vmware") if name in compatible)
        return next(known, UNKNOWN_HYPERVISOR), "/proc/device-tree/hypervisor"
    if any(name.startswith("fw-cfg") for name in names_in(tree)):
        return "qemu", "/proc/device-tree: fw-cfg"
    if read_text(tree / "compatible", 256).startswith("linux,dummy-virt"):
        return UNKNOWN_HYPERVISOR, "/proc/device-tree/compatible: linux,dummy-virt"
    return "", ""


def _by_clock(root: Path) -> tuple[str, str]:
    folder = "sys/devices/system/clocksource/clocksource0"
    for field in ("available_clocksource", "current_clocksource"):
        clocks = read_line(root / folder / field)
        for start, name in CLOCKS:
            if any(clock.startswith(start) for clock in clocks.split()):
                return name, f"/{folder}/{field}: {clocks}"
    return "", ""


def _is_xen_host(root: Path) -> bool:
    """Tell Xen's first domain, which has the machine for itself."""
    return "control_d" in read_text(root / "proc/xen/capabilities", 256)


def _without_hypervisor(root: Path, info: str) -> VirtualizationFacts:
    """Say native only where a hypervisor would have shown."""
    if _is_xen_host(root):
        return VirtualizationFacts(Kind.NATIVE, "", "/proc/xen/capabilities: control_d")
    if _flags(info):
        return VirtualizationFacts(Kind.NATIVE, "", "/proc/cpuinfo: no hypervisor flag")
    product = read_line(root / DMI_FOLDER / "product_name")
    if product:
        return VirtualizationFacts(Kind.NATIVE, "", f"/{DMI_FOLDER}/product_name: {product}")
    model = read_line(root / "proc/device-tree/model")
    if model:
        return VirtualizationFacts(Kind.NATIVE, "", f"/proc/device-tree/model: {model}")
    return VirtualizationFacts(Kind.UNKNOWN, "", "no file tells what this system runs on")


def _flags(info: str) -> list[str]:
    """Return the flags of an x86 CPU; other CPUs have no word for a hypervisor."""
    found = _FLAGS.search(info)
    return found[1].split() if found else []
