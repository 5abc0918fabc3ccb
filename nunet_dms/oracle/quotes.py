"""Quotes in the database: capacity held for a few minutes."""

from __future__ import annotations

from dataclasses import dataclass, fields

from sqlalchemy import Connection, delete, func, insert, select, update

from nunet_dms.oracle.tables import quotes


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteRow:
    """A quote as it was given; `spec` and `request` are canonical JSON."""

    quote_id: str
    node_id: str
    requester: str
    cpu_mhz: int
    ram_mb: int
    disk_mb: int
    expires_s: int
    used: bool
    spec: str
    request: str


def add(db: Connection, quote: QuoteRow) -> None:
    """Store a new quote."""
    db.execute(insert(quotes).values({f.name: getattr(quote, f.name) for f in fields(quote)}))


def find(db: Connection, quote_id: str) -> QuoteRow | None:
    """Return the quote, or None."""
    row = db.execute(select(quotes).where(quotes.c.quote_id == quote_id)).first()
    return None if row is None else QuoteRow(**row._mapping)


def count_open(db: Connection, requester: str, now_s: float) -> int:
    """Return how many quotes hold capacity for this requester."""
    wanted = select(func.count()).where(
        quotes.c.requester == requester, ~quotes.c.used, quotes.c.expires_s > now_s
    )
    return db.execute(wanted).scalar_one()


def set_used(db: Connection, quote_id: str, *, used: bool) -> None:
    """Note that a job has taken the quote's place, or gives it back."""
    db.execute(update(quotes).where(quotes.c.quote_id == quote_id).values(used=used))


def remove_old(db: Connection, before_s: float) -> int:
    """Remove quotes that expired before that time, whether used or not; return how many."""
    return db.execute(delete(quotes).where(quotes.c.expires_s < before_s)).rowcount
