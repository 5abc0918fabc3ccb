"""Why a node misses a job, and what the ledger makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_oracle_room import ROOMY, candidate, wanted

from nunet_dms.oracle import missed
from nunet_dms.oracle.matching import Miss, Room, best, misses
from nunet_dms.oracle.store import Store
from nunet_dms.protocol.bounds import MAX_SAFE
from nunet_dms.protocol.node import MissedWork

NODE = "aa" * 28
HOUR_S = 3600.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty database."""
    made = Store.open(tmp_path / "oracle.db")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("room", "price", "accepting", "reason"),
    [
        (Room(999, 499, 99), 9, False, "cpu"),
        (Room(1000, 499, 99), 9, False, "ram"),
        (Room(1000, 500, 99), 9, False, "disk"),
        (Room(-1, 2000, 1000), 1, True, "cpu"),
        (ROOMY, 9, False, "price"),
        (ROOMY, 8, False, "paused"),
        (ROOMY, 8, True, "dearer"),
    ],
)
def test_what_the_node_lacks_first_is_the_reason(
    room: Room, price: int, accepting: bool, reason: str
) -> None:
    job = wanted(max_price=8)
    found = (candidate("aa", price, room, accepting=accepting), candidate("bb", 7, ROOMY))
    chosen = best(found, job)
    assert chosen is found[1]
    assert misses(found, chosen, job, supported=True) == (Miss(NODE, reason, price),)  # type: ignore[arg-type]
    assert misses(found, None, job, supported=False) == (
        Miss(NODE, "unsupported", price),
        Miss("bb" * 28, "unsupported", 7),
    )


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.builds(Room, *[st.integers(0, 2000)] * 3), st.booleans()),
        max_size=6,
    ),
    st.none() | st.integers(1, 9),
)
def test_every_node_but_the_chosen_one_misses_the_job_once(
    offers: list[tuple[int, Room, bool]], max_price: int | None
) -> None:
    job = wanted(max_price)
    found = tuple(
        candidate(f"{index:02x}", price, room, accepting=accepting)
        for index, (price, room, accepting) in enumerate(offers)
    )
    chosen = best(found, job)
    noted = misses(found, chosen, job, supported=True)
    left = [each.node.node_id for each in found if each is not chosen]
    assert [miss.node_id for miss in noted] == left
    if chosen is None:
        assert "dearer" not in {miss.reason for miss in noted}


def told(store: Store, now_s: float = HOUR_S) -> tuple[MissedWork, ...]:
    with store.reading() as db:
        return missed.of_node(db, NODE, now_s)


def record(store: Store, ask: str, *found: Miss, now_s: float = HOUR_S) -> None:
    with store.writing() as db:
        missed.record(db, "requester", ask, found, now_s)


def test_sums_are_by_reason_the_dearest_first_then_by_name(store: Store) -> None:
    record(store, "1", Miss(NODE, "ram", 5), Miss("bb" * 28, "cpu", 9))
    record(store, "2", Miss(NODE, "cpu", 5))
    record(store, "3", Miss(NODE, "dearer", 3), now_s=2 * HOUR_S)
    record(store, "4", Miss(NODE, "dearer", 3), now_s=3 * HOUR_S)
    assert told(store, 3 * HOUR_S) == (
        MissedWork(reason="dearer", count=2, would_pay=6),
        MissedWork(reason="cpu", count=1, would_pay=5),
        MissedWork(reason="ram", count=1, would_pay=5),
    )


def test_a_miss_is_counted_once_an_hour(store: Store) -> None:
    for now_s in (HOUR_S, HOUR_S + 3599, 2 * HOUR_S):
        record(store, "1", Miss(NODE, "cpu", 5), now_s=now_s)
    assert told(store) == (MissedWork(reason="cpu", count=2, would_pay=10),)


def test_amounts_stay_within_what_can_travel(store: Store) -> None:
    for ask in range(3):
        record(store, str(ask), Miss(NODE, "cpu", 2**70))
    record(store, "x", Miss(NODE, "cpu", MAX_SAFE), now_s=2 * HOUR_S)
    assert told(store) == (MissedWork(reason="cpu", count=4, would_pay=MAX_SAFE),)


def test_a_flood_of_asks_is_counted_up_to_a_bound_and_again_in_the_next_hour(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missed, "ASKS_KEPT_MAX", 3)
    for ask in range(9):
        record(store, str(ask), Miss(NODE, "cpu", 1))
    assert told(store) == (MissedWork(reason="cpu", count=3, would_pay=3),)
    with store.writing() as db:
        missed.remove_old(db, 2 * HOUR_S)
    record(store, "1", Miss(NODE, "cpu", 1), now_s=2 * HOUR_S)
    assert told(store) == (MissedWork(reason="cpu", count=4, would_pay=4),)


def test_a_quote_that_nobody_missed_writes_nothing(store: Store) -> None:
    record(store, "1")
    assert told(store) == ()
