"""Whether we are within a container, and whose."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from nunet_dms.machine.kernelfile import is_there, one_line, read_bytes, read_line, read_text
from nunet_dms.machine.mounts import read_mounts

ENVIRON_MAX_BYTES = 1024 * 1024
"""Of a process's environment: far above what a container is started with."""

CGROUPS = (
    (re.compile(r"kubepods"), "kubernetes"),
    (re.compile(r"libpod"), "podman"),
    (re.compile(r"/docker[/-]"), "docker"),
    (re.compile(r"/lxc[./]"), "lxc"),
    (re.compile(r"/machine-[^/]+\.scope/payload"), "systemd-nspawn"),
)
"""What engines call the control group of a container's first process."""

MOUNTS = (
    (re.compile(r"/kubelet/pods/"), "kubernetes"),
    (re.compile(r"/[a-z0-9]+-containers/[0-9a-f]+/userdata/"), "podman"),
    (re.compile(r"/containers/[0-9a-f]{12,}/"), "docker"),
)
"""Where engines keep what they mount at `ENGINE_FILES`."""
ENGINE_FILES = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
NAMES = {"oci": "podman", "libpod": "podman", "wsl": ""}
"""What `container=` is called here, where it is not called the same; WSL is no container."""


def read_container(root: Path = Path("/")) -> tuple[str, str]:
    """Return the kind of container that we are in and the file that says so; else two empty texts.

    In the order of systemd's own detection, files that an engine writes first; but a marker that
    an image may have brought along (`/.dockerenv` in a virtual machine whose disk was made from a
    container) is only believed where the root is not simply a disk.
    """
    for source, find in SOURCES:
        if name := find(root):
            return name, source
    return "", ""


def _kubernetes(root: Path) -> str:
    return "kubernetes" if is_there(root / "run/secrets/kubernetes.io") else ""


def _told(path: str) -> Callable[[Path], str]:
    """Read a name that systemd's container interface puts in a file."""

    def find(root: Path) -> str:
        name = read_line(root / path)
        return NAMES.get(name, name)

    return find


def _environment(root: Path) -> str:
    for entry in read_bytes(root / "proc/1/environ", ENVIRON_MAX_BYTES).split(b"\0"):
        if entry.startswith(b"container="):
            name = one_line(entry[len(b"container=") :].decode("utf-8", errors="replace"))
            return NAMES.get(name, name)
    return ""


def _control_group(root: Path) -> str:
    text = read_text(root / "proc/1/cgroup")
    return next((name for pattern, name in CGROUPS if pattern.search(text)), "")


def _mounts(root: Path) -> str:
    """Find what an engine mounts into every container."""
    for mount in read_mounts(root):
        if mount.point in ENGINE_FILES:
            for pattern, name in MOUNTS:
                if pattern.search(mount.folder):
                    return name
    return ""


def _marker(path: str, name: str) -> Callable[[Path], str]:
    def find(root: Path) -> str:
        return name if is_there(root / path) and not _root_is_disk(root) else ""

    return find


def _root_is_disk(root: Path) -> bool:
    """Tell whether / is a disk's own file system, not an engine's layer or a folder of its."""
    last = next((mount for mount in reversed(read_mounts(root)) if mount.point == "/"), None)
    if last is None or not last.source.startswith("/dev/"):
        return False
    return not re.search("docker|containers", last.folder + last.source)


SOURCES: tuple[tuple[str, Callable[[Path], str]], ...] = (
    ("/run/secrets/kubernetes.io", _kubernetes),
    ("/run/host/container-manager", _told("run/host/container-manager")),
    ("/run/systemd/container", _told("run/systemd/container")),
    ("/proc/1/environ", _environment),
    ("/proc/1/cgroup", _control_group),
    ("/proc/self/mountinfo", _mounts),
    ("/run/.containerenv", _marker("run/.containerenv", "podman")),
    ("/.dockerenv", _marker(".dockerenv", "docker")),
)
"""In order of trust."""
