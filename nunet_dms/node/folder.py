"""A job's folder on the node: inputs staged and checked, outputs measured and collected.

Everything a job leaves is hostile: links, pipes, devices, sparse giants, deep trees. Outputs are
walked by descriptors that follow no link; only regular files count.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nunet_dms.errors import VerificationError
from nunet_dms.protocol.bounds import FILES_MAX, RelativePath
from nunet_dms.protocol.job import FileEntry, Manifest

DEPTH_MAX = 32
"""Folders within folders in a job's outputs."""
ENTRIES_MAX = 4 * FILES_MAX
"""Files and folders looked at before a job is said to have left too many."""
ENTRY_BYTES = 4096
"""What an entry takes at least: many empty files fill a disk too."""
READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class JobFolder:
    """`<jobs>/<job id>/` with `in/`, `out/` and the log."""

    path: Path

    @property
    def inputs(self) -> Path:
        """Mounted read-only into the container."""
        return self.path / "in"

    @property
    def outputs(self) -> Path:
        """Mounted read-write; what the job leaves here is its result."""
        return self.path / "out"

    @property
    def log(self) -> Path:
        """The job's stdout and stderr; kept when the rest goes."""
        return self.path / "log"

    @property
    def deadline(self) -> Path:
        """The program that ends the job from inside."""
        return self.path / "deadline"

    def make(self, user: str) -> None:
        """Create the folders for a job that runs as `user` (uid:gid)."""
        self.inputs.mkdir(parents=True, exist_ok=True)
        self.outputs.mkdir(exist_ok=True)
        self.path.chmod(0o700)
        self.inputs.chmod(0o755)
        uid, gid = map(int, user.split(":"))
        if uid != os.geteuid():
            os.chown(self.outputs, uid, gid)

    def stage(self, inputs: Manifest, fetch: Callable[[str, BinaryIO, int], None]) -> None:
        """Fetch every input that is not here yet, and check its size and hash.

        Raises VerificationError when the Oracle's bytes are not what the requester named.
        """
        part = self.path / "part"
        for entry in inputs.files:
            target = self.inputs / entry.path
            if target.is_file() and target.stat().st_size == entry.size:
                continue  # written by rename after its check: whole, or not there
            target.parent.mkdir(parents=True, exist_ok=True)
            with part.open("w+b") as file:
                fetch(entry.sha256, file, entry.size)
                file.seek(0)
                if _measured(file, entry.size + 1) != (entry.size, entry.sha256):
                    raise VerificationError(
                        "hash_mismatch", f"cannot stage {entry.path}: these are other bytes"
                    )
            part.chmod(0o644)
            part.rename(target)

    def used_bytes(self) -> int:
        """Return what the outputs take on the disk, and at least 4 kB for each entry."""
        return sum(max(found.info.st_blocks * 512, ENTRY_BYTES) for found in _walk(self.outputs))

    def collect(self, limit_bytes: int) -> tuple[Manifest, bool]:
        """Return the results as a manifest, and whether it holds everything that was left.

        Left out, and the answer False: what is no regular file, what has a path that cannot
        travel or cannot be read, and everything past the limits.
        """
        entries: list[FileEntry] = []
        whole, total, count = True, 0, 0
        for found in _walk(self.outputs):
            count += 1
            entry = None
            if stat.S_ISREG(found.info.st_mode) and RelativePath().problem(found.path) is None:
                entry = _entry(found, limit_bytes - total)
            if entry is None or len(entries) >= FILES_MAX:
                whole = whole and found.is_open_folder
                continue
            total += entry.size
            entries.append(entry)
        entries.sort(key=lambda entry: entry.path)
        return Manifest(files=tuple(entries)), whole and count < ENTRIES_MAX

    def open_result(self, path: str) -> BinaryIO:
        """Open one collected file again, following no link; raises OSError if it is gone."""
        *folders, name = path.split("/")
        at = os.open(self.outputs, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            for folder in folders:
                below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = below
            return _open_at(at, name)
        finally:
            os.close(at)

    def clean(self) -> None:
        """Remove inputs, outputs and their manifest; the log stays."""
        shutil.rmtree(self.inputs, ignore_errors=True)
        shutil.rmtree(self.outputs, ignore_errors=True)
        for name in ("part", "results.json", "deadline", "log.index"):
            (self.path / name).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Found:
    """Something in the outputs; its descriptor is good while the walk stands on its folder."""

    path: str
    name: str
    info: os.stat_result
    folder: int
    depth: int

    @property
    def is_open_folder(self) -> bool:
        """Whether it is a folder that the walk can and will go into."""
        return (
            stat.S_ISDIR(self.info.st_mode)
            and self.depth < DEPTH_MAX
            and os.access(self.name, os.R_OK | os.X_OK, dir_fd=self.folder)
        )


def _walk(top: Path) -> Iterator[_Found]:
    """Yield what lies below `top`, at most ENTRIES_MAX, through descriptors that follow no link.

    Nothing where there is no such folder: a look at what a job uses may come after its end.
    """
    if not top.is_dir():
        return
    count = 0
    for folder, folders, names, descriptor in os.fwalk(top, follow_symlinks=False):
        relative = os.path.relpath(folder, top)
        depth = 0 if relative == "." else relative.count("/") + 1
        for name in [*folders, *names]:
            count += 1
            if count > ENTRIES_MAX:
                return
            try:
                info = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except OSError:
                continue  # gone since it was listed: the job still runs
            path = name if relative == "." else f"{relative}/{name}"
            yield _Found(path, name, info, descriptor, depth)
        if depth >= DEPTH_MAX:
            folders.clear()


def _entry(found: _Found, room_bytes: int) -> FileEntry | None:
    """Return a regular file's entry; None when it is too large or cannot be read."""
    if found.info.st_size > room_bytes:
        return None
    try:
        with _open_at(found.folder, found.name) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            size, sha256 = _measured(file, room_bytes)
    except OSError:
        return None
    return FileEntry(path=found.path, size=size, sha256=sha256)


def _measured(file: BinaryIO, limit_bytes: int) -> tuple[int, str]:
    """Return the size and SHA-256 of what can be read, up to the limit."""
    size, sha256 = 0, hashlib.sha256()
    while size < limit_bytes and (part := file.read(min(READ_BYTES, limit_bytes - size))):
        size += len(part)
        sha256.update(part)
    return size, sha256.hexdigest()


def _open_at(folder: int, name: str) -> BinaryIO:
    """Open a file without following a link or waiting on a pipe."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(name, flags, dir_fd=folder), "rb")
