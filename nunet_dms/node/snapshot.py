"""A job's checkpoint folder, read while the job goes on writing to it.

Whole means: the folder looked the same before and after all of it was read, and nothing in it had
changed just before; otherwise it is tried again a few times. What is read is copied aside as it is
hashed, so that what is sent later is what was hashed. A program that is writing is found out by
this; one that pauses in the middle of a file is not: it is to write under another name, and rename.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nunet_dms.node.folder import ENTRIES_MAX, READ_BYTES, Found, JobFolder, open_at, walk
from nunet_dms.protocol.bounds import FILES_MAX, RelativePath
from nunet_dms.protocol.job import BLOB_MAX_BYTES, FileEntry, Manifest

SETTLED_NS = 20_000_000
"""A file that changed later than that before a look counts as being written: kernels date changes
by the tick, of up to 10 ms, so that a further change might not show."""
PAUSES_S = (0.03, 0.07, 0.15, 0.31, 0.63)
"""Before each further try; of odd lengths, so that a program that writes at a beat is not met at
the same point of it every time."""


@dataclass(frozen=True, slots=True)
class Stat:
    """A file as a look found it: any change to its content shows in one of these."""

    path: str
    size: int
    inode: int
    mtime_ns: int
    ctime_ns: int
    """Unlike the time before, no program can set it."""


@dataclass(frozen=True, slots=True)
class Known:
    """What earlier snapshots of the same folder found, and what of it the Oracle has."""

    hashes: Mapping[Stat, str] = field(default_factory=dict)
    stored: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The content of the folder at one time; what the Oracle lacks of it lies in the spool."""

    files: Manifest
    left_out: int
    """Entries that are neither regular files nor folders, or whose names cannot travel."""
    hashes: Mapping[Stat, str]


@dataclass(frozen=True, slots=True)
class Unfit:
    """The folder cannot be saved as it is, and why."""

    why: str


BUSY = Unfit("its files changed while they were read")


@dataclass(frozen=True, slots=True)
class Timing:
    """The wall clock in milliseconds, and what waits for some seconds."""

    now_ms: Callable[[], int]
    pause: Callable[[float], object]


def take(folder: JobFolder, known: Known, limit_bytes: int, timing: Timing) -> Snapshot | Unfit:
    """Read the checkpoint folder; raises OSError where our own copy cannot be written.

    `limit_bytes` is of all files together.
    """
    found = _take_once(folder, known, limit_bytes, timing.now_ms())
    for pause_s in PAUSES_S:
        if found is not BUSY:
            break
        timing.pause(pause_s)
        found = _take_once(folder, known, limit_bytes, timing.now_ms())
    return found


def _take_once(folder: JobFolder, known: Known, limit_bytes: int, now_ms: int) -> Snapshot | Unfit:
    before = _look(folder.checkpoint)
    if isinstance(before, Unfit):
        return before
    if (why := _too_much(before, limit_bytes)) is not None:
        return Unfit(why)
    if any(abs(now_ms * 1_000_000 - each.ctime_ns) < SETTLED_NS for each in before.stats):
        return BUSY
    folder.spool.mkdir(mode=0o700, exist_ok=True)
    hashes = _read(folder, before, known)
    if isinstance(hashes, Unfit):
        return hashes
    if _look(folder.checkpoint) != before:
        return BUSY
    entries = [FileEntry(path=s.path, size=s.size, sha256=hashes[s]) for s in before.stats]
    return Snapshot(Manifest(files=tuple(entries)), before.left_out, hashes)


@dataclass(frozen=True, slots=True)
class _Look:
    """All regular files, by path, and how much else there is."""

    stats: tuple[Stat, ...]
    left_out: int


def _look(top: Path) -> _Look | Unfit:
    stats: list[Stat] = []
    left_out = count = 0
    for found in walk(top):
        count += 1
        if _can_travel(found):
            stats.append(_stat(found.path, found.info))
        elif not found.is_open_folder:
            left_out += 1
    if count >= ENTRIES_MAX or len(stats) > FILES_MAX:
        return Unfit(f"it holds more than {FILES_MAX} files")
    stats.sort(key=lambda each: each.path)
    return _Look(tuple(stats), left_out)


def _too_much(look: _Look, limit_bytes: int) -> str | None:
    total = sum(each.size for each in look.stats)
    if total > limit_bytes:
        return f"it holds {total} bytes, the job has {limit_bytes}"
    large = [each.path for each in look.stats if each.size > BLOB_MAX_BYTES]
    return f"{large[0]!a} is larger than {BLOB_MAX_BYTES} bytes" if large else None


def _read(folder: JobFolder, look: _Look, known: Known) -> dict[Stat, str] | Unfit:
    """Hash every file, and copy aside what is not kept anywhere yet."""
    expected, hashes = {each.path: each for each in look.stats}, dict[Stat, str]()
    for found in walk(folder.checkpoint):
        if not _can_travel(found):
            continue
        there = _stat(found.path, found.info)
        if expected.get(found.path) != there:
            return BUSY
        sha256 = known.hashes.get(there, "")
        if sha256 not in known.stored and not (sha256 and (folder.spool / sha256).is_file()):
            copied = _copied(found, there, folder, known)
            if isinstance(copied, Unfit):
                return copied
            sha256 = copied
        hashes[there] = sha256
    return hashes if len(hashes) == len(expected) else BUSY


def _copied(found: Found, expected: Stat, folder: JobFolder, known: Known) -> str | Unfit:
    """Copy a file into the spool, unless the Oracle has its content, and return its SHA-256."""
    try:
        file = open_at(found.folder, found.name)
    except OSError as error:
        gone = error.errno == errno.ENOENT
        return BUSY if gone else Unfit(f"cannot read {found.path!a}: {error.strerror}")
    part, sha256, size = folder.spool / "part", hashlib.sha256(), 0
    with file, part.open("wb") as copy:
        while size <= expected.size and (piece := file.read(READ_BYTES)):
            size += copy.write(piece)
            sha256.update(piece)
        after = _stat(expected.path, os.fstat(file.fileno()))
    if size != expected.size or after != expected:
        return BUSY
    if (digest := sha256.hexdigest()) not in known.stored:
        part.replace(folder.spool / digest)
    return digest


def _can_travel(found: Found) -> bool:
    return stat.S_ISREG(found.info.st_mode) and RelativePath().problem(found.path) is None


def _stat(path: str, info: os.stat_result) -> Stat:
    return Stat(path, info.st_size, info.st_ino, info.st_mtime_ns, info.st_ctime_ns)
