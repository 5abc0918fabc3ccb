"""Small files that the kernel, the firmware or the system writes, read within bounds.

Nothing here raises: a file that is missing, forbidden, a folder or a loop of links reads as empty.
"""

from __future__ import annotations

import re
import stat
from itertools import islice
from pathlib import Path

FILE_MAX_BYTES = 16 * 1024 * 1024
"""Of /proc/cpuinfo: about 2,000 for each core, times the largest machines there are."""
LINE_MAX_CHARACTERS = 200
"""Of a name that a file gives; names travel in the node's registration."""
ENTRIES_MAX = 20_000
"""Of a folder in /sys: two for each core of the largest machines there are, and more."""

_NUMBER = re.compile(r"[0-9]{1,18}")


def read_bytes(path: Path, max_bytes: int = FILE_MAX_BYTES) -> bytes:
    """Return a file's bytes; none where there is none that we may read."""
    try:
        with path.open("rb") as file:
            return file.read(max_bytes)
    except (OSError, ValueError):  # ValueError: a path with a NUL in it
        return b""


def read_text(path: Path, max_bytes: int = FILE_MAX_BYTES) -> str:
    """Return a file's text, wrong UTF-8 replaced; empty where there is none that we may read."""
    return read_bytes(path, max_bytes).decode("utf-8", errors="replace")


def read_line(path: Path) -> str:
    """Return a file's first line, made fit to be shown."""
    return one_line(read_text(path, 4 * LINE_MAX_CHARACTERS).partition("\n")[0])


def read_number(path: Path) -> int | None:
    """Return the number, zero or more, that a file holds and nothing else."""
    text = read_text(path, 64).strip()
    return int(text) if _NUMBER.fullmatch(text) else None


def one_line(text: str) -> str:
    """Return a name without what does not print, runs of blanks as one, and not too long."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(shown.split())[:LINE_MAX_CHARACTERS]


def names_in(folder: Path) -> tuple[str, ...]:
    """Return the names in a folder, sorted."""
    try:
        return tuple(sorted(path.name for path in islice(folder.iterdir(), ENTRIES_MAX)))
    except (OSError, ValueError):
        return ()


def is_there(path: Path) -> bool:
    """Tell whether a path leads to anything that we may see."""
    return _mode(path) != 0


def is_folder(path: Path) -> bool:
    """Tell whether a path leads to a folder that we may see."""
    return stat.S_ISDIR(_mode(path))


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0
