"""The ledger of missed work: which jobs a node did not get, why, and what they would have paid.

Counted by the hour. The same job asked for again by the same requester counts once an hour for a
node and a reason.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from nunet_dms.oracle.matching import Miss
from nunet_dms.oracle.tables import missed_asks, missed_work
from nunet_dms.protocol import strict
from nunet_dms.protocol.bounds import MAX_SAFE
from nunet_dms.protocol.node import MissedWork

HOUR_S = 3600
WINDOW_HOURS = 24
"""What a node is told of: the present hour and the 23 before it."""
KEPT_HOURS = 7 * 24
ASKS_KEPT_MAX = 500_000
"""Rows, some 100 MB: more misses in one hour are not counted. Asking costs nothing but a wallet."""


def record(
    db: Connection, requester: str, spec_hash: str, found: tuple[Miss, ...], now_s: float
) -> None:
    """Count what nodes missed by one quote; what this hour has counted already is left out."""
    hour = _hour(now_s)
    ask = strict.digest(f"{requester} {spec_hash}".encode())[:32]
    here = (missed_asks.c.hour == hour, missed_asks.c.ask == ask)
    known = {
        (node_id, reason)
        for node_id, reason in db.execute(
            select(missed_asks.c.node_id, missed_asks.c.reason).where(*here)
        )
    }
    new = [miss for miss in found if (miss.node_id, miss.reason) not in known]
    if not new or _asks(db) + len(new) > ASKS_KEPT_MAX:
        return
    db.execute(
        insert(missed_asks),
        [
            {"hour": hour, "ask": ask, "node_id": miss.node_id, "reason": miss.reason}
            for miss in new
        ],
    )
    added = upsert(missed_work)
    db.execute(
        added.on_conflict_do_update(
            index_elements=list(missed_work.primary_key),
            set_={
                "count": missed_work.c.count + added.excluded["count"],
                "would_pay": func.min(missed_work.c.would_pay + added.excluded.would_pay, MAX_SAFE),
            },
        ),
        [
            {
                "node_id": miss.node_id,
                "hour": hour,
                "reason": miss.reason,
                "count": 1,
                "would_pay": min(miss.would_pay, MAX_SAFE),
            }
            for miss in new
        ],
    )


def of_node(db: Connection, node_id: str, now_s: float) -> tuple[MissedWork, ...]:
    """Return what a node missed in the last 24 hours, by reason, the dearest first."""
    rows = db.execute(
        select(
            missed_work.c.reason, func.sum(missed_work.c.count), func.sum(missed_work.c.would_pay)
        )
        .where(missed_work.c.node_id == node_id, missed_work.c.hour > _hour(now_s) - WINDOW_HOURS)
        .group_by(missed_work.c.reason)
    )
    found = [
        MissedWork(reason=reason, count=count, would_pay=min(would_pay, MAX_SAFE))
        for reason, count, would_pay in rows
    ]
    return tuple(sorted(found, key=lambda work: (-work.would_pay, work.reason)))


def remove_old(db: Connection, now_s: float) -> None:
    """Remove what is older than a week, and who asked for what in hours gone by."""
    hour = _hour(now_s)
    db.execute(delete(missed_work).where(missed_work.c.hour < hour - KEPT_HOURS))
    db.execute(delete(missed_asks).where(missed_asks.c.hour < hour))


def _hour(now_s: float) -> int:
    return int(now_s) // HOUR_S


def _asks(db: Connection) -> int:
    """Return how many rows there are: they are numbered in turn, and removed from the first on."""
    ends = [
        db.execute(select(end(missed_asks.c.seq))).scalar() or 0 for end in (func.min, func.max)
    ]
    return ends[1] - ends[0] + 1
