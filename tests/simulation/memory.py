"""The journal's file in memory: real SQLite and the real schema, without what a disk costs.

A crash leaves what was committed, as on a disk whose process is killed. What only a file can have
(an id beside it, a log that is taken away, damaged pages) has tests of its own.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from nunet_dms.node import journal
from nunet_dms.node.journal_file import _bring_up_to_date
from nunet_dms.node.journal_life import Life, last_life, statements

JOURNAL_ID = "0" * 32


class MemoryFile:
    """One file for many histories: made once, and emptied before each."""

    def __init__(self) -> None:
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        _bring_up_to_date(self._db)
        self._db.execute("PRAGMA foreign_keys = ON")
        for cost in ("synchronous", "secure_delete"):  # for disks, and for those who read them
            self._db.execute(f"PRAGMA {cost} = OFF")
        tables = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid DESC"
        names = self._db.execute(tables).fetchall()  # who refers to others comes after them
        self._clear = [f"DELETE FROM {name}" for (name,) in names]  # noqa: S608 - our own names
        self.changes: tuple[tuple[object, str, object], ...] = (
            (journal, "open_to_write", self._open),
            (journal, "end", self._end),
            (journal, "leave", self._leave),
        )
        """What is to be replaced for a history: module, name, value."""

    def clear(self) -> None:
        """Forget everything."""
        self._db.execute("BEGIN")
        for sql in self._clear:
            self._db.execute(sql)
        self._db.execute("COMMIT")

    def _open(self, _path: Path, opened: tuple[int, str]) -> tuple[sqlite3.Connection, Life | None]:
        """Do what `journal_file.open_to_write` does with a file that is whole."""
        former, (opened_ms, boot_id) = last_life(self._db), opened
        values = {"journal_id": JOURNAL_ID, "boot_id": boot_id, "opened_ms": opened_ms}
        self._db.execute(statements()["open_life"], values)
        return self._db, former

    def _end(self, db: sqlite3.Connection) -> None:
        db.execute(statements()["close_life"])

    def _leave(self, db: sqlite3.Connection, _path: Path) -> None:
        """Nothing stays of what a killed worker did not commit."""
        if db.in_transaction:
            db.execute("ROLLBACK")
