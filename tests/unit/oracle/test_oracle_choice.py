"""Which node gets a job: one with room, the cheapest of them, within the requester's limit."""

from __future__ import annotations

import pytest
from test_oracle_room import ROOMY, candidate, wanted

from nunet_dms.errors import CapacityError, RefusedError
from nunet_dms.oracle.quoting import Room, choose

FULL = Room(999, 2000, 1000)


def test_the_cheapest_node_with_room_is_chosen() -> None:
    found = (candidate("aa", 9, ROOMY), candidate("bb", 5, ROOMY), candidate("cc", 1, FULL))
    assert choose(found, wanted()).node.node_id == "bb" * 28


def test_among_equals_the_one_with_most_room_then_the_first_by_id_is_chosen() -> None:
    exact = Room(1000, 500, 100)
    found = (candidate("aa", 5, exact), candidate("cc", 5, ROOMY), candidate("bb", 5, ROOMY))
    assert choose(found, wanted()).node.node_id == "bb" * 28
    assert choose(found[:1], wanted()).node.node_id == "aa" * 28


def test_a_price_over_the_limit_is_refused_and_both_are_named() -> None:
    with pytest.raises(RefusedError, match="the best price is 5, your limit is 4") as refused:
        choose((candidate("aa", 5, ROOMY),), wanted(max_price=4))
    assert refused.value.code == "price_above_limit"
    assert choose((candidate("aa", 5, ROOMY),), wanted(max_price=5)).price == 5


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
    with pytest.raises(CapacityError) as error:
        choose((candidate("aa", 5, room),), wanted())
    assert short in str(error.value)
    assert "1000 MHz, 500 MB RAM, 100 MB disk requested" in str(error.value)


def test_without_nodes_there_is_no_capacity() -> None:
    with pytest.raises(CapacityError, match="no node that could run it is live"):
        choose((), wanted())
