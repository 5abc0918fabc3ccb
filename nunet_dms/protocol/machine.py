"""What a node tells the Oracle of its machine, and what of it may change.

None and empty mean: could not be found out.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from nunet_dms.protocol.bounds import Length, Pattern, Range, ShortText, UnixSeconds

GPUS_MAX = 64
"""Cards in one machine; the largest servers have 16."""

RAM_CHANGE_PERCENT = 2
"""A kernel update moves the total by less; a module that is gone, by more."""
DISK_LOW_MB = 5 * 1024
"""Free where jobs live: going below it, and coming back, is worth a word."""

Megabytes = Annotated[int, Range(0, 2**40)]
KilobitsPerSecond = Annotated[int, Range(0, 2**40)]
CpuFlags = Annotated[
    tuple[Annotated[str, Pattern(r"[a-z0-9_.-]{1,32}", "a CPU flag")], ...], Length(0, 200)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineGpu:
    """One GPU as its driver describes it."""

    vendor: Literal["nvidia", "amd"]
    name: ShortText
    uuid: ShortText
    pci: ShortText = ""
    """Its place, where it has no UUID."""
    vram_mb: Megabytes | None = None
    driver: ShortText = ""
    health: Literal["ok", "degraded", "lost", "unknown"] = "unknown"
    mig_instances: Annotated[int, Range(0, 64)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """The fingerprint as it travels: what a requester may want to know of the machine.

    Sizes are MiB, rates MHz and kbit/s.
    """

    taken_s: UnixSeconds
    cpu_model: ShortText
    cores: Annotated[int, Range(1, 100_000)]
    core_mhz: Annotated[int, Range(1, 100_000)] | None = None
    ram_mb: Megabytes | None = None
    disk_free_mb: Megabytes | None = None
    down_kbps: KilobitsPerSecond | None = None
    up_kbps: KilobitsPerSecond | None = None
    gpus: Annotated[tuple[MachineGpu, ...], Length(0, GPUS_MAX)] = ()
    kind: Literal["native", "vm", "container", "wsl1", "wsl2", "unknown"] = "unknown"
    hypervisor: ShortText = ""
    os_name: ShortText = ""
    kernel: ShortText = ""
    architecture: Annotated[str, Pattern(r"[A-Za-z0-9_.-]{0,64}", "a machine type as of uname")] = (
        ""
    )
    cpu_flags: CpuFlags = ()
    """Instruction sets that programs can use, sorted, as the kernel names them."""
    engine_version: ShortText = ""
    cgroup_version: Annotated[int, Range(1, 2)] | None = None
    storage_driver: ShortText = ""


def changes(old: MachineFacts, new: MachineFacts) -> tuple[str, ...]:
    """Say what changed between two looks that matters to jobs; empty if nothing did.

    What is measured anew each time (rates, the line) is no change, nor is what was or is unknown.
    """
    pairs = (
        ("CPU cores", old.cores, new.cores),
        ("CPU", old.cpu_model, new.cpu_model),
        ("platform", old.kind, new.kind),
        ("hypervisor", old.hypervisor, new.hypervisor),
        ("system", old.os_name, new.os_name),
        ("kernel", old.kernel, new.kernel),
        ("container engine", old.engine_version, new.engine_version),
        ("cgroup version", old.cgroup_version, new.cgroup_version),
        ("storage driver", old.storage_driver, new.storage_driver),
    )
    return (
        *_gpu_changes(old, new),
        *_flag_changes(old.cpu_flags, new.cpu_flags),
        *_ram_change(old.ram_mb, new.ram_mb),
        *_disk_change(old.disk_free_mb, new.disk_free_mb),
        *(f"{name} was {was}, is {now}" for name, was, now in pairs if was and now and was != now),
    )


def _gpu_changes(old: MachineFacts, new: MachineFacts) -> tuple[str, ...]:
    was, now = ({gpu.uuid or gpu.pci or gpu.name: gpu for gpu in each.gpus} for each in (old, new))
    gone = (f"GPU lost: {was[key].name}" for key in was if key not in now)
    come = (f"GPU found: {now[key].name}" for key in now if key not in was)
    both = [(was[key], now[key]) for key in was if key in now]
    sick = (
        f"GPU {after.name}: health was {before.health}, is {after.health}"
        for before, after in both
        if before.health != after.health
    )
    driven = (
        f"GPU {after.name}: driver was {before.driver or 'none'}, is {after.driver or 'none'}"
        for before, after in both
        if before.driver != after.driver
    )
    split = (
        f"GPU {after.name}: MIG instances were {before.mig_instances}, are {after.mig_instances}"
        for before, after in both
        if before.mig_instances != after.mig_instances
    )
    return (*gone, *come, *sick, *driven, *split)


def _flag_changes(was: tuple[str, ...], now: tuple[str, ...]) -> tuple[str, ...]:
    """A microcode update, or another host under a virtual machine, takes and gives some."""
    if not was or not now:
        return ()
    pairs = (("lost", set(was) - set(now)), ("found", set(now) - set(was)))
    return tuple(f"CPU flags {word}: {', '.join(sorted(flags))}" for word, flags in pairs if flags)


def _ram_change(was_mb: int | None, now_mb: int | None) -> tuple[str, ...]:
    if was_mb is None or now_mb is None:
        return ()
    if abs(now_mb - was_mb) * 100 <= was_mb * RAM_CHANGE_PERCENT:
        return ()
    return (f"RAM {'shrank' if now_mb < was_mb else 'grew'} from {was_mb} to {now_mb} MB",)


def _disk_change(was_mb: int | None, now_mb: int | None) -> tuple[str, ...]:
    if was_mb is None or now_mb is None or (was_mb < DISK_LOW_MB) is (now_mb < DISK_LOW_MB):
        return ()
    if now_mb < DISK_LOW_MB:
        return (f"disk low: {now_mb} MB free, it was {was_mb} MB",)
    return (f"disk is no longer low: {now_mb} MB free",)
