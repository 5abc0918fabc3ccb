"""What is mounted where, as this process sees it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.machine.kernelfile import read_text

_OCTAL = re.compile(r"\\([0-3][0-7]{2})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount: the device as `major:minor`, the folder of its file system that is mounted, where,
    the kind of file system, and its source (a device's path, or whatever the kind calls a source).
    """

    number: str
    folder: str
    point: str
    kind: str
    source: str


def read_mounts(root: Path = Path("/")) -> tuple[Mount, ...]:
    """Return the mounts from /proc/self/mountinfo (proc(5)) below `root`, in the kernel's order."""
    mounts = []
    for line in read_text(root / "proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        here, there = left.split(" "), right.split(" ")
        if len(here) >= 6 and len(there) >= 2:
            _, _, number, folder, point = here[:5]
            mounts.append(Mount(number, _plain(folder), _plain(point), there[0], _plain(there[1])))
    return tuple(mounts)


def _plain(text: str) -> str:
    r"""Return a path as it is: the kernel writes a blank as \040."""
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text)
