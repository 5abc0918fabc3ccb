"""The disk of the simulation: it can be full, and the process can die between any two writes."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from nunet_dms.node.storage import Storage
from tests.simulation.faults import Faults
from tests.simulation.virtual import Crash

T = TypeVar("T")
RARE_WRITERS = frozenset({"ended", "parked", "reported", "signed", "settled"})
TRIES_AT_RARE = 2


def on_this_disk(
    faults: Faults, write: Callable[[Path, bytes], None]
) -> Callable[[Path, bytes], None]:
    """Return `write_whole` on a disk that can be full, in a process that can die.

    One that dies in the middle leaves the file's temporary name behind.
    """

    def write_whole(path: Path, content: bytes) -> None:
        name = path.name if path.suffix == ".json" and len(path.stem) < 32 else "a file"
        faults.point(f"before writing {name}")
        if faults.disk_is_full:
            raise NoRoomError(errno.ENOSPC, "No space left on device", str(path))
        try:
            faults.point(f"while writing {name}")
        except Crash:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(f".{path.name}.{'0' * 8}").write_bytes(content[: len(content) // 2])
            raise
        write(path, content)
        faults.point(f"after writing {name}")

    return write_whole


def taken_on_this_disk(faults: Faults, take: Callable[..., T]) -> Callable[..., T]:
    """Return `snapshot.take`, which copies, on such a disk and in such a process."""

    def take_here(*arguments: object) -> T:
        faults.point("before a snapshot")
        if faults.disk_is_full:
            raise NoRoomError(errno.ENOSPC, "No space left on device")
        found = take(*arguments)
        faults.point("after a snapshot")
        return found

    return take_here


class NoRoomError(OSError):
    """What a full disk of the simulation says."""

    is_simulated = True


class LogDisk:
    """What the log's pump takes for the module `os`: a disk that can be full, a sudden death."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)

    def pwrite(self, file: int, data: bytes, at: int) -> int:
        """Write all of it, nothing, or half of it as the last thing that is done."""
        if self._faults.disk_is_full:
            raise NoRoomError(errno.ENOSPC, "No space left on device")
        try:
            self._faults.point("while writing the log")
        except Crash:
            os.pwrite(file, data[: len(data) // 2], at)
            raise
        return os.pwrite(file, data, at)


class Room(Storage):
    """The journal's room on the disk of the simulation; its ballast is small."""

    def __init__(self, journal: Path, faults: Faults) -> None:
        super().__init__(journal)
        self.faults = faults

    def make_way(self) -> None:
        """Let the ballast go on a full disk."""
        if self.faults.disk_is_full:
            self._let_go()

    def _free(self) -> tuple[int, int | None]:
        return (0 if self.faults.disk_is_full else 1 << 40), None

    def _has_ballast(self) -> bool:
        return self.faults.has_ballast

    def _fill(self) -> str:
        self.faults.has_ballast = True
        return ""

    def _let_go(self) -> None:
        if self.faults.has_ballast:
            self.faults.room = self.faults.ballast_commits
        self.faults.has_ballast = False

    def _words(self) -> str:
        return "the disk"


class JournalConnection:
    """The journal's connection to SQLite on a disk that can be full, in a process that can die."""

    def __init__(self, db: sqlite3.Connection, faults: Faults) -> None:
        self._db = db
        self._faults = faults

    def __getattr__(self, name: str) -> object:
        return getattr(self._db, name)

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        """Run a statement; a commit may be the last thing that happens, or not happen."""
        if sql != "COMMIT":
            return self._db.execute(sql, *values)
        faults = self._faults
        faults.point("before a commit")
        if faults.disk_is_full and not faults.takes_room():
            self._db.execute("ROLLBACK")  # as SQLite does when it cannot write
            raise sqlite3.OperationalError("database or disk is full")
        done = self._db.execute(sql)
        if faults.plan.crash_rate:
            self._after_commit(writer_of_journal())
        return done

    def _after_commit(self, writer: str) -> None:
        """Die more often where a history comes by once."""
        for _ in range(TRIES_AT_RARE if writer in RARE_WRITERS else 1):
            self._faults.point(f"after the commit of {writer}")


def writer_of_journal() -> str:
    """Return the name of the journal's method that is being carried out."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        code = frame.f_code
        is_journal = code.co_filename.endswith("/journal.py") or "/mutants/" in code.co_filename
        if is_journal and not code.co_name.startswith("_"):
            return code.co_name
        frame = frame.f_back
    return "something"
