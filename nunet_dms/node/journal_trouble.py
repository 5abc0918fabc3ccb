"""What can be wrong with the journal, told apart by what helps."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from nunet_dms.errors import NunetError

BEGIN_ANEW = "put back a whole copy of it, or begin anew with: nunet worker set-aside"


class JournalError(NunetError):
    """The journal cannot be used; its disk fails, or somebody keeps the file locked."""


class JournalFullError(JournalError):
    """There is no room for the journal, or for what is to lie beside it."""


class JournalReadOnlyError(JournalError):
    """Nothing can be written where the journal lies."""


class JournalUnusableError(JournalError):
    """The journal is damaged, foreign, newer, or not all that it was: trying again helps nobody."""


class Told:
    """A context that raises what an error in it means; `meaning` says None of all others.

    It may be entered often, and again within itself.
    """

    __slots__ = ("_meaning",)

    def __init__(self, meaning: Callable[[Exception], JournalError | None]) -> None:
        self._meaning = meaning

    def __enter__(self) -> None:
        """Watch what comes."""

    def __exit__(
        self, _kind: object, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Raise what an error means; what means nothing goes on as it is."""
        if isinstance(error, Exception):
            told = self._meaning(error)
            if told is not None and told is not error:
                raise told from error


def trouble_told(path: Path) -> Told:
    """Raise JournalError where SQLite cannot read or write the file, or what is in it is broken."""
    return Told(lambda error: meaning_of(error, path))


def meaning_of(error: Exception, path: Path) -> JournalError | None:
    """Return what an error says of the file; None where it is our mistake, or not SQLite's.

    SQLite's error codes reach Python from 3.11 on only; before, its words tell them apart.
    """
    is_ours = isinstance(error, sqlite3.ProgrammingError | sqlite3.IntegrityError)
    if is_ours or not isinstance(error, sqlite3.DatabaseError):
        return None
    words = str(error)
    if isinstance(error, sqlite3.OperationalError):
        kind = next((kind for part, kind in _KINDS.items() if part in words), JournalError)
        return kind(f"cannot use the journal {path}: {words}", hint=_HINTS[kind])
    return JournalUnusableError(
        f"cannot use the journal {path}: it is damaged: {words}", hint=BEGIN_ANEW
    )


_KINDS: dict[str, type[JournalError]] = {
    "disk is full": JournalFullError,  # SQLITE_FULL
    "readonly database": JournalReadOnlyError,  # SQLITE_READONLY
}
_HINTS: dict[type[JournalError], str] = {
    JournalError: "look at its disk, and at what else has the file open",
    JournalFullError: "make room on its file system",
    JournalReadOnlyError: "its file system must be writable, and the file yours",
}
