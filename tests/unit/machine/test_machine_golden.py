"""Every golden machine, as all readers together see it: one row for each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from golden import NAMES, machine

from nunet_dms.machine.cpu import read_cpu
from nunet_dms.machine.dualboot import read_dual_boot
from nunet_dms.machine.load import read_cpu_time
from nunet_dms.machine.memory import read_memory
from nunet_dms.machine.network import Attachment, read_network
from nunet_dms.machine.platform import read_platform
from nunet_dms.machine.power import on_battery
from nunet_dms.machine.systemd import SystemdFacts, read_systemd
from nunet_dms.machine.virtualization import Kind, read_virtualization

NAT, BRIDGED, UNTOLD = Attachment.NAT, Attachment.BRIDGED, Attachment.UNKNOWN
BOOTED = SystemdFacts(present=True, running=True)
INSTALLED = SystemdFacts(present=True, running=False)

RATE_OF_KERNEL, RATE_OF_ACPI = "cpufreq base_frequency", "ACPI CPPC nominal_freq"
RATE_OF_TSC = "half of bogomips: the constant time stamp counter"
RATE_OF_NAME, NO_RATE = "the model's name", "nothing: the kernel tells no rate"

UNAME = os.uname().machine
"""Who answers for kernels before 6.1, which have no /proc/sys/kernel/arch."""


@dataclass(frozen=True)
class Expected:
    """What the readers find."""

    model: str
    cores: tuple[int, int, int | None]  # logical, physical, MHz
    rate_source: str
    ram_mb: tuple[int, int]
    system: tuple[str, str, str]  # id, version, kernel
    below: tuple[Kind, str, str]  # kind, hypervisor, container
    way_out: tuple[str, str, Attachment]
    flag: str = ""
    architecture: str = UNAME
    systemd: SystemdFacts = BOOTED
    windows: tuple[str, ...] = ()
    battery: bool | None = None


EXPECTED = {
    "ubuntu-20.04-bare": Expected(
        "Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz", (12, 6, 3200), RATE_OF_KERNEL, (15855, 13103),
        ("ubuntu", "20.04", "5.4.0-216-generic"), (Kind.NATIVE, "", ""),
        ("enp0s31f6", "192.168.1.1", UNTOLD), flag="vmx",
    ),
    "ubuntu-24.04-bare": Expected(
        "12th Gen Intel(R) Core(TM) i7-12700H", (20, 14, 1700), RATE_OF_KERNEL, (31772, 26281),
        ("ubuntu", "24.04", "6.8.0-45-generic"), (Kind.NATIVE, "", ""),
        ("wlp0s20f3", "192.168.178.1", UNTOLD), flag="vmx",
        windows=("/dev/nvme0n1p3 (Windows)",), battery=True,
        architecture="x86_64",
    ),
    "debian-12-bare": Expected(
        "AMD Ryzen 9 5950X 16-Core Processor", (32, 16, 3400), RATE_OF_ACPI, (64222, 58605),
        ("debian", "12", "6.1.0-25-amd64"), (Kind.NATIVE, "", ""),
        ("eno1", "10.0.0.1", UNTOLD), flag="svm",
        architecture="x86_64",
    ),
    "virtualbox-nat": Expected(
        "Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz", (4, 4, 2600), RATE_OF_NAME, (7939, 6750),
        ("ubuntu", "22.04", "5.15.0-122-generic"), (Kind.VM, "virtualbox", ""),
        ("enp0s3", "10.0.2.2", NAT),
    ),
    "virtualbox-bridged": Expected(
        "AMD Ryzen 5 3600 6-Core Processor", (2, 2, 3593), RATE_OF_TSC, (3925, 3332),
        ("debian", "12", "6.1.0-25-amd64"), (Kind.VM, "virtualbox", ""),
        ("enp0s3", "192.168.178.1", BRIDGED),
        architecture="x86_64",
    ),
    "vmware": Expected(
        "13th Gen Intel(R) Core(TM) i5-13500H", (6, 6, 3187), RATE_OF_TSC, (7713, 5968),
        ("ubuntu", "24.04", "6.8.0-45-generic"), (Kind.VM, "vmware", ""),
        ("ens33", "192.168.128.2", NAT),
        architecture="x86_64",
    ),
    "kvm": Expected(
        "Intel Xeon Processor (Skylake, IBRS)", (8, 8, 2095), RATE_OF_TSC, (16004, 14562),
        ("ubuntu", "22.04", "5.15.0-122-generic"), (Kind.VM, "kvm", ""),
        ("enp1s0", "192.168.122.1", NAT), flag="vmx",
    ),
    "firecracker": Expected(
        "AMD EPYC", (2, 2, 2445), RATE_OF_TSC, (24105, 23727),
        ("debian", "12", "6.18.44"), (Kind.VM, "firecracker", ""),
        ("eth0", "192.0.2.1", UNTOLD), systemd=INSTALLED,
        architecture="x86_64",
    ),
    "wsl1": Expected(
        "Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz", (8, 4, 3400), RATE_OF_NAME, (16328, 7238),
        ("ubuntu", "20.04", "4.4.0-19041-Microsoft"), (Kind.WSL1, "", ""),
        ("", "", BRIDGED), flag="vmx", systemd=INSTALLED,
    ),
    "wsl2": Expected(
        "13th Gen Intel(R) Core(TM) i7-1360P", (16, 8, 2611), RATE_OF_TSC, (7831, 7043),
        ("ubuntu", "22.04", "5.15.167.4-microsoft-standard-WSL2"), (Kind.WSL2, "hyperv", ""),
        ("eth0", "172.20.240.1", NAT), flag="vmx",
        systemd=SystemdFacts(present=True, running=False, wsl_enabled=False),
    ),
    "wsl2-systemd": Expected(
        "AMD Ryzen 7 5800X 8-Core Processor", (16, 8, 3800), RATE_OF_TSC, (15922, 13878),
        ("ubuntu", "24.04", "5.15.146.1-microsoft-standard-WSL2"), (Kind.WSL2, "hyperv", ""),
        ("eth0", "172.20.240.1", NAT), flag="svm",
        systemd=SystemdFacts(present=True, running=True, wsl_enabled=True),
    ),
    "docker": Expected(
        "Intel(R) Xeon(R) Silver 4314 CPU @ 2.40GHz", (2, 2, 2400), RATE_OF_KERNEL, (2048, 2048),
        ("debian", "12", "5.15.0-122-generic"), (Kind.CONTAINER, "", "docker"),
        ("eth0", "172.17.0.1", NAT), flag="vmx",
        systemd=SystemdFacts(present=False, running=False),
    ),
    "amd-no-frequency": Expected(
        "AMD EPYC-Rome Processor", (4, 4, 2495), RATE_OF_TSC, (7751, 7043),
        ("debian", "12", "6.1.0-25-amd64"), (Kind.VM, "kvm", ""), ("eth0", "172.31.1.1", UNTOLD),
        architecture="x86_64",
    ),
    "arm-no-frequency": Expected(
        "Neoverse-N1", (2, 2, None), NO_RATE, (3817, 3136),
        ("ubuntu", "24.04", "6.8.0-45-generic"), (Kind.VM, "qemu", ""),
        ("eth0", "172.31.1.1", UNTOLD), architecture="aarch64",
    ),
    "raspberry-pi-4": Expected(
        "Cortex-A72", (4, 4, 1800), "cpufreq cpuinfo_max_freq, perhaps boosted", (3793, 3136),
        ("debian", "12", "6.6.31+rpt-rpi-v8"), (Kind.NATIVE, "", ""),
        ("eth0", "192.168.1.1", UNTOLD), architecture="aarch64",
    ),
}  # fmt: skip


def found(root: Path) -> Expected:
    """Read all of a machine."""
    cpu, memory, system = read_cpu(root), read_memory(root), read_platform(root)
    below = read_virtualization(root)
    network = read_network(below, root)
    assert cpu.physical_cores is not None
    assert (memory.total_mb, memory.available_mb) != (None, None)
    return Expected(
        cpu.model,
        (cpu.cores, cpu.physical_cores, cpu.core_mhz),
        cpu.source,
        (memory.total_mb or 0, memory.available_mb or 0),
        (system.os_id, system.os_version, system.kernel),
        (below.kind, below.hypervisor, below.container),
        (network.interface, network.gateway, network.attachment),
        flag=cpu.virtualization,
        architecture=system.architecture,
        systemd=read_systemd(root),
        windows=read_dual_boot(root).windows,
        battery=on_battery(root),
    )


def test_every_golden_machine_has_a_row() -> None:
    assert set(EXPECTED) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_machine_is_read_as_what_it_is(tmp_path: Path, name: str) -> None:
    assert found(machine(name, tmp_path)) == EXPECTED[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_machine_has_spent_cpu_time(tmp_path: Path, name: str) -> None:
    spent = read_cpu_time(machine(name, tmp_path))
    assert spent is not None
    assert 0 < spent.busy_s < spent.total_s
