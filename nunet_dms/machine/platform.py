"""The operating system, the kernel and the architecture."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

NAME_MAX_CHARACTERS = 200
"""Of the system's name; it travels in the node's registration."""

_PRETTY_NAME = re.compile(r"""^PRETTY_NAME=(["']?)(.*)\1\s*$""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PlatformFacts:
    """The system's name as it calls itself, its kernel's release, and the machine type."""

    os_name: str
    kernel: str
    architecture: str


def read_platform(root: Path = Path("/")) -> PlatformFacts:
    """Return the platform; the name is from os-release(5) below `root`, else the kernel's."""
    kernel = os.uname()
    name = kernel.sysname
    for place in ("etc/os-release", "usr/lib/os-release"):
        try:
            text = (root / place).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if (found := _PRETTY_NAME.search(text)) and found[2]:
            name = found[2]
            break
    return PlatformFacts(name[:NAME_MAX_CHARACTERS], kernel.release, kernel.machine)
