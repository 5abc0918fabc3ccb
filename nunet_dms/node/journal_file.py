"""The journal's file: that it is ours, whole, and of the version that this program writes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from nunet_dms.node.journal_life import Life, begin, check_whole, is_made, leave, statements
from nunet_dms.node.journal_trouble import (
    BEGIN_ANEW,
    JournalError,
    JournalUnusableError,
    trouble_told,
)
from nunet_dms.wholefile import failing_to

APPLICATION_ID = 1314213716  # "NUNT" in ASCII: tells our file from any other
USER_VERSION = 3
OLDEST_VERSION = 1
"""The worker brings an older file up to date; whoever only reads does so with a copy of it."""
BUSY_TIMEOUT_S = 10.0


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open read-only; raises JournalError when there is none, or it is not what it should be.

    An older file, also one that a worker is just making, is read as it is at this moment.
    """
    if not is_made(path):
        raise JournalError(f"cannot read the journal {path}: no worker has started yet")
    db = _connect(f"file:{path}?mode=ro", path)
    try:
        with trouble_told(path):
            version = _version(db)
            check_whole(db, path, version)
            if version == USER_VERSION:
                return db
            copy = _copy_up_to_date(db)
    except BaseException:
        db.close()
        raise
    db.close()
    return copy


def check_every_page(path: Path) -> None:
    """Read every page, as a worker does before it starts; raises JournalUnusableError."""
    _connect(f"file:{path}?mode=ro", path, every_page=True).close()


def open_as_it_is(path: Path) -> sqlite3.Connection:
    """Open read-only what there is, be it not all that was here; raises JournalError."""
    return _connect(f"file:{path}?mode=ro", path)


def open_to_write(path: Path, opened: tuple[int, str]) -> tuple[sqlite3.Connection, Life | None]:
    """Open, create or bring up to date, and begin a life; returns the life before it, if any.

    `opened` is the time, in Unix milliseconds, and the boot. Raises JournalUnusableError when the
    file is damaged, foreign, newer, lost or cut short, and another JournalError when it cannot be
    written now.
    """
    is_made(path)  # raises where one was lost
    with failing_to("make", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    db = _connect(f"file:{path}", path, every_page=True)
    try:
        with trouble_told(path):
            former = check_whole(db, path, _version(db))
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
            _bring_up_to_date(db)
            begin(db, path, former, opened)
        with failing_to("shut away", path):
            path.chmod(0o600)
    except BaseException:
        leave(db, path)
        raise
    return db, former


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
                raise JournalUnusableError(
                    f"cannot use the journal {path}: it is damaged: {damage}", hint=BEGIN_ANEW
                )
        except BaseException:
            leave(db, path)
            raise
    return db


def _check_ours(db: sqlite3.Connection, path: Path) -> None:
    # One statement, so one moment: the worker may be making the file just now.
    application_id, version, tables = db.execute(
        "SELECT application_id, user_version, (SELECT COUNT(*) FROM sqlite_schema)"
        " FROM pragma_application_id, pragma_user_version"
    ).fetchone()
    is_new = (application_id, version, tables) == (0, 0, 0)
    if is_new or (application_id == APPLICATION_ID and OLDEST_VERSION <= version <= USER_VERSION):
        return
    is_newer = application_id == APPLICATION_ID and version > USER_VERSION
    raise JournalUnusableError(
        f"cannot use the journal {path}: it is version {version} of application"
        f" {application_id:#x}, not ours",
        hint="a newer nunet-dms wrote it: install that one again" if is_newer else BEGIN_ANEW,
    )
