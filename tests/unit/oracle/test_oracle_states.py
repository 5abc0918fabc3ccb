"""The table of a job's moves: every pair of states is either in it or refused."""

from __future__ import annotations

from itertools import product

import pytest

from nunet_dms.errors import InvalidTransitionError
from nunet_dms.oracle.jobs import JobRow
from nunet_dms.oracle.states import (
    AT_THE_NODE,
    ENDED,
    HOLDS_CAPACITY,
    TRANSITIONS,
    check_move,
)
from nunet_dms.protocol.submission import JobState


def job(state: JobState) -> JobRow:
    """Return a job in that state, as the database has it."""
    return JobRow(
        job_id="a" * 32,
        state=state,
        quote_id="b" * 32,
        node_id="c" * 56,
        requester="addr_test1",
        cpu_mhz=1000,
        ram_mb=500,
        disk_mb=64,
        time_limit_s=100,
        price=1000,
        deadline_slot=9999,
        payment_tx_id="d" * 64,
        payment_index=0,
        submitted_ms=1,
    )


MOVES = {
    ("submitted", "offered"),
    ("submitted", "reported"),
    ("submitted", "void"),
    ("offered", "running"),
    ("offered", "reported"),
    ("running", "reported"),
    ("reported", "decided"),
    ("decided", "settling"),
    ("decided", "void"),
    ("settled", "settling"),
    ("settling", "settled"),
    ("settling", "void"),
}


@pytest.mark.parametrize(("start", "end"), list(product(JobState, JobState)))
def test_every_pair_of_states_is_a_move_or_refused(start: JobState, end: JobState) -> None:
    if (start.value, end.value) in MOVES:
        check_move("ab", start, end)
    else:
        with pytest.raises(InvalidTransitionError, match=f"from {start.value} to {end.value}"):
            check_move("ab", start, end)


def test_the_table_has_every_state_and_leads_to_an_end_from_each() -> None:
    assert set(TRANSITIONS) == set(JobState)
    for state in JobState:
        reached = {state}
        while (more := reached.union(*[TRANSITIONS[each] for each in reached])) != reached:
            reached = more
        assert reached & ENDED
        ends = TRANSITIONS[state] <= {JobState.SETTLING} and state is not JobState.DECIDED
        assert (state in ENDED) == ends  # a settlement that the chain takes back is made again


def test_what_a_node_reads_it_also_reserves() -> None:
    assert AT_THE_NODE < HOLDS_CAPACITY
    assert not HOLDS_CAPACITY & ENDED
