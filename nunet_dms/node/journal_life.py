"""The lives of a journal: each opening by a worker is one, and ends clean or not.

They tell whether the file is the one that was here, and all of it. A small file beside the journal
holds the journal's id, so that another journal, an older copy or none at all is noticed. In the
main file stands `clean = 0` for as long as a worker has it open, and then its log (`-wal`) holds
something: where that is gone, so are the latest commits, and SQLite itself would say nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.node.journal_trouble import BEGIN_ANEW, JournalUnusableError
from nunet_dms.sql import queries
from nunet_dms.wholefile import failing_to, write_whole

SINCE_VERSION = 3
"""Older journals have no lives yet."""
ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Life:
    """The last opening of a journal by a worker, as its row `life` tells it."""

    journal_id: str
    boot_id: str
    opened_ms: int
    clean: bool


def statements() -> Mapping[str, str]:
    """Return the journal's queries by name."""
    return queries("nunet_dms.node", "schema.sql")


def id_file(path: Path) -> Path:
    """Return the file beside a journal that holds its id."""
    return path.with_suffix(".id")


def log_file(path: Path) -> Path:
    """Return where SQLite keeps what was committed and is not in the main file yet."""
    return path.with_name(f"{path.name}-wal")


def is_made(path: Path) -> bool:
    """Say whether there is a journal; raises JournalUnusableError where there was one."""
    size = _size(path)
    if not size and id_file(path).exists():
        raise _lost(path, "it is gone" if size is None else "it is empty")
    return size is not None


def check_whole(db: sqlite3.Connection, path: Path, version: int) -> Life | None:
    """Return the last life of an open journal of that version, None if it had none.

    Raises JournalUnusableError where it is another than was here, or its log was taken away.
    """
    known = _known_id(path)
    life = last_life(db) if version >= SINCE_VERSION else None
    if known is not None and (life is None or known not in {"", life.journal_id}):
        raise _lost(path, f"it is another than {id_file(path)} names")
    # Twice, since a worker may have closed it, or begun, while we looked.
    if life is not None and not life.clean and not _size(log_file(path)):  # noqa: SIM102
        if last_life(db) == life and not _size(log_file(path)):
            raise _lost(path, f"what was written last is gone with {log_file(path)}")
    return life


def last_life(db: sqlite3.Connection) -> Life | None:
    """Return the row `life`, None in a journal that no worker has opened."""
    row = db.execute(statements()["life"]).fetchone()
    return None if row is None else Life(row[0], row[1], row[2], bool(row[3]))


def begin(db: sqlite3.Connection, path: Path, former: Life | None, opened: tuple[int, str]) -> None:
    """Begin a life, `opened` in Unix milliseconds and in which boot; make the id file.

    The checkpoint takes `clean = 0` into the main file. It leaves the log as long as it is, so
    that from here on an empty log is one that was taken away.
    """
    journal_id = former.journal_id if former else os.urandom(ID_BYTES).hex()
    opened_ms, boot_id = opened
    values = {"journal_id": journal_id, "boot_id": boot_id, "opened_ms": opened_ms}
    db.execute(statements()["open_life"], values)
    db.execute("PRAGMA wal_checkpoint(FULL)")
    if _known_id(path) != journal_id:
        with failing_to("write", id_file(path)):
            write_whole(id_file(path), f"{journal_id}\n".encode())


def end(db: sqlite3.Connection) -> None:
    """End a life clean: the main file holds everything, and says so."""
    db.execute(statements()["close_life"])
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def leave(db: sqlite3.Connection, path: Path) -> None:
    """Close the file as a killed worker leaves it.

    Whoever closes it last, and may write, takes the log into the main file and removes it.
    """
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as last,
    ):
        with suppress(sqlite3.Error):
            last.execute("PRAGMA user_version").fetchone()
        db.close()


def _known_id(path: Path) -> str | None:
    """Return the id that stands beside a journal, None without one, empty if it is unreadable."""
    with failing_to("read", id_file(path)):
        try:
            text = id_file(path).read_bytes()[: 4 * ID_BYTES].decode("ascii", "replace").strip()
        except FileNotFoundError:
            return None
    is_id = len(text) == 2 * ID_BYTES and all(each in "0123456789abcdef" for each in text)
    return text if is_id else ""


def _size(path: Path) -> int | None:
    """Return a file's size in bytes, None if there is no such file."""
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def _lost(path: Path, why: str) -> JournalUnusableError:
    return JournalUnusableError(
        f"cannot use the journal {path}: {why}; jobs and pay would be forgotten", hint=BEGIN_ANEW
    )
