"""Neither the job's id nor its ticket's is remembered: an offer that comes again is taken again."""

from collections.abc import Mapping

from nunet_dms.node.inbox import InboxHandler
from nunet_dms.node.journal import Journal
from nunet_dms.node.journal_reader import JournalReader
from nunet_dms.node.rows import Capacity
from nunet_dms.protocol.node import Offer

PLAIN_TAKE, PLAIN_ADMIT, PLAIN_FIND = InboxHandler._take_offer, Journal.admit, Journal.find
blind: list[bool] = []


def take_offer(self: InboxHandler, offer: Offer) -> None:
    blind.append(True)
    try:
        PLAIN_TAKE(self, offer)
    finally:
        blind.clear()


def find(self: Journal, job_id: str) -> object:
    if blind:
        blind.clear()
        return None
    return PLAIN_FIND(self, job_id)


def admit(self: Journal, row: Mapping[str, object], capacity: Capacity) -> None:
    with self._transaction:
        for table in ("event", "outbox", "job", "seen_ticket"):
            column = "ticket_id" if table == "seen_ticket" else "job_id"
            self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", (row[column],))  # noqa: S608
    PLAIN_ADMIT(self, row, capacity)


CHANGES = (
    (InboxHandler, "_take_offer", take_offer),
    (JournalReader, "find", find),
    (Journal, "admit", admit),
)
