"""Disk space, in MiB."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.errors import NunetError

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """Size of a file system and what we may still write there, in MiB."""

    total_mb: int
    free_mb: int


def read_disk(path: Path) -> DiskFacts:
    """Return the space where `path` lies or will lie; raises NunetError if that is unreadable."""
    place = path.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        found = os.statvfs(place)
    except OSError as error:
        raise NunetError(f"cannot read the free space of {place}: {error.strerror}") from error
    # f_bavail, not f_bfree: what is kept for root is not ours
    return DiskFacts(found.f_blocks * found.f_frsize // MIB, found.f_bavail * found.f_frsize // MIB)
