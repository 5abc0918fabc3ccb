"""Everything that can be wrong with the machine, its engine, disks and GPUs."""

from __future__ import annotations

from dataclasses import replace

from nunet_dms.errors import ExitCode
from nunet_dms.machine.cpu import CpuFacts
from nunet_dms.machine.disk import DiskFacts
from nunet_dms.machine.dualboot import DualBootFacts
from nunet_dms.machine.gpu import GpuFacts, GpuHealth, GpuProcess
from nunet_dms.machine.memory import MemoryFacts
from nunet_dms.machine.network import Attachment
from nunet_dms.machine.systemd import SystemdFacts
from nunet_dms.machine.virtualization import Kind
from nunet_dms.node.proof_values import ProofCheck
from nunet_dms.provider.doctor.patient import ProofFacts
from nunet_dms.provider.doctor.user import UserFacts
from tests.unit.provider.doctor_changes import (
    ERROR,
    NO_SYSTEMD,
    NOTE,
    VM,
    WARNING,
    WSL1,
    WSL2,
    Case,
    all_of,
    card,
    engine,
    found,
    machine,
    network,
    patient,
)
from tests.unit.provider.doctor_world import (
    UID,
)

PLATFORM = (
    Case("platform.wsl_version", ERROR, WSL1, "WSL 1", "--set-version", ExitCode.NO_CAPACITY),
    Case(
        "platform.wsl_kernel",
        WARNING,
        lambda each: all_of(
            WSL2, found(platform=replace(each.found.platform, kernel="5.10.16.3-microsoft"))
        )(each),
        "5.10.16.3",
        "wsl --update",
    ),
    Case("platform.systemd", NOTE, NO_SYSTEMD, "does not run", "@reboot nunet worker start"),
    Case("platform.systemd", WARNING, all_of(WSL2, NO_SYSTEMD), "this WSL", "systemd=true"),
    Case(
        "platform.systemd",
        WARNING,
        all_of(WSL2, found(systemd=SystemdFacts(True, False, wsl_enabled=True))),
        "does not run yet",
        "wsl --shutdown",
    ),
    Case(
        "platform.vm_network",
        WARNING,
        all_of(VM, network(Attachment.NAT)),
        "(virtualbox) is behind NAT",
        "--nic1 bridged",
    ),
    Case(
        "platform.vm_network",
        WARNING,
        all_of(machine(Kind.VM, "bhyve"), network(Attachment.NAT)),
        "(bhyve) is behind NAT",
        "bridged",
    ),
    Case("platform.vm_network", NOTE, all_of(VM, network(Attachment.UNKNOWN)), "cannot be told"),
    Case("platform.vm_network", NOTE, all_of(WSL2, network(Attachment.NAT)), "behind Windows' NAT"),
    Case(
        "platform.vm_user",
        WARNING,
        all_of(VM, patient(user=UserFacts(UID, "ann", False))),
        "ann is in none",
        "usermod -aG sudo ann",
    ),
    Case(
        "platform.vm_user",
        NOTE,
        all_of(VM, patient(user=UserFacts(UID, "", None))),
        "user 1000",
        "sudo -v",
    ),
    Case("platform.gpu_in_vm", WARNING, all_of(VM, card()), "RTX 3060", "on the machine itself"),
    Case(
        "platform.windows",
        WARNING,
        found(dual_boot=DualBootFacts(("/dev/sda2 (Windows)",), True, "Windows is hibernated")),
        "hibernated",
        "powercfg /h off",
    ),
    Case(
        "platform.windows",
        NOTE,
        found(dual_boot=DualBootFacts(("/dev/sda2 (Windows)",), None, "it is not mounted")),
        "/dev/sda2 (Windows)",
        "powercfg /h off",
    ),
    Case(
        "platform.container",
        NOTE,
        machine(Kind.CONTAINER, container="docker"),
        "a docker container",
        "--proof",
    ),
)
REQUIREMENTS = (
    Case(
        "requirements.cpu_jobs",
        ERROR,
        found(memory=MemoryFacts(2000, 1000)),
        "RAM is 2.097 GB, at least 4 GB is needed",
        "RAM: add some",
        ExitCode.NO_CAPACITY,
    ),
    Case(
        "requirements.cpu_jobs",
        WARNING,
        found(memory=MemoryFacts(4000, 1000)),
        "8-16 GB is recommended",
        "RAM: add some",
    ),
    Case(
        "requirements.cpu_jobs",
        NOTE,
        found(speed=None),
        "download could not be found out",
        "nunet capacity --network",
    ),
    Case(
        "requirements.gpu_jobs",
        WARNING,
        card(vram_mb=2_000),
        "GPU memory is 2.097 GB, at least 4 GB",
        "a card that has more",
    ),
    Case("requirements.gpu_jobs", NOTE, card(), "RAM is 8.388 GB", "RAM: add some"),
    Case("requirements.gpu_jobs", NOTE, card(vendor="amd"), "of another make"),
    Case(
        "settings.offer",
        WARNING,
        found(memory=MemoryFacts(2000, 1000)),
        "capacity.ram_mb 2000: it must be from 200 to 1800",
        "nunet resource-config",
    ),
    Case(
        "settings.offer",
        WARNING,
        found(cpu=CpuFacts("a CPU", 1, 2500, "its name")),
        "capacity.cpu_mhz 4000: it must be from 250 to 2250",
        "nunet resource-config",
    ),
)
ENGINE = (
    Case(
        "engine.answers",
        ERROR,
        engine(answers=False, problem="cannot reach Docker: no permission for /x", cure="join"),
        "no permission for /x",
        "join",
        ExitCode.UNREACHABLE,
    ),
    Case(
        "engine.answers",
        ERROR,
        engine(answers=False, problem="cannot reach Docker: it is odd"),
        "it is odd",
        "docker info",
        ExitCode.UNREACHABLE,
    ),
    Case(
        "engine.version",
        ERROR,
        engine(api_version="1.40", version="19.03"),
        "19.03 is too old",
        "engine/install",
        ExitCode.UNREACHABLE,
    ),
    Case("engine.version", NOTE, engine(api_version=""), "does not say which API", "docker ver"),
    Case(
        "engine.cgroups",
        ERROR,
        engine(cgroup_driver="none"),
        "applies no limits",
        "rootless",
        ExitCode.REFUSED,
    ),
    Case("engine.cgroups", NOTE, engine(cgroup_version=1), "version 1", "unified_cgroup"),
    Case("engine.cgroups", NOTE, engine(cgroup_version=None), "does not say", "--proof"),
    Case("engine.storage", WARNING, engine(storage_driver="vfs"), "vfs", "overlay2"),
    Case(
        "engine.live_restore",
        WARNING,
        engine(live_restore=False),
        "live-restore is off",
        '"live-restore": true into /etc/docker/daemon.json, then: sudo systemctl reload docker',
    ),
    Case(
        "engine.live_restore",
        WARNING,
        all_of(engine(live_restore=False), NO_SYSTEMD),
        "live-restore is off",
        "pkill -HUP dockerd",
    ),
    Case(
        "engine.live_restore",
        WARNING,
        engine(live_restore=False, rootless=True),
        "live-restore is off",
        "~/.config/docker/daemon.json, then: systemctl --user reload docker",
    ),
    Case("engine.live_restore", NOTE, engine(live_restore=None), "does not say", "docker info"),
    Case(
        "engine.warnings",
        WARNING,
        engine(warnings=("WARNING: No swap limit support",)),
        "Docker warns: No swap limit support",
        "swapaccount=1",
    ),
    Case(
        "engine.warnings",
        WARNING,
        engine(warnings=("WARNING: No cpu cfs quota support",)),
        "cfs quota",
        "swapaccount=1",
    ),
    Case(
        "engine.warnings",
        WARNING,
        engine(warnings=("API is accessible on http://0.0.0.0:2375 without encryption.",)),
        "0.0.0.0:2375",
        "hosts",
    ),
    Case(
        "engine.warnings",
        NOTE,
        engine(warnings=("WARNING: bridge-nf-call-iptables is disabled",)),
        "bridge-nf",
        "docker info",
    ),
    Case("engine.rootless", NOTE, engine(rootless=True), "rootless", "enable-linger ann"),
    Case("engine.proof", NOTE, patient(proof=None), "no test container", "nunet doctor --proof"),
    Case(
        "engine.proof",
        ERROR,
        patient(
            proof=ProofFacts((ProofCheck("memory", False, "64 MB", "no limit", "it is taken"),))
        ),
        "memory: asked 64 MB, seen no limit",
        "--proof",
        ExitCode.REFUSED,
    ),
    Case(
        "engine.proof",
        ERROR,
        patient(proof=ProofFacts()),
        "it showed nothing",
        "--proof",
        ExitCode.REFUSED,
    ),
    Case(
        "engine.proof",
        ERROR,
        patient(proof=ProofFacts((), "cannot reach Docker: gone", "", ExitCode.UNREACHABLE)),
        "Docker: gone",
        "docker info",
        ExitCode.UNREACHABLE,
    ),
)
DISK = (
    Case("disk.jobs", NOTE, found(disk=DiskFacts(None, None)), "cannot be told", "df -h"),
    Case("disk.jobs", WARNING, found(disk=DiskFacts(9000, 5119)), "5119 MB", "df -h"),
    Case(
        "disk.jobs",
        ERROR,
        found(disk=DiskFacts(9000, 1023)),
        "1023 MB of disk are free where jobs live (/home/ann/.state/jobs)",
        "free some: df -h /home/ann/.state/jobs",
        ExitCode.NO_CAPACITY,
    ),
    Case("disk.images", NOTE, patient(images_disk=DiskFacts(None, None)), "/var/lib/docker"),
    Case("disk.images", WARNING, patient(images_disk=DiskFacts(9, 5119)), "5119 MB", "prune"),
    Case(
        "disk.images",
        ERROR,
        patient(images_disk=DiskFacts(9, 3)),
        "3 MB",
        "prune",
        ExitCode.NO_CAPACITY,
    ),
)
GPU = (
    Case(
        "gpu.driver",
        WARNING,
        found(gpus=GpuFacts((), ("cannot use the card: no driver; reboot",))),
        "no driver; reboot",
        "nunet gpu status",
    ),
    Case(
        "gpu.health",
        WARNING,
        card(health=GpuHealth.LOST, faults=("XID 79: reboot",)),
        "GPU 0 (NVIDIA GeForce RTX 3060) is lost: XID 79: reboot",
        "gpu status",
    ),
    Case("gpu.health", WARNING, card(health=GpuHealth.DEGRADED), "does not say why", "gpu status"),
    Case("gpu.health", NOTE, card(health=GpuHealth.UNKNOWN), "cannot be told", "gpu status"),
    Case("gpu.toolkit", WARNING, card(), "toolkit is missing", "nvidia-ctk runtime configure"),
    Case(
        "gpu.toolkit",
        WARNING,
        all_of(card(), engine(nvidia_toolkit="1.16.1")),
        "CVE-2024-0132",
        "install 1.17.8 or later",
    ),
    Case(
        "gpu.in_use",
        NOTE,
        card(processes=tuple(GpuProcess(pid, "blender", 100) for pid in (7, 8, 9, 10))),
        "blender (7), blender (8), blender (9) and 1 more",
        "gpu status",
    ),
)

MACHINE_CASES = (*PLATFORM, *REQUIREMENTS, *ENGINE, *DISK, *GPU)
