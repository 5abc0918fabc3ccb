"""A job's log on its way from the container to the node's disk, bounded, with its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

LOG_MAX_BYTES = 64 * 1024 * 1024
"""Of one job's log; what comes later is dropped, and the report says so."""
GAP_MARK = b"\n[nunet: part of this log was lost here]\n"
READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LogEnd:
    """A finished log: its length and SHA-256, and whether nothing is missing from it."""

    length: int
    sha256: str
    complete: bool


EMPTY_LOG = LogEnd(0, hashlib.sha256().hexdigest(), complete=True)


def pump(chunks: Iterator[bytes], path: Path, grew: Callable[[], None]) -> LogEnd:
    """Write a container's output to `path` until it ends; `grew` is called after each write.

    The engine hands the log out from its start each time. What the file already holds (from
    before a restart) is skipped when it is the same, byte for byte; otherwise a mark is written
    and the log counts as incomplete.
    """
    path.touch(mode=0o600)
    complete = True
    with path.open("r+b") as file:
        known = path.stat().st_size
        rest = _skip(chunks, known, _sha256(path))
        if rest is None:
            complete = False
        file.seek(0, 2)
        size = known
        for chunk in _with_gap(rest, chunks):
            room = LOG_MAX_BYTES - size
            if len(chunk) > room:
                complete = False
            if room > 0:
                size += file.write(chunk[:room])
                file.flush()
                grew()
    complete = complete and not _has_gap(path)
    return LogEnd(size, _sha256(path), complete)


def finished(path: Path) -> LogEnd:
    """Return the end of a log that nothing will be added to; empty when there is no file."""
    if not path.exists():
        return EMPTY_LOG
    return LogEnd(path.stat().st_size, _sha256(path), complete=False)


def _skip(chunks: Iterator[bytes], known: int, sha256: str) -> bytes | None:
    """Read past the `known` bytes; return what came after them, None if they are others."""
    seen = hashlib.sha256()
    left = known
    while left:
        chunk = next(chunks, None)
        if chunk is None:
            return None
        seen.update(chunk[:left])
        if len(chunk) >= left:
            return chunk[left:] if seen.hexdigest() == sha256 else None
        left -= len(chunk)
    return b""


def _with_gap(rest: bytes | None, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield GAP_MARK if rest is None else rest
    yield from chunks


def _has_gap(path: Path) -> bool:
    """Whether an earlier pump already marked a gap; looked for in whole lines only at the end."""
    with path.open("rb") as file:
        return any(GAP_MARK.strip() in line for line in file)


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(READ_BYTES):
            found.update(part)
    return found.hexdigest()
