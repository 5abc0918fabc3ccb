"""What lies below: hypervisors, containers and WSL, each told by the files that it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden import machine, tree

from nunet_dms.machine.systemd import SystemdFacts, read_systemd
from nunet_dms.machine.virtualization import Kind, read_virtualization

DMI = "sys/class/dmi/id"
CLOCK = "sys/devices/system/clocksource/clocksource0/available_clocksource"
GUEST = "flags\t\t: fpu tsc hypervisor lahf_lm\n"
METAL = "flags\t\t: fpu tsc lahf_lm\n"
ID = "66826257e096f3c9d04f17577dab7ef5d84078c88f18f646fd37050ec5b6b4f6"


def acpi(oem: bytes) -> bytes:
    return b"FACP\x14\x01\0\0\x06\x66" + oem.ljust(6, b"\0") + b"TABLE   "


@pytest.mark.parametrize(
    ("files", "hypervisor"),
    [
        ({f"{DMI}/product_name": "VirtualBox\n"}, "virtualbox"),
        ({f"{DMI}/product_name": "XPS 13\n", f"{DMI}/bios_vendor": "innotek GmbH\n"}, "virtualbox"),
        ({f"{DMI}/product_name": "VMware7,1\n", f"{DMI}/sys_vendor": "VMware, Inc.\n"}, "vmware"),
        ({f"{DMI}/sys_vendor": "QEMU\n", CLOCK: "tsc acpi_pm\n"}, "qemu"),
        ({f"{DMI}/sys_vendor": "QEMU\n", CLOCK: "kvm-clock tsc\n"}, "kvm"),
        ({f"{DMI}/sys_vendor": "QEMU\n", CLOCK: "hyperv_clocksource_tsc_page tsc\n"}, "kvm"),
        ({f"{DMI}/sys_vendor": "QEMU\n", f"{DMI}/product_name": "KVM Virtual Machine\n"}, "kvm"),
        ({f"{DMI}/product_name": "Google Compute Engine\n"}, "google"),
        ({f"{DMI}/sys_vendor": "Amazon EC2\n", f"{DMI}/product_name": "c7g.large\n"}, "amazon"),
        ({f"{DMI}/product_name": "Parallels ARM Virtual Machine\n"}, "parallels"),
        ({f"{DMI}/sys_vendor": "Microsoft Corporation\n",
          f"{DMI}/product_name": "Virtual Machine\n"}, "hyperv"),
        ({f"{DMI}/sys_vendor": "Xen\n", f"{DMI}/product_name": "HVM domU\n"}, "xen"),
        ({"sys/hypervisor/type": "xen\n"}, "xen"),
        ({"sys/firmware/acpi/tables/FACP": acpi(b"FIRECK")}, "firecracker"),
        ({"sys/firmware/acpi/tables/APIC": acpi(b"CLOUDH")}, "cloud-hypervisor"),
        ({"proc/device-tree/hypervisor/compatible": b"linux,kvm\0"}, "kvm"),
        ({"proc/device-tree/hypervisor/compatible": b"new,thing\0"}, "unknown hypervisor"),
        ({"proc/device-tree/fw-cfg@9020000/compatible": b"qemu,fw-cfg-mmio\0"}, "qemu"),
        ({"proc/device-tree/compatible": b"linux,dummy-virt\0"}, "unknown hypervisor"),
        ({CLOCK: "tsc hyperv_clocksource_msr\n"}, "hyperv"),
        ({"proc/cpuinfo": GUEST}, "unknown hypervisor"),
        ({"proc/cpuinfo": GUEST, f"{DMI}/sys_vendor": "DigitalOcean\n", CLOCK: "kvm-clock\n"},
         "kvm"),
    ],
)  # fmt: skip
def test_a_hypervisor_is_told_by_what_it_leaves(
    tmp_path: Path, files: dict[str, str | bytes], hypervisor: str
) -> None:
    facts = read_virtualization(tree(tmp_path, files))
    assert (facts.kind, facts.hypervisor, facts.container) == (Kind.VM, hypervisor, "")
    named = facts.source.partition(":")[0].lstrip("/")
    assert any(name.startswith(named) for name in files)


@pytest.mark.parametrize(
    "files",
    [
        {"proc/cpuinfo": METAL},
        {"proc/cpuinfo": METAL, f"{DMI}/sys_vendor": "Oracle Corporation\n"},  # SPARC's heirs
        {"proc/cpuinfo": METAL, f"{DMI}/sys_vendor": "Microsoft Corporation\n",
         f"{DMI}/product_name": "Surface Laptop 5\n"},
        {"proc/cpuinfo": METAL, f"{DMI}/sys_vendor": "Amazon EC2\n",
         f"{DMI}/product_name": "c5.metal\n"},
        {"proc/cpuinfo": GUEST, "sys/hypervisor/type": "xen\n",
         "proc/xen/capabilities": "control_d\n"},
        {"proc/device-tree/model": b"Raspberry Pi 5 Model B Rev 1.0\0"},
        {f"{DMI}/product_name": "Altra Developer Platform\n"},
    ],
)  # fmt: skip
def test_metal_is_told_from_machines_of_the_same_makers(
    tmp_path: Path, files: dict[str, str | bytes]
) -> None:
    facts = read_virtualization(tree(tmp_path, files))
    assert (facts.kind, facts.hypervisor) == (Kind.NATIVE, "")


@pytest.mark.parametrize("files", [{}, {"proc/cpuinfo": "processor : 0\nBogoMIPS : 50.00\n"}])
def test_a_machine_that_tells_nothing_is_unknown(tmp_path: Path, files: dict[str, str]) -> None:
    facts = read_virtualization(tree(tmp_path, files))
    assert (facts.kind, facts.source) == (Kind.UNKNOWN, "no file tells what this system runs on")


def mountinfo(root: str, *others: str) -> dict[str, str]:
    return {"proc/self/mountinfo": "\n".join((f"1 0 {root}", *others)) + "\n"}


DISK = mountinfo("8:1 / / rw - ext4 /dev/sda1 rw")
LAYERS = "0:143 / / rw master:181 - overlay overlay rw,lowerdir=/x"
LAYER = mountinfo(LAYERS)


@pytest.mark.parametrize(
    ("files", "container"),
    [
        ({"run/systemd/container": "systemd-nspawn\n"}, "systemd-nspawn"),
        ({"run/host/container-manager": "lxc\n"}, "lxc"),
        ({"proc/1/environ": b"PATH=/bin\0container=lxc\0"}, "lxc"),
        ({"proc/1/environ": b"container=oci\0"}, "podman"),
        ({"proc/1/cgroup": f"5:cpu:/docker/{ID}\n"}, "docker"),
        ({"proc/1/cgroup": f"0::/system.slice/docker-{ID}.scope\n"}, "docker"),
        ({"proc/1/cgroup": f"0::/kubepods.slice/kubepods-pod1.slice/cri-{ID}.scope\n"},
         "kubernetes"),
        ({"proc/1/cgroup": "0::/lxc.payload.web/init.scope\n"}, "lxc"),
        (mountinfo(LAYERS,
                   f"2 1 8:1 /var/lib/docker/containers/{ID}/hosts /etc/hosts rw - ext4 /dev/a rw"),
         "docker"),
        (mountinfo(LAYERS,
                   f"2 1 0:5 /overlay-containers/{ID}/userdata/hosts /etc/hosts rw - tmpfs x rw"),
         "podman"),
        (mountinfo(LAYERS,
                   "2 1 8:1 /var/lib/kubelet/pods/12/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw"),
         "kubernetes"),
        ({"run/secrets/kubernetes.io/serviceaccount/token": "x", ".dockerenv": ""}, "kubernetes"),
        ({".dockerenv": ""}, "docker"),
        ({".dockerenv": "", **LAYER}, "docker"),
        ({"run/.containerenv": "", ".dockerenv": "", **LAYER}, "podman"),
        ({".dockerenv": "", **mountinfo("8:1 /docker/vfs/dir/9a / rw - ext4 /dev/sda1 rw")},
         "docker"),
        ({".dockerenv": "", **mountinfo("0:7 / / rw - zfs tank/docker/9a rw")}, "docker"),
    ],
)  # fmt: skip
def test_a_container_is_told_by_what_its_engine_leaves(
    tmp_path: Path, files: dict[str, str | bytes], container: str
) -> None:
    facts = read_virtualization(tree(tmp_path, {"proc/cpuinfo": METAL, **files}))
    assert (facts.kind, facts.container, facts.hypervisor) == (Kind.CONTAINER, container, "")


@pytest.mark.parametrize(
    "files",
    [
        {".dockerenv": "", "run/.containerenv": "", **DISK},  # a disk made from an image
        {".dockerenv": "", **mountinfo("0:31 /@ / rw - btrfs /dev/nvme0n1p2 rw")},
        {"run/systemd/container": "wsl\n"},
        {"proc/1/environ": b"container=\0mycontainer=docker\0"},
        {"proc/1/cgroup": "0::/init.scope\n"},
        LAYER,  # a live system also runs from layers
    ],
)
def test_what_a_container_may_leave_elsewhere_makes_none(
    tmp_path: Path, files: dict[str, str | bytes]
) -> None:
    facts = read_virtualization(tree(tmp_path, {"proc/cpuinfo": METAL, **files}))
    assert (facts.kind, facts.container) == (Kind.NATIVE, "")


def test_a_container_in_a_virtual_machine_has_both(tmp_path: Path) -> None:
    root = machine("virtualbox-nat", tmp_path)
    facts = read_virtualization(tree(root, {"run/systemd/container": "docker\n"}))
    assert (facts.kind, facts.container) == (Kind.CONTAINER, "docker")
    assert facts.hypervisor == "virtualbox"


def test_a_container_in_wsl_is_wsl_first(tmp_path: Path) -> None:
    root = machine("wsl2", tmp_path)
    facts = read_virtualization(tree(root, {"proc/1/cgroup": f"0::/docker/{ID}\n"}))
    assert (facts.kind, facts.container, facts.hypervisor) == (Kind.WSL2, "docker", "hyperv")


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"proc/sys/kernel/osrelease": "4.4.0-22621-Microsoft\n"}, Kind.WSL1),
        ({"proc/sys/kernel/osrelease": "4.19.104-microsoft-standard\n"}, Kind.WSL2),
        ({"proc/sys/kernel/osrelease": "7.0.13-arch1-1-wsl-microsoft-standard-WSL2\n"}, Kind.WSL2),
        ({"proc/version": "Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com)\n"},
         Kind.WSL1),
        ({"proc/sys/kernel/osrelease": "6.6.0-mine\n",
          "proc/sys/fs/binfmt_misc/WSLInterop": "enabled\n"}, Kind.WSL2),
        ({"proc/version": "Linux version 5.15.0-1040-azure (build@x.microsoft.com)\n"}, Kind.VM),
    ],
)  # fmt: skip
def test_wsl_is_told_by_its_kernel(tmp_path: Path, files: dict[str, str], kind: Kind) -> None:
    assert read_virtualization(tree(tmp_path, {"proc/cpuinfo": GUEST, **files})).kind is kind


@pytest.mark.parametrize(
    ("conf", "enabled"),
    [
        ("[boot]\nsystemd=true\n", True),
        (" [Boot]\r\n systemd = TRUE \r\n", True),
        ('[boot]\nsystemd="true"\n', True),
        ("[boot]\nsystemd=false\n", False),
        ("[boot]\n# systemd=true\n", False),
        ("[user]\nsystemd=true\n", False),
        ("[boot]\ncommand=service docker start\n[network]\nhostname=x\n", False),
    ],
)
def test_wsl_conf_tells_whether_systemd_is_asked_for(
    tmp_path: Path, conf: str, enabled: bool
) -> None:
    facts = read_systemd(tree(tmp_path, {"etc/wsl.conf": conf}))
    assert facts == SystemdFacts(present=False, running=False, wsl_enabled=enabled)
