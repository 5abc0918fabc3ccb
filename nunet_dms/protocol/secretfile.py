"""Secret files: made once, mode 0600, synced; refused when others may read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from nunet_dms.errors import ConfigError

SECRET_MAX_BYTES = 64 * 1024
"""Of a key file; ours have a few hundred bytes."""


def write_secret(path: Path, content: bytes) -> None:
    """Create `path` with mode 0600 and sync it; raises ConfigError if it already exists."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(
            f"cannot write the key file {path}: it exists",
            hint="keys are never overwritten; move the file away or choose another name",
        ) from None
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_secret(path: Path) -> bytes:
    """Return the content of `path`; raises ConfigError if it is absent or readable by others."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise ConfigError(
                    f"cannot use the key file {path}: its mode is {mode:04o}, others may read it",
                    hint=f"type: chmod 600 {path}",
                )
            return file.read(SECRET_MAX_BYTES)
    except OSError as error:
        raise ConfigError(f"cannot read the key file {path}: {error.strerror}") from error
