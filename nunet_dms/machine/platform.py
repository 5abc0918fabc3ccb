"""The operating system, the kernel and the architecture."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.machine.kernelfile import one_line, read_line, read_text

RELEASE_MAX_BYTES = 64 * 1024
"""Of os-release: twenty lines."""

_ASSIGNMENT = re.compile(r"""^([A-Z_]{1,40})=(["']?)(.*)\2[ \t]*$""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PlatformFacts:
    """The system's name as it calls itself, its id and version for comparing, its kernel's release,
    and the machine type.

    `os_id` and `os_version` are ID and VERSION_ID of os-release(5), such as "ubuntu" and "24.04";
    either may be empty.
    """

    os_name: str
    os_id: str
    os_version: str
    kernel: str
    architecture: str


def read_platform(root: Path = Path("/")) -> PlatformFacts:
    """Return the platform from os-release(5) and /proc/sys/kernel below `root`.

    What is not there is told by uname(2): /proc/sys/kernel/arch is there since Linux 6.1.
    """
    release = _release(root)
    running = os.uname()
    kernel = root / "proc/sys/kernel"
    return PlatformFacts(
        os_name=release.get("PRETTY_NAME") or running.sysname,
        os_id=release.get("ID", ""),
        os_version=release.get("VERSION_ID", ""),
        kernel=read_line(kernel / "osrelease") or running.release,
        architecture=read_line(kernel / "arch") or running.machine,
    )


def _release(root: Path) -> dict[str, str]:
    """Return what the first os-release that has anything says; quotes are taken off."""
    for place in ("etc/os-release", "usr/lib/os-release"):
        lines = _ASSIGNMENT.findall(read_text(root / place, RELEASE_MAX_BYTES))
        if lines:
            return {key: one_line(value) for key, _, value in lines}
    return {}
