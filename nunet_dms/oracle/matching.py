"""Match a job with the nodes: who has room at what price, who gets it, and why others do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Table, func, select

from nunet_dms.errors import CapacityError, RefusedError
from nunet_dms.oracle import machines, nodes
from nunet_dms.oracle.nodes import NodeRow
from nunet_dms.oracle.states import HOLDS_CAPACITY
from nunet_dms.oracle.tables import jobs as jobs_table
from nunet_dms.oracle.tables import quotes as quotes_table
from nunet_dms.protocol import platform as platforms
from nunet_dms.protocol.node import MissedReason
from nunet_dms.protocol.quote import QuoteLine, price_lines
from nunet_dms.protocol.submission import QuoteRequest


@dataclass(frozen=True, slots=True)
class Room:
    """What a node could still take, or what a job asks for."""

    cpu_mhz: int
    ram_mb: int
    disk_mb: int

    def __sub__(self, taken: Room) -> Room:
        """Return what is left without `taken`; negative where more is taken than there is."""
        return Room(
            self.cpu_mhz - taken.cpu_mhz, self.ram_mb - taken.ram_mb, self.disk_mb - taken.disk_mb
        )

    def short_of(self, wanted: Room) -> MissedReason | None:
        """Return the first resource that `wanted` has more of; None when it fits."""
        if self.cpu_mhz < wanted.cpu_mhz:
            return "cpu"
        if self.ram_mb < wanted.ram_mb:
            return "ram"
        return "disk" if self.disk_mb < wanted.disk_mb else None

    def __str__(self) -> str:
        """Return the room in words."""
        return f"{self.cpu_mhz} MHz, {self.ram_mb} MB RAM, {self.disk_mb} MB disk"


NO_ROOM = Room(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A live node, paused or not, with its free room and its price for the job."""

    node: NodeRow
    room: Room
    lines: tuple[QuoteLine, ...]

    @property
    def price(self) -> int:
        """Base units for the whole time limit."""
        return sum(line.amount for line in self.lines)


@dataclass(frozen=True, slots=True)
class Miss:
    """A job that a node did not get: why, and what it would have paid."""

    node_id: str
    reason: MissedReason
    would_pay: int


def candidates(db: Connection, wanted: QuoteRequest, now_s: float) -> tuple[Candidate, ...]:
    """Return every live node, or the wanted one, with its free room and price."""
    live = nodes.live(db, int(now_s * 1000))
    held, running = _held(db, now_s), _running(db, now_s)
    return tuple(
        [
            Candidate(
                node,
                Room(node.cpu_mhz, node.ram_mb, node.disk_mb)
                - held.get(node.node_id, NO_ROOM)
                - running.get(node.node_id, NO_ROOM),
                price_lines(node.price, wanted.spec.resources, wanted.spec.time_limit_s),
            )
            for node in live
            if wanted.node_id in (None, node.node_id)
        ]
    )


def best(found: tuple[Candidate, ...], wanted: QuoteRequest) -> Candidate | None:
    """Return the cheapest node with room; among equals the one with most room, then by id.

    None when every node is paused, has too little room, costs more than the requester's limit or
    is not of the platform from whose checkpoint the job goes on.
    """
    return next((each for each in _ranked(found, wanted) if misfit(each, wanted) is None), None)


def misfit(candidate: Candidate, wanted: QuoteRequest) -> str | None:
    """Say why a job cannot go on from its checkpoint on this node; None if it can."""
    resume = wanted.spec.resume
    if resume is None:
        return None
    platform = machines.known_platform(candidate.node.registration)
    if platform is None:
        return "this node has not told what it is"
    return platforms.misfit(resume.platform, platform)


def why_none(
    found: tuple[Candidate, ...], wanted: QuoteRequest, show: Callable[[int], str] = str
) -> CapacityError | RefusedError:
    """Return the error that says why `best` found none; `show` writes an amount for people."""
    asked = _asked(wanted)
    accepting = [each for each in found if each.node.accepting]
    roomy = [each for each in accepting if not each.room.short_of(asked)]
    if not roomy:
        return _no_capacity(accepting, asked)
    prices = [each.price for each in roomy if misfit(each, wanted) is None]
    if not prices:
        first = min(roomy, key=_rank)
        return RefusedError(
            "platform_mismatch",
            "cannot quote: the checkpoint fits no node that has room; of the best of them, "
            f"{first.node.node_id[:12]}: {misfit(first, wanted)}",
            where="$.spec.checkpoint.resume.platform",
        )
    return RefusedError(
        "price_above_limit",
        f"cannot quote: the best price is {show(min(prices))}, your limit is "
        f"{show(wanted.max_price or 0)}",
        where="$.max_price",
    )


