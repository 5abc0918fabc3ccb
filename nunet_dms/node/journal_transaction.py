"""A transaction of the journal, as a context."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nunet_dms.node.journal import Journal


class Transaction:
    """All that is written in it, or nothing; one at a time, and none within another.

    Raises JournalError where it cannot begin or commit, or where a statement in it could not be
    carried out.
    """

    __slots__ = ("_journal",)

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __enter__(self) -> None:
        """Wait for the one before it to end, and begin."""
        journal = self._journal
        journal._lock.acquire()
        try:
            with journal.storage.told:
                journal._db.execute("BEGIN IMMEDIATE")
        except BaseException:
            journal._lock.release()
            raise

    def __exit__(
        self, _kind: object, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Commit, or roll back and raise what went wrong: here, or within the transaction."""
        journal = self._journal
        try:
            with journal.storage.told:
                self._close(error)
        finally:
            journal._lock.release()

    def _close(self, error: BaseException | None) -> None:
        db = self._journal._db
        try:
            if error is not None:
                raise error
            db.execute("COMMIT")
        finally:
            if db.in_transaction:  # a full or failing disk may have ended it already
                db.execute("ROLLBACK")
