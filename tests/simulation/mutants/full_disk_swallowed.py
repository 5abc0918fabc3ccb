"""What finds no room in the journal is taken for written: the row in memory moves on alone."""

import sqlite3
from contextlib import suppress

from nunet_dms.node.journal_transaction import Transaction


def close(self: Transaction, _kind: object, error: BaseException | None, _trace: object) -> None:
    journal = self._journal
    try:
        if error is None:
            with suppress(sqlite3.OperationalError):
                journal._db.execute("COMMIT")
        if journal._db.in_transaction:
            journal._db.execute("ROLLBACK")
    finally:
        journal._lock.release()


CHANGES = ((Transaction, "__exit__", close),)
