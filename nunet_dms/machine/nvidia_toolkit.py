"""The NVIDIA container toolkit: what hands a GPU to a container, and whether it is safe to use."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

PROGRAMS = (
    ("nvidia-ctk", "--version"),
    ("nvidia-container-cli", "--version"),
    ("nvidia-container-runtime-hook", "-version"),
)
"""Each part of the toolkit that tells its version; they come in packages of their own."""
PROGRAM_TIMEOUT_S = 2
"""Of one `--version`: it takes 20 ms."""
CDI_FOLDERS = ("etc/cdi", "var/run/cdi")
"""Where a specification by `nvidia-ctk cdi generate` lies (CDI specification, section 4)."""
OLDEST_SAFE = "1.17.8"
"""The first version in which each of HOLES is closed."""
HOLES = (("1.16.2", "CVE-2024-0132"), ("1.17.8", "CVE-2025-23266"))
"""The version that closed it, and the hole: each lets a job's image take over the host."""

_VERSION = re.compile(r"\bversion:?\s+v?(\d{1,4}\.\d{1,4}\.\d{1,4}[\w.~+-]{0,40})", re.IGNORECASE)
_PARTS = re.compile(r"v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})([-~.]?(?:rc|alpha|beta))?")


def read_toolkit(runtimes: Sequence[str] = (), root: Path = Path("/")) -> str | None:
    """Return the lowest version among the toolkit's parts that are found on PATH.

    Empty: it is there (as a Docker runtime named nvidia, or as a CDI specification), but tells no
    version. None: nothing of it was found. Raises nothing.
    """
    found = [version for program in PROGRAMS if (version := _version_of(*program))]
    if found:
        return min(found, key=_order)
    if "nvidia" in runtimes or any(_has_cdi(root / folder) for folder in CDI_FOLDERS):
        return ""
    return None


def toolkit_problem(version: str | None) -> str:
    """Return why GPU jobs may not use a toolkit of this version, and the cure; empty when they may.

    None, no toolkit, is no problem of its version. Source: NVIDIA's
    security bulletins of September 2024 and of July 2025.
    """
    if version is None:
        return ""
    cure = f"install {OLDEST_SAFE} or later of the NVIDIA container toolkit"
    order = _order(version)
    if order == _UNKNOWN:
        return f"the NVIDIA container toolkit tells no version that can be read; {cure}"
    holes = [name for closed, name in HOLES if order < _order(closed)]
    if not holes:
        return ""
    return f"the NVIDIA container toolkit {version:.40} is open to {' and '.join(holes)}; {cure}"


_UNKNOWN = (-1, 0, 0, 0)


def _order(version: str) -> tuple[int, int, int, int]:
    """Return what versions are compared by; a release candidate comes before its release."""
    parts = _PARTS.match(version)
    if parts is None:
        return _UNKNOWN
    return int(parts[1]), int(parts[2]), int(parts[3]), 0 if parts[4] else 1


def _version_of(program: str, flag: str) -> str:
    """Return what one program says of its version; empty when it is not there or says nothing."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        done = subprocess.run(
            [path, flag], capture_output=True, timeout=PROGRAM_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search(done.stdout.decode("utf-8", errors="replace"))
    return found[1] if found else ""


def _has_cdi(folder: Path) -> bool:
    try:
        return any("nvidia" in entry.name for entry in folder.iterdir())
    except OSError:
        return False
