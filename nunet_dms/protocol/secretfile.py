"""Key files: made once, mode 0600, synced; refused when others may read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from nunet_dms.errors import ConfigError

KEY_FILE_MODE = 0o600
KEY_FILE_MAX_BYTES = 4096
"""Ours have 65 bytes, cardano-cli's about 200."""


def write_secret(path: Path, content: bytes, what: str = "key file") -> None:
    """Create `path` with mode 0600 and sync it; a missing folder is made with mode 0700.

    Raises ConfigError when something is there already: a key is never overwritten.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, flags, KEY_FILE_MODE)
    except FileExistsError as error:
        raise ConfigError(f"cannot write {what} {path}: it exists and is kept") from error
    except OSError as error:
        raise ConfigError(f"cannot write {what} {path}: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), KEY_FILE_MODE)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ConfigError(f"cannot write {what} {path}: {error.strerror}") from error


def read_secret(path: Path, what: str = "key file") -> bytes:
    """Return what `path` holds; raises ConfigError if it is absent or readable by others.

    `what` names it in messages, none of which repeats what the file holds.
    """
    try:
        # Not blocking, so that a pipe in the file's place cannot hang us.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigError(f"cannot read {what} {path}: {error.strerror}") from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise ConfigError(f"cannot read {what} {path}: it is not a plain file")
        if mode & 0o077:
            raise ConfigError(
                f"cannot read {what} {path}: its mode {stat.S_IMODE(mode):04o} lets others in",
                hint=f"type: chmod 600 {path}",
            )
        return os.read(descriptor, KEY_FILE_MAX_BYTES)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
