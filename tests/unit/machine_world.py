"""A machine for tests, as if it had been looked at: four cores of 2500 MHz, 8000 MB, no GPU."""

from __future__ import annotations

from dataclasses import replace

from nunet_dms.machine.cpu import CpuFacts
from nunet_dms.machine.disk import DiskFacts
from nunet_dms.machine.dualboot import DualBootFacts
from nunet_dms.machine.engine import EngineFacts
from nunet_dms.machine.fingerprint import Fingerprint
from nunet_dms.machine.gpu import Gpu, GpuFacts, GpuHealth
from nunet_dms.machine.memory import MemoryFacts
from nunet_dms.machine.network import Attachment, NetworkFacts, SpeedFacts
from nunet_dms.machine.platform import PlatformFacts
from nunet_dms.machine.systemd import SystemdFacts
from nunet_dms.machine.virtualization import Kind, VirtualizationFacts

TAKEN_S = 1_800_000_000
MACHINE = Fingerprint(
    taken_s=TAKEN_S,
    cpu=CpuFacts(
        model="Intel(R) Core(TM) i5-4570 CPU @ 2.50GHz",
        cores=4,
        core_mhz=2500,
        source="the model's name",
        physical_cores=4,
        virtualization="vmx",
    ),
    memory=MemoryFacts(8000, 7000),
    disk=DiskFacts(200_000, 100_000),
    gpus=GpuFacts((), ()),
    platform=PlatformFacts("Debian GNU/Linux 12", "debian", "12", "6.1.0-18-amd64", "x86_64"),
    virtualization=VirtualizationFacts(Kind.NATIVE, "", "/proc/cpuinfo: no hypervisor flag"),
    systemd=SystemdFacts(present=True, running=True),
    network=NetworkFacts("eth0", "192.168.1.1", Attachment.UNKNOWN, "not a virtual machine"),
    dual_boot=DualBootFacts((), False, "no Windows partition"),
    engine=EngineFacts(
        answers=True,
        version="27.0.1",
        api_version="1.46",
        cgroup_version=2,
        cgroup_driver="systemd",
        storage_driver="overlay2",
        root_dir="/var/lib/docker",
        runtimes=("runc",),
        default_runtime="runc",
        live_restore=True,
    ),
    speed=SpeedFacts(down_kbps=90_000, up_kbps=20_000, measured_s=TAKEN_S),
)
CARD = Gpu(
    vendor="nvidia",
    index=0,
    name="NVIDIA GeForce RTX 3060",
    uuid="GPU-1",
    driver="550.54",
    vram_mb=12_288,
    free_vram_mb=12_000,
    health=GpuHealth.OK,
)


def fingerprint(**changes: object) -> Fingerprint:
    """Return the machine, with some of its facts replaced."""
    return replace(MACHINE, **changes)  # type: ignore[arg-type]


def with_card(**changes: object) -> Fingerprint:
    """Return the machine with one GPU in it."""
    return fingerprint(gpus=GpuFacts((replace(CARD, **changes),), ()))  # type: ignore[arg-type]
