"""What finds no room in the journal is taken for written: the row in memory moves on alone."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from nunet_dms.node.journal import Journal


@contextmanager
def transaction(self: Journal) -> Iterator[None]:
    with self._lock:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            with suppress(sqlite3.OperationalError):
                self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


CHANGES = ((Journal, "_transaction", transaction),)
