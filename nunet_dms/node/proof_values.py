"""The values of the engine's proof: what is asked, what the probe saw, and what that proves."""

from __future__ import annotations

from dataclasses import dataclass

from nunet_dms.node.engine.profile import OPEN_FILES, PIDS_MAX, TMPFS_INODES, small_tmpfs_mb
from nunet_dms.node.engine.types import ContainerSpec
from nunet_dms.protocol.job import MB

UNLIMITED = -1
"""How the probe writes that there is no limit."""


@dataclass(frozen=True, slots=True)
class ProofCheck:
    """One thing asked of the engine: whether it `holds`, in words, and why it matters."""

    id: str
    holds: bool
    asked: str
    seen: str
    why: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What the test container is asked to be; sizes in bytes."""

    uid: int
    gid: int
    memory_bytes: int
    nano_cpus: int
    pids: int
    tmp_bytes: int
    tmp_files: int
    file_bytes: int
    open_files: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the probe printed; -1 is no limit, `done` in place of an error is that it worked."""

    problems: tuple[str, ...]
    uids: tuple[int, ...] | None = None
    gids: tuple[int, ...] | None = None
    groups: tuple[int, ...] | None = None
    capabilities: str | None = None
    no_new_privileges: int | None = None
    seccomp: int | None = None
    memory_bytes: int | None = None
    swap_bytes: int | None = None
    swap_total_kb: int | None = None
    cpu_nano: int | None = None
    cpu_share_percent: int | None = None
    pids_limit: int | None = None
    tasks: int | None = None
    fork: str | None = None
    root: str | None = None
    inputs: str | None = None
    outputs: str | None = None
    large_file: str | None = None
    tmp_bytes: int | None = None
    tmp_end: str | None = None
    tmp_files: int | None = None
    interfaces: tuple[str, ...] | None = None
    routes: tuple[str, ...] | None = None
    devices: tuple[str, ...] | None = None
    open_files: tuple[int, ...] | None = None
    core_bytes: tuple[int, ...] | None = None
    file_bytes: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of running the probe: its output, or the `problem` that kept it from us."""

    output: bytes = b""
    problem: str = ""


def asked_of(spec: ContainerSpec) -> Asked:
    """Return what a container of this spec must be, by the profile that jobs get."""
    uid, gid = map(int, spec.user.split(":"))
    return Asked(
        uid=uid,
        gid=gid,
        memory_bytes=spec.ram_mb * MB,
        nano_cpus=spec.nano_cpus,
        pids=PIDS_MAX,
        tmp_bytes=small_tmpfs_mb(spec.ram_mb) * MB,
        tmp_files=TMPFS_INODES,
        file_bytes=spec.disk_mb * MB,
        open_files=OPEN_FILES,
    )
