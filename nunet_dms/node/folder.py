"""A job's folder on the node: inputs staged and checked, outputs measured and collected.

Everything a job leaves is hostile: links, pipes, devices, sparse giants, deep trees. Its folders
are walked by descriptors that follow no link; only regular files count.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
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

Fetch = Callable[[str, BinaryIO, int], None]
"""Writes the content with this SHA-256 to a file, at most so many bytes."""


@dataclass(frozen=True)
class JobFolder:
    """`<jobs>/<job id>/` with `in/`, `out/`, perhaps `ckpt/`, and the log."""

    path: Path

    @cached_property
    def inputs(self) -> Path:
        """Mounted read-only into the container."""
        return self.path / "in"

    @cached_property
    def outputs(self) -> Path:
        """Mounted read-write; what the job leaves here is its result."""
        return self.path / "out"

    @cached_property
    def checkpoint(self) -> Path:
        """Mounted read-write where the job names a checkpoint folder; saved while it runs."""
        return self.path / "ckpt"

    @cached_property
    def spool(self) -> Path:
        """Contents of a checkpoint that are still to be sent, named by their SHA-256."""
        return self.path / "spool"

    @cached_property
    def log(self) -> Path:
        """The job's stdout and stderr; kept when the rest goes."""
        return self.path / "log"

    @cached_property
    def deadline(self) -> Path:
        """The program that ends the job from inside."""
        return self.path / "deadline"

    def make(self, user: str, *, with_checkpoint: bool = False) -> None:
        """Create the folders for a job that runs as `user` (uid:gid)."""
        self.inputs.mkdir(parents=True, exist_ok=True)
        self.outputs.mkdir(exist_ok=True)
        self.path.chmod(0o700)
        self.inputs.chmod(0o755)
        owner = _owner(user)
        _hand_over(self.outputs, owner)
        if with_checkpoint:
            self.checkpoint.mkdir(exist_ok=True)
            _hand_over(self.checkpoint, owner)

    def stage(self, inputs: Manifest, fetch: Fetch) -> None:
        """Fetch every input that is not here yet, and check its size and hash.

        Raises VerificationError when the Oracle's bytes are not what the requester named.
        """
        self._fill(self.inputs, inputs, fetch, None)

    def stage_checkpoint(self, files: Manifest, fetch: Fetch, user: str) -> None:
        """Put back what another attempt saved, for a job that runs as `user`; raises as `stage`."""
        self._fill(self.checkpoint, files, fetch, _owner(user))

    def _fill(
        self, top: Path, manifest: Manifest, fetch: Fetch, owner: tuple[int, int] | None
    ) -> None:
        part = self.path / "part"
        for entry in manifest.files:
            target = top / entry.path
            if _is_there(target, entry):
                continue
            _make_parents(top, target, owner)
            with part.open("w+b") as file:
                fetch(entry.sha256, file, entry.size)
                file.seek(0)
                if measured(file, entry.size + 1) != (entry.size, entry.sha256):
                    raise VerificationError(
                        "hash_mismatch", f"cannot stage {entry.path}: these are other bytes"
                    )
            part.chmod(0o644)
            _hand_over(part, owner)
            part.rename(target)

    def used_bytes(self) -> int:
        """Return what outputs and checkpoint take on the disk, and at least 4 kB for each entry."""
        return sum(
            max(found.info.st_blocks * 512, ENTRY_BYTES)
            for top in (self.outputs, self.checkpoint)
            for found in walk(top)
        )

    def collect(self, limit_bytes: int) -> tuple[Manifest, bool]:
        """Return the results as a manifest, and whether it holds everything that was left.

        Left out, and the answer False: what is no regular file, what has a path that cannot
        travel or cannot be read, and everything past the limits.
        """
        entries: list[FileEntry] = []
        whole, total, count = True, 0, 0
        for found in walk(self.outputs):
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
            return open_at(at, name)
        finally:
            os.close(at)

    def empty_spool(self) -> None:
        """Remove the copies that a checkpoint was sent from."""
        shutil.rmtree(self.spool, ignore_errors=True)

    def clean(self) -> None:
        """Remove everything but the log, half-written files of a worker that died included."""
        try:
            with os.scandir(self.path) as entries:
                found = list(entries)
        except FileNotFoundError:
            return
        for each in found:
            if each.is_dir(follow_symlinks=False):
                shutil.rmtree(each.path, ignore_errors=True)
            elif each.name != self.log.name:
                Path(each.path).unlink(missing_ok=True)


def _owner(user: str) -> tuple[int, int] | None:
    """Return whom a job's folders are given to (uid:gid); None where that is us."""
    uid, gid = map(int, user.split(":"))
    return None if uid == os.geteuid() else (uid, gid)


def _hand_over(path: Path, owner: tuple[int, int] | None) -> None:
    if owner is not None:
        os.chown(path, *owner)


def _make_parents(top: Path, target: Path, owner: tuple[int, int] | None) -> None:
    """Make the folders between, open to the job's user whatever our umask is."""
    for folder in reversed(target.relative_to(top).parents[:-1]):
        if not (top / folder).is_dir():
            (top / folder).mkdir()
            (top / folder).chmod(0o755)
            _hand_over(top / folder, owner)


def _is_there(target: Path, entry: FileEntry) -> bool:
    """Whether it was staged before; read again, for a power cut may have left other bytes."""
    if not target.is_file():
        return False
    with target.open("rb") as file:
        return measured(file, entry.size + 1) == (entry.size, entry.sha256)


@dataclass(frozen=True, slots=True)
class Found:
    """Something in a job's folder; its descriptor is good while the walk stands on its folder."""

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


def walk(top: Path) -> Iterator[Found]:
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
            yield Found(path, name, info, descriptor, depth)
        if depth >= DEPTH_MAX:
            folders.clear()


def _entry(found: Found, room_bytes: int) -> FileEntry | None:
    """Return a regular file's entry; None when it is too large or cannot be read."""
    if found.info.st_size > room_bytes:
        return None
    try:
        with open_at(found.folder, found.name) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            size, sha256 = measured(file, room_bytes)
    except OSError:
        return None
    return FileEntry(path=found.path, size=size, sha256=sha256)


def measured(file: BinaryIO, limit_bytes: int) -> tuple[int, str]:
    """Return the size and SHA-256 of what can be read, up to the limit."""
    size, sha256 = 0, hashlib.sha256()
    while size < limit_bytes and (part := file.read(min(READ_BYTES, limit_bytes - size))):
        size += len(part)
        sha256.update(part)
    return size, sha256.hexdigest()


def open_at(folder: int, name: str) -> BinaryIO:
    """Open a file without following a link or waiting on a pipe."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(name, flags, dir_fd=folder), "rb")
