"""Room for the journal: a ballast to throw overboard, and a mark below which no jobs are taken.

On a full disk SQLite cannot even delete or check out what it has written; so a file of real bytes
lies beside the journal, and goes when there is no room. What a step could not write then is asked
for again: each of its outcomes may be lost, as in a crash.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.node.journal_trouble import (
    JournalError,
    JournalFullError,
    JournalReadOnlyError,
    Told,
    meaning_of,
)
from nunet_dms.protocol.job import MB

log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
"""Between two looks at the room there is."""
PROBE_NAME = ".is-writable"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much room is kept, in bytes and in files."""

    ballast_bytes: int = 16 * MB
    """SQLite's log is taken into the main file at 4 MiB, which may grow by as much: twice that,
    and as much again for results and receipts."""
    low_water_bytes: int = 64 * MB
    """Free below this, no new jobs: the log of one that runs may still grow by so much. What jobs
    write besides has a limit of its own, and the disk that they live on a higher mark."""
    low_water_files: int = 256
    """The same in files, where a file system has a fixed number: a job makes some ten."""
    opening_bytes: int = MB
    """Free below this, the ballast goes before the journal is opened: its log and index are made
    then, and the journal may have to be brought up to date."""


class Storage:
    """The file system on which a journal lies."""

    def __init__(self, journal: Path, sizes: Sizes = Sizes()) -> None:
        self.trouble = ""
        """Why new jobs would find no room, in words; empty while they would."""
        self._journal = journal
        self._folder = journal.parent
        self._ballast = journal.with_suffix(".ballast")
        self._sizes = sizes
        self._keeps_ballast = False
        self._is_shut = False
        self._next_look_s = 0.0
        self.told = Told(self.meaning_of)
        """A context which raises the JournalError that tells why something could not be written."""

    def make_way(self) -> None:
        """Before the journal is opened: let the ballast go where there is hardly any room."""
        if self._ballast.exists() and self._free()[0] < self._sizes.opening_bytes:
            self._let_go()

    def keep_ballast(self) -> None:
        """From now on have a ballast, made as soon as there is room enough beside it."""
        self._keeps_ballast = True
        self._measure()

    def look(self, now_s: float) -> None:
        """See now and then whether there is room; `now_s` is monotonic.

        Raises JournalError when what could not be written can be again: what the journal holds is
        not known then, and it is to be opened anew.
        """
        if now_s < self._next_look_s:
            return
        self._next_look_s = now_s + LOOK_EVERY_S
        if not self._is_shut:
            self._measure()
        elif not self._is_read_only():
            raise JournalError(f"{self._words()} can be written again; the journal is opened anew")

    def survives(self, work: Callable[[], None]) -> bool:
        """Do some work of a step; False if it found no room, so that it is to be done again."""
        try:
            work()
        except Exception as error:
            told = self.meaning_of(error)
            if isinstance(told, JournalFullError):
                self._note_trouble(f"{self._words()} is full", told)
                self._let_go()
            elif isinstance(told, JournalReadOnlyError):
                self._is_shut = True
                self._note_trouble(f"{self._words()} is read-only", told)
            elif told is None or told is error:
                raise
            else:
                raise told from error
            return False
        return True

    def meaning_of(self, error: Exception) -> JournalError | None:
        """Return why something could not be written here; None where an error does not tell."""
        if isinstance(error, OSError):
            kind = _KINDS.get(error.errno or 0)
            words = f"cannot write {error.filename or self._folder}: {error}"
            return None if kind is None else kind(words)
        told = error if isinstance(error, JournalError) else meaning_of(error, self._journal)
        if type(told) is JournalError and self._is_read_only():
            words = f"cannot use the journal {self._journal}: {self._words()} is read-only"
            return JournalReadOnlyError(words, hint="make it writable again")
        return told

    def _measure(self) -> None:
        """Take or give up `trouble`, and make the ballast anew where there is room for it."""
        free_bytes, free_files = self._free()
        lacks_ballast = self._keeps_ballast and not self._has_ballast()
        needed = self._sizes.low_water_bytes + lacks_ballast * self._sizes.ballast_bytes
        words = ""
        if free_bytes < needed:
            words = f"{free_bytes // MB} MB free, {needed // MB} MB are needed"
        elif free_files is not None and free_files < self._sizes.low_water_files:
            words = f"room for {free_files} files, {self._sizes.low_water_files} are needed"
        elif lacks_ballast:
            words = self._fill()
        if bool(words) is not bool(self.trouble):
            self.trouble = f"{self._words()} has {words}" if words else ""
            log.warning("storage_changed trouble=%s", self.trouble or "none")

    def _fill(self) -> str:
        """Make the ballast of real bytes; returns why that cannot be done, or nothing."""
        try:
            file = os.open(self._ballast, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(file, 0, self._sizes.ballast_bytes)
            finally:
                os.close(file)
        except OSError as error:
            self._let_go()
            return f"no room for {self._ballast}: {error.strerror}"
        return ""

    def _has_ballast(self) -> bool:
        try:
            return self._ballast.stat().st_size >= self._sizes.ballast_bytes
        except FileNotFoundError:
            return False

    def _let_go(self) -> None:
        with suppress(OSError):  # on a read-only or failing disk it stays
            self._ballast.unlink(missing_ok=True)

    def _note_trouble(self, words: str, error: JournalError) -> None:
        if words != self.trouble:
            log.error("storage_trouble %s: %s", words, error)
        self.trouble = words

    def _free(self) -> tuple[int, int | None]:
        """Return how many bytes are free, and for how many files there is room (None: no limit)."""
        try:
            found = os.statvfs(self._folder)
        except OSError as error:
            raise JournalError(f"cannot look at {self._folder}: {error.strerror}") from error
        return found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None

    def _is_read_only(self) -> bool:
        """Try it out: a file system that an error has shut does not say so of itself."""
        probe = self._folder / PROBE_NAME
        try:
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            probe.unlink()
        except OSError as error:
            return error.errno == errno.EROFS
        return False

    def _words(self) -> str:
        """Name the file system by where it is mounted."""
        folder = self._folder.resolve()
        mount = next((each for each in (folder, *folder.parents) if each.is_mount()), folder)
        return f"the file system at {mount}, with {self._folder},"


_KINDS: dict[int, type[JournalError]] = {
    errno.ENOSPC: JournalFullError,
    errno.EDQUOT: JournalFullError,
    errno.EROFS: JournalReadOnlyError,
}