def misses(
    found: tuple[Candidate, ...],
    chosen: Candidate | None,
    wanted: QuoteRequest,
    *,
    supported: bool,
) -> tuple[Miss, ...]:
    """Return what the nodes that were not chosen miss; all of them if the job is unsupported."""
    # Whoever stands before the chosen one would have the job, were it not for its platform.
    ranked = _ranked(found, wanted) if supported else []
    unfit = ranked if chosen is None else ranked[: ranked.index(chosen)]

    def reason(each: Candidate) -> MissedReason:
        if not supported:
            return "unsupported"
        return "platform" if each in unfit else _reason(each, wanted)

    return tuple(
        [Miss(each.node.node_id, reason(each), each.price) for each in found if each is not chosen]
    )


def _ranked(found: tuple[Candidate, ...], wanted: QuoteRequest) -> list[Candidate]:
    """Return the nodes that could have the job, but for their platform, the best first."""
    asked = _asked(wanted)
    return sorted(
        (
            each
            for each in found
            if each.node.accepting and not each.room.short_of(asked) and _is_payable(each, wanted)
        ),
        key=_rank,
    )


def _rank(each: Candidate) -> tuple[int, int, str]:
    return (each.price, -each.room.cpu_mhz, each.node.node_id)


def _reason(missed: Candidate, wanted: QuoteRequest) -> MissedReason:
    """Return why; what the node lacks first, since to go on, or be cheaper, would not cure that."""
    if short := missed.room.short_of(_asked(wanted)):
        return short
    if not _is_payable(missed, wanted):
        return "price"
    return "dearer" if missed.node.accepting else "paused"


def _asked(wanted: QuoteRequest) -> Room:
    resources = wanted.spec.resources
    return Room(resources.cpu_mhz, resources.ram_mb, resources.disk_mb)


def _is_payable(candidate: Candidate, wanted: QuoteRequest) -> bool:
    return wanted.max_price is None or candidate.price <= wanted.max_price


def _held(db: Connection, now_s: float) -> dict[str, Room]:
    """Return what open quotes hold, by node."""
    is_open = (~quotes_table.c.used, quotes_table.c.expires_s > now_s)
    return _sums(db, quotes_table, now_s, is_open)


def _running(db: Connection, now_s: float) -> dict[str, Room]:
    """Return what live jobs have, by node."""
    states = [state.value for state in HOLDS_CAPACITY]
    return _sums(db, jobs_table, now_s, (jobs_table.c.state.in_(states),))


def _sums(
    db: Connection, table: Table, now_s: float, conditions: tuple[ColumnElement[bool], ...]
) -> dict[str, Room]:
    """Add up by live node, in one query however many there are."""
    columns = (table.c.cpu_mhz, table.c.ram_mb, table.c.disk_mb)
    is_live = table.c.node_id.in_(nodes.live_ids(int(now_s * 1000)))
    rows = db.execute(
        select(table.c.node_id, *[func.sum(column) for column in columns])
        .where(is_live, *conditions)
        .group_by(table.c.node_id)
    )
    return {node_id: Room(*[int(total) for total in totals]) for node_id, *totals in rows}


def _no_capacity(found: list[Candidate], asked: Room) -> CapacityError:
    if not found:
        return CapacityError(f"cannot quote: {asked} requested, no node that could run it is live")
    best_room = max(found, key=lambda each: (each.room.cpu_mhz, each.room.ram_mb)).room
    short = [
        name
        for name, has, needs in (
            ("CPU", best_room.cpu_mhz, asked.cpu_mhz),
            ("RAM", best_room.ram_mb, asked.ram_mb),
            ("disk", best_room.disk_mb, asked.disk_mb),
        )
        if has < needs
    ] or ["room in one place"]
    return CapacityError(
        f"cannot quote: {asked} requested, the best node has {best_room} free; "
        f"short of {', '.join(short)}"
    )
