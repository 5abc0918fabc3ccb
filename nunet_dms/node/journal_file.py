"""The journal's file: that it is ours, whole, and of the version that this program writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from nunet_dms.errors import NunetError
from nunet_dms.sql import queries

APPLICATION_ID = 1314213716  # "NUNT" in ASCII: tells our file from any other
USER_VERSION = 3
OLDEST_VERSION = 1
"""The worker brings an older file up to date; whoever only reads does so with a copy of it."""
BUSY_TIMEOUT_S = 10.0


class JournalError(NunetError):
    """The journal cannot be used."""


def statements() -> Mapping[str, str]:
    """Return the journal's queries by name."""
    return queries("nunet_dms.node", "schema.sql")


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open read-only; raises JournalError when there is none, or it is damaged or not ours.

    An older file, also one that a worker is just making, is read as it is at this moment.
    """
    if not path.exists():
        raise JournalError(f"cannot read the journal {path}: no worker has started yet")
    db = _connect(f"file:{path}?mode=ro", path)
    if _version(db) == USER_VERSION:
        return db
    with closing(db), trouble_told(path):
        return _copy_up_to_date(db)


@contextmanager
def trouble_told(path: Path) -> Iterator[None]:
    """Raise JournalError where SQLite cannot read the file, or what is in it makes no sense."""
    try:
        yield
    except sqlite3.ProgrammingError:  # our mistake, not the file's
        raise
    except sqlite3.OperationalError as error:  # locked for long, no memory, a disk that fails
        raise JournalError(f"cannot use the journal {path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise JournalError(f"cannot use the journal {path}: it is damaged: {error}") from error


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open, create or bring up to date; raises JournalError when damaged, foreign or newer."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    db = _connect(f"file:{path}", path, every_page=True)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    _bring_up_to_date(db)
    path.chmod(0o600)
    return db


def _copy_up_to_date(db: sqlite3.Connection) -> sqlite3.Connection:
    """Return what is in the file as our version has it, in memory, where nobody can write."""
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    copy.row_factory = sqlite3.Row
    db.backup(copy)
    _bring_up_to_date(copy)
    copy.execute("PRAGMA query_only = ON")
    return copy


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _bring_up_to_date(db: sqlite3.Connection) -> None:
    """Make the tables, or take an older file up to our version, in one transaction."""
    sql, version = statements(), _version(db)
    steps = ["schema"] if version == 0 else []
    steps += [f"to_version_{number}" for number in range(max(version, 1) + 1, USER_VERSION + 1)]
    if steps:
        script = "".join(f"{sql[step]}\n" for step in steps)
        db.executescript(f"BEGIN IMMEDIATE; {script} COMMIT;")


def _connect(uri: str, path: Path, *, every_page: bool = False) -> sqlite3.Connection:
    """Open a journal and see that it is one; `every_page` is for the worker, it takes longer."""
    with trouble_told(path):
        db = sqlite3.connect(
            uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            db.row_factory = sqlite3.Row
            _check_ours(db, path)
            damage = db.execute("PRAGMA quick_check(1)").fetchone()[0] if every_page else "ok"
            if damage != "ok":
                raise JournalError(f"cannot use the journal {path}: it is damaged: {damage}")
        except BaseException:
            db.close()
            raise
    return db


def _check_ours(db: sqlite3.Connection, path: Path) -> None:
    # One statement, so one moment: the worker may be making the file just now.
    application_id, version = db.execute(
        "SELECT application_id, user_version FROM pragma_application_id, pragma_user_version"
    ).fetchone()
    is_ours = application_id == APPLICATION_ID and OLDEST_VERSION <= version <= USER_VERSION
    if not is_ours and (application_id, version) != (0, 0):
        raise JournalError(
            f"cannot use the journal {path}: it is version {version} of application"
            f" {application_id:#x}, not ours"
        )
