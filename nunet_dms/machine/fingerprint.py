"""The machine as a whole: every fact taken together, judged, put on the wire."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.machine.cpu import CpuFacts, read_cpu
from nunet_dms.machine.disk import DiskFacts, read_disk
from nunet_dms.machine.dualboot import DualBootFacts, read_dual_boot
from nunet_dms.machine.engine import EngineFacts, read_engine
from nunet_dms.machine.gpu import Gpu, GpuFacts, GpuHealth, read_gpus
from nunet_dms.machine.memory import MemoryFacts, read_memory
from nunet_dms.machine.network import NetworkFacts, SpeedFacts, read_network
from nunet_dms.machine.platform import PlatformFacts, read_platform
from nunet_dms.machine.requirements import Figures, Profile, Verdict, judge
from nunet_dms.machine.systemd import SystemdFacts, read_systemd
from nunet_dms.machine.virtualization import Kind, VirtualizationFacts, read_virtualization
from nunet_dms.protocol.machine import GPUS_MAX, MachineFacts, MachineGpu

TEXT_MAX_CHARACTERS = 200
"""Of a text that travels: names of systems, processors and cards."""
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
WSL = frozenset({Kind.WSL1, Kind.WSL2})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Everything that was found out about this machine at one time (Unix seconds)."""

    taken_s: int
    cpu: CpuFacts
    memory: MemoryFacts
    disk: DiskFacts
    gpus: GpuFacts
    platform: PlatformFacts
    virtualization: VirtualizationFacts
    systemd: SystemdFacts
    network: NetworkFacts
    dual_boot: DualBootFacts
    engine: EngineFacts
    speed: SpeedFacts | None
    """As last measured; None if it never was."""

    @property
    def is_wsl(self) -> bool:
        """Whether Linux runs under Windows here."""
        return self.virtualization.kind in WSL


def take_fingerprint(
    disk_at: Path, taken_s: int, speed: SpeedFacts | None = None, root: Path = Path("/")
) -> Fingerprint:
    """Find out everything; raises nothing, and says of each fact what it could not find out.

    `disk_at` is where jobs will live. The container engine is asked over its socket.
    """
    virtualization = read_virtualization(root)
    return Fingerprint(
        taken_s=taken_s,
        cpu=read_cpu(root),
        memory=read_memory(root),
        disk=read_disk(disk_at),
        gpus=read_gpus(root),
        platform=read_platform(root),
        virtualization=virtualization,
        systemd=read_systemd(root),
        network=read_network(virtualization, root),
        dual_boot=read_dual_boot(root),
        engine=read_engine(),
        speed=speed,
    )


def verdicts(found: Fingerprint, core_mhz: int | None = None) -> tuple[Verdict, ...]:
    """Judge the machine: for jobs on the CPU, and for those on a GPU where it has one.

    `core_mhz` overrides the rate of a core that was found.
    """
    figures = figures_of(found, core_mhz)
    profiles = (Profile.CPU, Profile.GPU) if found.gpus.gpus else (Profile.CPU,)
    return tuple(judge(figures, profile) for profile in profiles)


def figures_of(found: Fingerprint, core_mhz: int | None = None) -> Figures:
    """Return what the requirements are held against."""
    rate = core_mhz or found.cpu.core_mhz
    cards = [gpu for gpu in found.gpus.gpus if _works_for_ml(gpu)]
    return Figures(
        total_mhz=None if rate is None else found.cpu.cores * rate,
        ram_mb=found.memory.total_mb,
        disk_free_mb=found.disk.free_mb,
        down_kbps=found.speed.down_kbps if found.speed else None,
        vram_mb=max((gpu.vram_mb for gpu in cards if gpu.vram_mb is not None), default=None),
        gpu_obstacle=_gpu_obstacle(found, cards),
        is_wsl=found.is_wsl,
    )


def on_the_wire(found: Fingerprint) -> MachineFacts:
    """Return the facts as they travel to the Oracle, texts cut to what it takes."""
    engine, cpu = found.engine, found.cpu
    return MachineFacts(
        taken_s=found.taken_s,
        cpu_model=cpu.model[:TEXT_MAX_CHARACTERS],
        cores=cpu.cores,
        core_mhz=cpu.core_mhz,
        ram_mb=found.memory.total_mb,
        disk_free_mb=found.disk.free_mb,
        down_kbps=found.speed.down_kbps if found.speed else None,
        up_kbps=found.speed.up_kbps if found.speed else None,
        gpus=tuple(_gpu_on_the_wire(gpu) for gpu in found.gpus.gpus[:GPUS_MAX]),
        kind=found.virtualization.kind.value,
        hypervisor=found.virtualization.hypervisor[:TEXT_MAX_CHARACTERS],
        os_name=found.platform.os_name[:TEXT_MAX_CHARACTERS],
        kernel=found.platform.kernel[:TEXT_MAX_CHARACTERS],
        architecture=_plain_word(found.platform.architecture),
        cpu_flags=cpu.flags,
        engine_version=engine.version[:TEXT_MAX_CHARACTERS],
        cgroup_version=1 if engine.cgroup_version == 1 else 2 if engine.cgroup_version else None,
        storage_driver=engine.storage_driver[:TEXT_MAX_CHARACTERS],
    )


def _plain_word(text: str) -> str:
    """Return a machine type if that is what it is: it is compared, and told to strangers."""
    return text if _WORD.fullmatch(text) else ""


def _works_for_ml(gpu: Gpu) -> bool:
    return gpu.vendor == "nvidia" and gpu.health is not GpuHealth.LOST


def _gpu_obstacle(found: Fingerprint, cards: list[Gpu]) -> str:
    """Say why ML on a GPU is out of the question here; empty if it is not."""
    where = found.virtualization
    if where.kind is Kind.VM:
        return f"ML on a GPU is not run in a virtual machine (this is one: {where.hypervisor})"
    if not found.gpus.gpus or cards:
        return ""
    if any(gpu.vendor == "nvidia" for gpu in found.gpus.gpus):
        return "ML on a GPU needs an NVIDIA GPU that works; the one here does not answer"
    return "ML on a GPU needs an NVIDIA GPU; the one here is of another make"


def _gpu_on_the_wire(gpu: Gpu) -> MachineGpu:
    return MachineGpu(
        vendor=gpu.vendor,
        name=gpu.name[:TEXT_MAX_CHARACTERS],
        uuid=gpu.uuid[:TEXT_MAX_CHARACTERS],
        pci=gpu.pci[:TEXT_MAX_CHARACTERS],
        vram_mb=gpu.vram_mb,
        driver=gpu.driver[:TEXT_MAX_CHARACTERS],
        health=gpu.health.value,
        mig_instances=min(len(gpu.mig), 64),
    )
