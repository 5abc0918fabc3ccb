"""The job's states: every pair is either in the table or raises."""

from __future__ import annotations

from itertools import product

import pytest

from nunet_dms.errors import InvalidTransitionError
from nunet_dms.node.states import HAS_CONTAINER, OPEN, RESERVING, TRANSITIONS, State, check_move

ALLOWED = {
    ("admitted", "accepted"), ("admitted", "lost"), ("accepted", "created"),
    ("accepted", "exited"), ("created", "starting"), ("created", "exited"),
    ("starting", "running"), ("starting", "exited"), ("running", "exited"),
    ("exited", "reported"), ("exited", "lost"), ("reported", "signed"),
    ("reported", "settled"), ("signed", "settled"), ("reported", "lost"), ("signed", "lost"),
    ("settled", "lost"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new"), list(product(State, State)))
def test_only_the_moves_of_the_table_are_allowed(old: State, new: State) -> None:
    if (old.value, new.value) in ALLOWED:
        check_move("x", old, new)
    else:
        with pytest.raises(InvalidTransitionError, match=f"{old.value} to {new.value}"):
            check_move("x", old, new)


def test_every_state_has_a_row_and_the_last_ones_have_no_way_out() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {state for state in State if not TRANSITIONS[state]} == {State.LOST}
    assert RESERVING < HAS_CONTAINER < OPEN < set(State)
