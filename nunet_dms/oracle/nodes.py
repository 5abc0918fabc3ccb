"""Nodes in the database: who they are, what they sell, when they were last heard."""

from __future__ import annotations

from dataclasses import dataclass, fields

from sqlalchemy import Connection, Row, Select, insert, select, update

from nunet_dms.oracle.tables import nodes
from nunet_dms.protocol.quote import PriceList

LIVE_FOR_MS = 45_000
"""A node unheard for longer gets no quotes; it speaks every few seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """A registered node."""

    node_id: str
    public_key: str
    settlement_key_hash: str
    wallet: str
    cpu_mhz: int
    ram_mb: int
    disk_mb: int
    per_ghz_hour: int
    per_ram_gb_hour: int
    per_gpu_hour: int
    issued_s: int
    accepting: bool
    seen_ms: int
    registration: str
    """The sealed registration, as it came."""

    @property
    def price(self) -> PriceList:
        """The node's own price list."""
        return PriceList(
            per_ghz_hour=self.per_ghz_hour,
            per_ram_gb_hour=self.per_ram_gb_hour,
            per_gpu_hour=self.per_gpu_hour,
        )


def find(db: Connection, node_id: str) -> NodeRow | None:
    """Return the node, or None."""
    row = db.execute(select(nodes).where(nodes.c.node_id == node_id)).first()
    return None if row is None else _node(row)


def put(db: Connection, node: NodeRow) -> None:
    """Store a node's registration, or replace it."""
    values = {field.name: getattr(node, field.name) for field in fields(node)}
    changed = db.execute(update(nodes).where(nodes.c.node_id == node.node_id).values(values))
    if changed.rowcount == 0:
        db.execute(insert(nodes).values(values))


def seen(db: Connection, node_id: str, at_ms: int, *, accepting: bool) -> bool:
    """Note that the node spoke; returns False for a node that is not registered."""
    changed = db.execute(
        update(nodes).where(nodes.c.node_id == node_id).values(seen_ms=at_ms, accepting=accepting)
    )
    return changed.rowcount == 1


def live(db: Connection, now_ms: int) -> tuple[NodeRow, ...]:
    """Return the nodes that were heard lately, whether they take jobs or not."""
    rows = db.execute(select(nodes).where(nodes.c.seen_ms >= now_ms - LIVE_FOR_MS))
    return tuple([_node(row) for row in rows])


def live_ids(now_ms: int) -> Select[tuple[str]]:
    """Return the query for the ids of the nodes that `live` returns."""
    return select(nodes.c.node_id).where(nodes.c.seen_ms >= now_ms - LIVE_FOR_MS)


def _node(row: Row[tuple[object, ...]]) -> NodeRow:
    return NodeRow(**row._mapping)
