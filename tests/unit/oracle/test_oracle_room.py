"""Which nodes are candidates, how much room each has, and that any choice is a right one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from nunet_dms.oracle import nodes, quotes
from nunet_dms.oracle.matching import Candidate, Room, best, candidates
from nunet_dms.oracle.nodes import LIVE_FOR_MS, NodeRow
from nunet_dms.oracle.quotes import QuoteRow
from nunet_dms.oracle.store import Store
from nunet_dms.protocol.job import JobSpec, Resources
from nunet_dms.protocol.quote import QuoteLine
from nunet_dms.protocol.submission import QuoteRequest

NOW_S = 1000.0
REQUESTER = "addr_test1vqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"


def row(name: str = "aa", seen_ms: int = 1_000_000, rate: int = 3_600_000) -> NodeRow:
    return NodeRow(
        node_id=name * 28,
        public_key="",
        settlement_key_hash="",
        wallet="",
        cpu_mhz=4000,
        ram_mb=2000,
        disk_mb=1000,
        per_ghz_hour=rate,
        per_ram_gb_hour=0,
        per_gpu_hour=0,
        issued_s=1,
        accepting=True,
        seen_ms=seen_ms,
        registration="",
    )


def candidate(name: str, price: int, room: Room, *, accepting: bool = True) -> Candidate:
    node = replace(row(name), accepting=accepting)
    return Candidate(node, room, (QuoteLine(text="all", amount=price),))


def rooms(db: Connection, now_s: float = NOW_S) -> dict[str, Room]:
    """Return the free room of each live node, by the first two digits of its id."""
    return {each.node.node_id[:2]: each.room for each in candidates(db, wanted(), now_s)}


def wanted(max_price: int | None = None, node_id: str | None = None) -> QuoteRequest:
    spec = JobSpec(
        image="x@sha256:" + "0" * 64,
        resources=Resources(cpu_mhz=1000, ram_mb=500, disk_mb=100),
        time_limit_s=100,
    )
    return QuoteRequest(spec=spec, requester=REQUESTER, max_price=max_price, node_id=node_id)


ROOMY = Room(4000, 2000, 1000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty database."""
    made = Store.open(tmp_path / "oracle.db")
    yield made
    made.close()


@given(
    st.lists(
        st.tuples(st.integers(1, 50), st.builds(Room, *[st.integers(0, 2000)] * 3)),
        min_size=1,
        max_size=6,
    )
)
def test_whoever_is_chosen_has_room_and_no_cheaper_one_has(
    offers: list[tuple[int, Room]],
) -> None:
    asked = Room(1000, 500, 100)
    found = tuple(
        candidate(f"{index:02x}", price, room) for index, (price, room) in enumerate(offers)
    )
    fitting = [price for price, room in offers if room.short_of(asked) is None]
    chosen = best(found, wanted())
    if chosen is None:
        assert fitting == []
    else:
        assert chosen.room.short_of(asked) is None
        assert chosen.price == min(fitting)


def test_silent_nodes_are_no_candidates_and_paused_ones_are(store: Store) -> None:
    now_ms = int(NOW_S * 1000)
    with store.writing() as db:
        nodes.put(db, row("aa", seen_ms=now_ms - LIVE_FOR_MS))
        nodes.put(db, row("bb", seen_ms=now_ms - LIVE_FOR_MS - 1))
        nodes.put(db, row("cc", seen_ms=now_ms))
        assert nodes.seen(db, "cc" * 28, now_ms, accepting=False)
        assert not nodes.seen(db, "dd" * 28, now_ms, accepting=True)
    with store.reading() as db:
        found = {each.node.node_id: each for each in candidates(db, wanted(), NOW_S)}
        assert {name: each.node.accepting for name, each in found.items()} == {
            "aa" * 28: True,
            "cc" * 28: False,
        }
        assert [each.node.node_id for each in candidates(db, wanted(node_id="cc" * 28), NOW_S)] == [
            "cc" * 28
        ]
        assert candidates(db, wanted(node_id="bb" * 28), NOW_S) == ()


def test_the_price_is_the_node_s_own_and_never_nothing(store: Store) -> None:
    with store.writing() as db:
        nodes.put(db, row("aa", rate=36))
        nodes.put(db, row("bb", rate=0))
        found = {each.node.node_id: each for each in candidates(db, wanted(), NOW_S)}
    assert found["aa" * 28].price == 1  # 36 an hour and GHz, for 100 s
    assert [line.amount for line in found["bb" * 28].lines] == [0, 0, 1]


def test_an_open_quote_takes_room_until_it_expires_or_is_used(store: Store) -> None:
    node = row()
    held = QuoteRow(
        quote_id="q",
        node_id=node.node_id,
        requester=REQUESTER,
        cpu_mhz=1000,
        ram_mb=500,
        disk_mb=100,
        expires_s=1001,
        used=False,
        spec="{}",
        request="{}",
    )
    with store.writing() as db:
        nodes.put(db, node)
        nodes.put(db, row("bb"))
        quotes.add(db, held)
        quotes.add(db, replace(held, quote_id="r", cpu_mhz=500))
        assert rooms(db) == {"aa": Room(2500, 1000, 800), "bb": ROOMY}
        assert rooms(db, 1001) == {"aa": ROOMY, "bb": ROOMY}
        quotes.set_used(db, "r", used=True)
        assert rooms(db) == {"aa": Room(3000, 1500, 900), "bb": ROOMY}
        assert quotes.count_open(db, REQUESTER, NOW_S) == 1
        quotes.set_used(db, "q", used=True)
        assert rooms(db) == {"aa": ROOMY, "bb": ROOMY}
        assert quotes.count_open(db, REQUESTER, NOW_S) == 0
        assert quotes.remove_old(db, 1001) == 0
        assert quotes.remove_old(db, 1002) == 2
