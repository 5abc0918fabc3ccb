"""The worker's lock: `flock` held for life is the only proof that a worker runs."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

from nunet_dms.errors import NunetError

TRIES = 5
TRY_EVERY_S = 0.05


class AlreadyRunningError(NunetError):
    """Another worker holds the lock."""


class WorkerLock:
    """Held until the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock; raises AlreadyRunningError if another process holds it."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not self._take():
            os.close(self._file)
            raise AlreadyRunningError(
                f"cannot start: a worker (process {holder(path)}) is running already"
            )
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def _take(self) -> bool:
        """Try a few times: `holder` holds a shared lock for the microseconds that it looks."""
        for _ in range(TRIES):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                threading.Event().wait(TRY_EVERY_S)
            else:
                return True
        return False

    def release(self) -> None:
        """Give the lock back; the file stays."""
        os.close(self._file)


def holder(path: Path) -> int | None:
    """Return the process id of the worker that holds the lock, or None when it is free."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        text = os.pread(file, 32, 0).strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(file)
    return None
