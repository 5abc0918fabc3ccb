"""Files written whole or not at all: a temporary name, synced, renamed. And words for a refusal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nunet_dms.errors import NunetError


@contextmanager
def failing_to(verb: str, path: Path) -> Iterator[None]:
    """Turn what the system refuses, as on a full disk, into NunetError "cannot VERB PATH: why"."""
    try:
        yield
    except OSError as error:
        raise NunetError(f"cannot {verb} {path}: {error.strerror or error}") from error


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write or replace a file so that a crash leaves the old one or the new one; raises OSError.

    A missing folder is made with mode 0700.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove_unfinished(folder: Path) -> None:
    """Remove what `write_whole` left under temporary names when its process died within it.

    Only for a folder that one process writes to: another's may be under way.
    """
    for path in folder.glob(".*.????????"):
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a new or renamed entry of a folder outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
