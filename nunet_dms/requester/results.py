"""Write a job's result files below one folder, whatever their names try.

Every folder on the way is opened without following links, relative to the one above it; a file
is checked before it gets its name.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nunet_dms.errors import UsageError, VerificationError
from nunet_dms.protocol.job import FileEntry, JobSpec, Manifest

FOLDER_MODE = 0o755
FILE_MODE = 0o644
READ_CHUNK_BYTES = 1024 * 1024

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Fetch = Callable[[FileEntry, BinaryIO], object]
"""Writes a file's content; raises what it likes, nothing is left then."""


def check_fits(manifest: Manifest, spec: JobSpec) -> None:
    """Raise VerificationError for results beyond what the job's own disk could hold."""
    limit = spec.resources.disk_mb * 1024 * 1024
    if manifest.total_bytes > limit:
        raise VerificationError(
            "results_too_large",
            f"cannot fetch {manifest.total_bytes} bytes of results: the job's disk holds {limit}",
        )


def save_results(manifest: Manifest, fetch: Fetch, folder: Path, *, force: bool = False) -> None:
    """Fetch every file of a manifest into `folder`; those that are there already are kept.

    Raises UsageError when something else has a file's place (unless `force`) or cannot be
    written, and VerificationError (code `hash_mismatch`) when a content is not the announced one.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        root = os.open(folder, FOLDER_FLAGS & ~os.O_NOFOLLOW)
        try:
            for entry in manifest.files:
                _save(entry, fetch, root, force=force)
        finally:
            os.close(root)
    except OSError as error:
        raise UsageError(f"cannot write results to {folder}: {error.strerror}") from error


def _save(entry: FileEntry, fetch: Fetch, root: int, *, force: bool) -> None:
    *folders, name = entry.path.split("/")
    with _folder_below(root, folders, entry) as folder:
        if _is_there(name, folder, entry):
            return
        if not force and _has_name(name, folder):
            raise UsageError(
                f"cannot write result {entry.path!r}: another file is there",
                hint="choose another folder, or type --force to replace it",
            )
        temporary = f".nunet-{secrets.token_hex(8)}"
        handle = os.open(temporary, NEW_FILE_FLAGS, FILE_MODE, dir_fd=folder)
        try:
            with os.fdopen(handle, "w+b") as file:
                fetch(entry, file)
                file.seek(0)
                if _content_of(file) != (entry.size, entry.sha256):
                    raise VerificationError(
                        "hash_mismatch",
                        f"cannot keep result {entry.path!r}: its content is not the announced one",
                    )
                os.fsync(handle)
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(temporary, dir_fd=folder)
            raise


@contextmanager
def _folder_below(root: int, names: list[str], entry: FileEntry) -> Iterator[int]:
    """Open a folder below `root`, making those that are missing; no link is followed."""
    here = os.dup(root)
    try:
        for name in names:
            try:
                if not _has_name(name, here):
                    os.mkdir(name, FOLDER_MODE, dir_fd=here)
                below = os.open(name, FOLDER_FLAGS, dir_fd=here)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise UsageError(
                        f"cannot write result {entry.path!r}: {name!r} is not a folder"
                    ) from error
                raise
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def _has_name(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _is_there(name: str, folder: int, entry: FileEntry) -> bool:
    """Say whether the very file that is wanted is there."""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return False
    with os.fdopen(handle, "rb") as file:
        return stat.S_ISREG(os.fstat(handle).st_mode) and _content_of(file) == (
            entry.size,
            entry.sha256,
        )


def _content_of(file: BinaryIO) -> tuple[int, str]:
    """Return the size in bytes and the SHA-256 of what is left to read."""
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(READ_CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()
