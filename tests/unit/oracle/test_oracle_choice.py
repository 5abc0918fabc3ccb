"""Which node gets a job: one with room, the cheapest of them, within the requester's limit."""

from __future__ import annotations

import pytest
from test_oracle_room import ROOMY, candidate, wanted

from nunet_dms.errors import CapacityError, RefusedError
from nunet_dms.oracle.matching import Candidate, Room, best, why_none

FULL = Room(999, 2000, 1000)


def chosen(*found: Candidate, max_price: int | None = None) -> str:
    """Return the id of the node that gets the job, empty for none."""
    one = best(found, wanted(max_price))
    return "" if one is None else one.node.node_id


def test_the_cheapest_node_with_room_is_chosen() -> None:
    found = (candidate("aa", 9, ROOMY), candidate("bb", 5, ROOMY), candidate("cc", 1, FULL))
    assert chosen(*found) == "bb" * 28


def test_a_paused_node_is_not_chosen_however_cheap() -> None:
    assert chosen(candidate("aa", 1, ROOMY, accepting=False)) == ""
    found = (candidate("aa", 1, ROOMY, accepting=False), candidate("bb", 5, ROOMY))
    assert chosen(*found) == "bb" * 28


def test_among_equals_the_one_with_most_room_then_the_first_by_id_is_chosen() -> None:
    exact = Room(1000, 500, 100)
    found = (candidate("aa", 5, exact), candidate("cc", 5, ROOMY), candidate("bb", 5, ROOMY))
    assert chosen(*found) == "bb" * 28
    assert chosen(*found[:1]) == "aa" * 28


def test_a_price_over_the_limit_is_refused_and_both_are_named() -> None:
    found = (candidate("aa", 5, ROOMY), candidate("bb", 6, ROOMY), candidate("cc", 1, FULL))
    assert chosen(*found, max_price=4) == ""
    refusal = why_none(found, wanted(max_price=4))
    assert isinstance(refusal, RefusedError)
    assert refusal.code == "price_above_limit"
    assert "the best price is 5, your limit is 4" in str(refusal)
    assert chosen(*found, max_price=5) == "aa" * 28


@pytest.mark.parametrize(
    ("room", "short"),
    [
        (Room(999, 500, 100), "short of CPU"),
        (Room(1000, 499, 100), "short of RAM"),
        (Room(1000, 500, 99), "short of disk"),
        (Room(0, 0, 0), "short of CPU, RAM, disk"),
    ],
)
def test_what_is_short_is_named(room: Room, short: str) -> None:
    found = (candidate("aa", 5, room),)
    assert chosen(*found) == ""
    refusal = why_none(found, wanted())
    assert isinstance(refusal, CapacityError)
    assert short in str(refusal)
    assert "1000 MHz, 500 MB RAM, 100 MB disk requested" in str(refusal)


@pytest.mark.parametrize("found", [(), (candidate("aa", 1, ROOMY, accepting=False),)])
def test_without_nodes_that_take_jobs_there_is_no_capacity(found: tuple[Candidate, ...]) -> None:
    assert chosen(*found) == ""
    refusal = why_none(found, wanted())
    assert isinstance(refusal, CapacityError)
    assert "no node that could run it is live" in str(refusal)
