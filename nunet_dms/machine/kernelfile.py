"""Small text files that the kernel or the system writes, read within bounds."""

from __future__ import annotations

from pathlib import Path

FILE_MAX_BYTES = 16 * 1024 * 1024
"""Of /proc/cpuinfo: about 2,000 for each core, times the largest machines there are."""


def read_text(path: Path, max_bytes: int = FILE_MAX_BYTES) -> str:
    """Return a file's text, wrong UTF-8 replaced; empty where there is none that we may read."""
    try:
        with path.open("rb") as file:
            return file.read(max_bytes).decode("utf-8", errors="replace")
    except (OSError, ValueError):  # ValueError: a path with a NUL in it
        return ""
