"""Disk space, in MiB."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """Size of a file system and what we may still write there, in MiB; None: not to be read."""

    total_mb: int | None
    free_mb: int | None


def read_disk(path: Path) -> DiskFacts:
    """Return the space where `path` lies or will lie: of its nearest folder that exists."""
    place = path.absolute()
    for candidate in (place, *place.parents):
        try:
            found = os.statvfs(candidate)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError):  # ValueError: a path with a NUL in it
            break
        # f_bavail, not f_bfree: what is kept for root is not ours
        free_mb = found.f_bavail * found.f_frsize // MIB
        return DiskFacts(found.f_blocks * found.f_frsize // MIB, free_mb)
    return DiskFacts(None, None)
