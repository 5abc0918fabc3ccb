"""The worker's lock: `flock` held for life is the only proof that a worker runs."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import MutableMapping
from pathlib import Path

from nunet_dms.errors import ConfigError, ExitCode, NunetError

TRIES = 5
TRY_EVERY_S = 0.05
LOCK_VARIABLE = "NUNET_LOCK_FD"
"""Tells a process that starts again, by exec, under which number it still holds the lock."""
PID_MAX_CHARS = 32


class AlreadyRunningError(NunetError):
    """Another worker holds the lock."""

    exit_code = ExitCode.ALREADY_RUNNING


class WorkerLock:
    """Held until the process ends, however it ends; it may be handed on over an exec."""

    def __init__(self, path: Path, environ: MutableMapping[str, str] = os.environ) -> None:
        """Take the lock, or keep the one that was handed on.

        Raises AlreadyRunningError if another process holds it. No child learns of it: the
        variable is taken out of the environment.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        kept = _kept(path, environ.pop(LOCK_VARIABLE, ""))
        self._file = _taken(path) if kept is None else kept
        ours = f"{os.getpid()}\n".encode()
        if os.pread(self._file, PID_MAX_CHARS, 0) != ours:  # no reader finds it empty in between
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, ours, 0)

    def hand_on(self, environ: MutableMapping[str, str] = os.environ) -> None:
        """Let the lock outlive an exec with this environment.

        It belongs to the open file, not to the process (flock(2)): nobody else can take it in
        between, and `holder` names the same process throughout.
        """
        os.set_inheritable(self._file, True)
        environ[LOCK_VARIABLE] = str(self._file)

    def release(self) -> None:
        """Give the lock back; the file stays."""
        os.close(self._file)


def _kept(path: Path, number: str) -> int | None:
    """Return the open file of that number if it is our lock, held; None otherwise."""
    if not (number.isascii() and number.isdecimal() and len(number) < 8):
        return None
    file = int(number)
    try:
        if not os.path.samestat(os.fstat(file), path.stat()):
            return None
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # changes nothing if it is held already
        os.set_inheritable(file, False)
    except OSError:
        return None  # closed, or another worker's
    return file


def _taken(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    # Try a few times: `holder` holds a shared lock for the microseconds that it looks.
    for _ in range(TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            threading.Event().wait(TRY_EVERY_S)
        else:
            return file
    os.close(file)
    raise AlreadyRunningError(f"cannot start: a worker (process {holder(path)}) is running already")


def holder(path: Path) -> int | None:
    """Return the process id of the worker that holds the lock, or None when it is free.

    Raises ConfigError where only another user may look.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        raise ConfigError(
            f"cannot tell whether a worker runs: {path} is not yours to read",
            hint="use sudo, or --user for your own",
        ) from None
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        text = os.pread(file, PID_MAX_CHARS, 0).strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(file)
    return None
