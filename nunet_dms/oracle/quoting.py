"""Quote a job: match a live node that has room, price it by the node's own list, hold the room."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from nunet_dms.cardano.address import parse_address
from nunet_dms.cardano.agreement import escrow_terms
from nunet_dms.cardano.builder import ESCROW_LOVELACE
from nunet_dms.errors import CapacityError, RefusedError
from nunet_dms.oracle import nodes, quotes
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.nodes import NodeRow
from nunet_dms.oracle.quotes import QuoteRow
from nunet_dms.oracle.states import HOLDS_CAPACITY
from nunet_dms.oracle.tables import jobs as jobs_table
from nunet_dms.oracle.tables import quotes as quotes_table
from nunet_dms.protocol import strict
from nunet_dms.protocol.job import JobSpec
from nunet_dms.protocol.quote import JobRequest, Quote, QuoteLine, price_lines
from nunet_dms.protocol.submission import QuoteRequest

QUOTE_LIFE_S = 300
"""For that long a quote holds its place."""
QUOTES_OPEN_MAX = 16
"""Unused quotes of one requester at a time, so that nobody holds every node for nothing."""
DEADLINE_MARGIN_MIN_S = 3600
"""Never less between a job's time limit and its deadline: the settlement must fit in."""
INPUTS_MAX_BYTES = 16 * 1024**3
"""Of all inputs of one job."""
SPEC_MAX_BYTES = 3 * 512 * 1024
"""Of a spec's canonical bytes. It travels on as text within JSON, which may double it, and must
then still be under `strict.TEXT_MAX_BYTES` with the ticket or the receipt around it."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a node could still take, or what a job asks for."""

    cpu_mhz: int
    ram_mb: int
    disk_mb: int

    def holds(self, wanted: Room) -> bool:
        """Say whether `wanted` fits."""
        return (
            self.cpu_mhz >= wanted.cpu_mhz
            and self.ram_mb >= wanted.ram_mb
            and self.disk_mb >= wanted.disk_mb
        )

    def __str__(self) -> str:
        """Return the room in words."""
        return f"{self.cpu_mhz} MHz, {self.ram_mb} MB RAM, {self.disk_mb} MB disk"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A live node with its free room and its price for the job."""

    node: NodeRow
    room: Room
    lines: tuple[QuoteLine, ...]

    @property
    def price(self) -> int:
        """Base units for the whole time limit."""
        return sum(line.amount for line in self.lines)


def make_quote(oracle: Oracle, requester: str, wanted: QuoteRequest) -> Quote:
    """Return a quote and hold the place until it expires.

    Raises CapacityError naming what is requested and what is available, RefusedError
    `foreign_requester`, `unsupported`, `too_many_quotes` or `price_above_limit`.
    """
    check_supported(wanted.spec)
    _check_requester(requester, wanted)
    now_s = oracle.clock()
    with oracle.store.writing() as db:
        if quotes.count_open(db, requester, now_s) >= QUOTES_OPEN_MAX:
            raise RefusedError(
                "too_many_quotes", f"cannot quote: {QUOTES_OPEN_MAX} unused quotes hold places"
            )
        chosen = choose(candidates(db, wanted, now_s), wanted)
        quote = _quote(oracle, wanted, chosen, now_s)
        quotes.add(
            db,
            QuoteRow(
                quote_id=quote.quote_id,
                node_id=chosen.node.node_id,
                requester=requester,
                cpu_mhz=wanted.spec.resources.cpu_mhz,
                ram_mb=wanted.spec.resources.ram_mb,
                disk_mb=wanted.spec.resources.disk_mb,
                expires_s=quote.expires_s,
                used=False,
                spec=strict.encode(wanted.spec).decode(),
                request=strict.encode(quote.request).decode(),
            ),
        )
    return quote


def check_supported(spec: JobSpec) -> None:
    """Refuse what this version cannot run; raises RefusedError `unsupported` with the path."""
    for asked, where, what in (
        (spec.network != "none", "$.spec.network", "network egress"),
        (spec.resources.gpus > 0, "$.spec.resources.gpus", "GPUs"),
        (spec.resources.vram_mb > 0, "$.spec.resources.vram_mb", "GPU memory"),
        (spec.checkpoint is not None, "$.spec.checkpoint", "checkpoints"),
        (spec.kind != "batch", "$.spec.kind", "services"),
    ):
        if asked:
            raise RefusedError(
                "unsupported", f"cannot quote: {what} cannot be had yet", where=where
            )
    if (size := len(strict.encode(spec))) > SPEC_MAX_BYTES:
        raise RefusedError(
            "spec_too_large",
            f"cannot quote: the spec has {size} bytes of JSON, {SPEC_MAX_BYTES} may be",
            where="$.spec",
        )
    if spec.inputs.total_bytes > INPUTS_MAX_BYTES:
        raise RefusedError(
            "inputs_too_large",
            f"cannot quote: the inputs have {spec.inputs.total_bytes} bytes, {INPUTS_MAX_BYTES} "
            "may be",
            where="$.spec.inputs",
        )


def candidates(db: Connection, wanted: QuoteRequest, now_s: float) -> tuple[Candidate, ...]:
    """Return every live node, or the wanted one, with its free room and price."""
    spec = wanted.spec
    return tuple(
        [
            Candidate(
                node,
                free_room(db, node, now_s),
                _lines(node, spec.resources.cpu_mhz, spec.resources.ram_mb, spec.time_limit_s),
            )
            for node in nodes.live(db, int(now_s * 1000))
            if wanted.node_id in (None, node.node_id)
        ]
    )


def choose(found: tuple[Candidate, ...], wanted: QuoteRequest) -> Candidate:
    """Return the cheapest node with room; among equals the one with most room, then by id.

    Raises CapacityError and RefusedError `price_above_limit`.
    """
    resources = wanted.spec.resources
    asked = Room(resources.cpu_mhz, resources.ram_mb, resources.disk_mb)
    fitting = [candidate for candidate in found if candidate.room.holds(asked)]
    if not fitting:
        raise _no_capacity(found, asked)
    best = min(fitting, key=lambda each: (each.price, -each.room.cpu_mhz, each.node.node_id))
    if wanted.max_price is not None and best.price > wanted.max_price:
        raise RefusedError(
            "price_above_limit",
            f"cannot quote: the best price is {best.price}, your limit is {wanted.max_price}",
            where="$.max_price",
        )
    return best


def free_room(db: Connection, node: NodeRow, now_s: float) -> Room:
    """Return what a node sells, less what quotes hold and live jobs have."""
    states = [state.value for state in HOLDS_CAPACITY]
    held = _sums(
        db,
        quotes_table,
        (
            quotes_table.c.node_id == node.node_id,
            ~quotes_table.c.used,
            quotes_table.c.expires_s > now_s,
        ),
    )
    taken = _sums(
        db, jobs_table, (jobs_table.c.node_id == node.node_id, jobs_table.c.state.in_(states))
    )
    return Room(
        node.cpu_mhz - held.cpu_mhz - taken.cpu_mhz,
        node.ram_mb - held.ram_mb - taken.ram_mb,
        node.disk_mb - held.disk_mb - taken.disk_mb,
    )


def _sums(db: Connection, table, conditions) -> Room:  # type: ignore[no-untyped-def]
    sums = [
        func.coalesce(func.sum(column), 0)
        for column in (table.c.cpu_mhz, table.c.ram_mb, table.c.disk_mb)
    ]
    return Room(*[int(total) for total in db.execute(select(*sums).where(*conditions)).one()])


def _lines(node: NodeRow, cpu_mhz: int, ram_mb: int, time_limit_s: int) -> tuple[QuoteLine, ...]:
    lines = price_lines(node.price, cpu_mhz, ram_mb, time_limit_s)
    if any(line.amount for line in lines):
        return lines
    return (*lines, QuoteLine(text="smallest payment", amount=1))


def _check_requester(requester: str, wanted: QuoteRequest) -> None:
    if wanted.requester != requester:
        raise RefusedError(
            "foreign_requester",
            "cannot quote: the session is of another wallet",
            where="$.requester",
        )
    if parse_address(requester).payment_is_script:
        raise RefusedError(
            "unsupported",
            "cannot quote: a script's address cannot sign a request",
            where="$.requester",
        )


def _quote(oracle: Oracle, wanted: QuoteRequest, chosen: Candidate, now_s: float) -> Quote:
    expires_s = int(now_s) + QUOTE_LIFE_S
    margin = max(DEADLINE_MARGIN_MIN_S, oracle.config.deadline_margin_s)
    asset = oracle.network.asset
    request = JobRequest(
        network_magic=oracle.network.magic,
        spec_hash=wanted.spec.digest,
        requester=wanted.requester,
        node_id=chosen.node.node_id,
        node_key_hash=chosen.node.settlement_key_hash,
        provider_wallet=chosen.node.wallet,
        oracle_key_hash=oracle.keys.escrow.key_hash.hex(),
        token_policy=asset.policy.hex(),
        token_name=asset.name.hex(),
        price=chosen.price,
        deadline_slot=oracle.chain.slot_at(math.ceil(now_s)) + wanted.spec.time_limit_s + margin,
        valid_until_s=expires_s,
        nonce=secrets.token_hex(16),
    )
    return Quote(
        quote_id=secrets.token_hex(16),
        request=request,
        lines=chosen.lines,
        escrow_address=escrow_terms(request).address.bech32,
        escrow_lovelace=ESCROW_LOVELACE,
        confirmations=oracle.network.confirmations,
        expires_s=expires_s,
    )


def _no_capacity(found: tuple[Candidate, ...], asked: Room) -> CapacityError:
    if not found:
        return CapacityError(f"cannot quote: {asked} requested, no node that could run it is live")
    best = max(found, key=lambda each: (each.room.cpu_mhz, each.room.ram_mb)).room
    short = [
        name
        for name, has, needs in (
            ("CPU", best.cpu_mhz, asked.cpu_mhz),
            ("RAM", best.ram_mb, asked.ram_mb),
            ("disk", best.disk_mb, asked.disk_mb),
        )
        if has < needs
    ] or ["room in one place"]
    return CapacityError(
        f"cannot quote: {asked} requested, the best node has {best} free; "
        f"short of {', '.join(short)}"
    )
