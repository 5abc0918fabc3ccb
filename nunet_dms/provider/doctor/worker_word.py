"""What the running worker last said of itself, from its lock and its journal."""

from __future__ import annotations

from dataclasses import dataclass

from nunet_dms.errors import MalformedError, NunetError
from nunet_dms.node.journal_file import check_every_page
from nunet_dms.node.journal_life import is_made
from nunet_dms.node.journal_reader import JournalReader
from nunet_dms.node.lock import holder
from nunet_dms.node.rows import WorkerRow
from nunet_dms.paths import Paths
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import OracleInfo


@dataclass(frozen=True, slots=True)
class WorkerWord:
    """The process that holds the lock (None: none), its last word, and the journal's pinned key.

    `row` is None where that very process has not spoken yet; `problem` says why the journal cannot
    be read.
    """

    pid: int | None = None
    row: WorkerRow | None = None
    pinned_key: str = ""
    problem: str = ""


def read_worker_word(where: Paths) -> WorkerWord:
    """Return what is known of the worker; raises nothing."""
    pid = holder(where.lock_file)
    try:
        if not is_made(where.journal):
            return WorkerWord(pid)
        check_every_page(where.journal)
        with JournalReader(where.journal) as journal:
            row, pin = journal.worker(), journal.pin()
    except PermissionError:  # another user's; what is said of its folder tells that
        return WorkerWord(pid)
    except NunetError as error:
        return WorkerWord(pid, problem=str(error))
    is_its_own = row is not None and row.pid == pid
    return WorkerWord(pid, row if is_its_own else None, _key_in(pin))


def _key_in(pin: tuple[str, bytes] | None) -> str:
    if pin is None:
        return ""
    try:
        return strict.decode(OracleInfo, pin[1]).ticket_key
    except MalformedError:  # another version's words: the worker will say so
        return ""
