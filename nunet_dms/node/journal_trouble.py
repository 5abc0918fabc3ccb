"""What can be wrong with the journal, told apart by what helps."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


@contextmanager
def trouble_told(path: Path) -> Iterator[None]:
    """Raise JournalError where SQLite cannot read or write the file, or what is in it is broken.

    SQLite's error codes reach Python from 3.11 on only; before, its words tell them apart.
    """
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):  # our mistake, not the file's
        raise
    except sqlite3.OperationalError as error:
        words = str(error)
        kind = next((kind for part, kind in _KINDS.items() if part in words), JournalError)
        raise kind(f"cannot use the journal {path}: {words}", hint=_HINTS[kind]) from error
    except sqlite3.DatabaseError as error:
        raise JournalUnusableError(
            f"cannot use the journal {path}: it is damaged: {error}", hint=BEGIN_ANEW
        ) from error


_KINDS: dict[str, type[JournalError]] = {
    "disk is full": JournalFullError,  # SQLITE_FULL
    "readonly database": JournalReadOnlyError,  # SQLITE_READONLY
}
_HINTS: dict[type[JournalError], str] = {
    JournalError: "look at its disk, and at what else has the file open",
    JournalFullError: "make room on its file system",
    JournalReadOnlyError: "its file system must be writable, and the file yours",
}
