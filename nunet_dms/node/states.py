"""The states of a job on the node, and every move between them.

    ADMITTED --> ACCEPTED --> CREATED --> STARTING --> RUNNING
        |            |           |            |           |
        |            +-----------+------+-----+-----------+
        v                               v
       LOST <------------------------ EXITED --> REPORTED --> SIGNED --> SETTLED
        ^                                            +------------------^   |
        +--------------------------------------------+-----------+----------+

ADMITTED  ticket verified and capacity reserved; the Oracle is to be told
ACCEPTED  the Oracle knows; image, inputs and container are being made
CREATED   the container exists
STARTING  the start was about to be asked for: look before asking again
RUNNING   the container has started
EXITED    no container runs; the report is frozen in the outbox, in the same transaction
REPORTED  the Oracle has the report, the log and the results
SIGNED    we co-signed a settlement that pays what the verdict says
SETTLED   the ledger has it; the receipt is stored
LOST      the job is not ours (any more), or its escrow is empty: nothing comes of it
"""

from __future__ import annotations

from enum import Enum

from nunet_dms.errors import InvalidTransitionError


class State(str, Enum):
    """Where a job stands; stored by value."""

    ADMITTED = "admitted"
    ACCEPTED = "accepted"
    CREATED = "created"
    STARTING = "starting"
    RUNNING = "running"
    EXITED = "exited"
    REPORTED = "reported"
    SIGNED = "signed"
    SETTLED = "settled"
    LOST = "lost"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.ADMITTED: frozenset({State.ACCEPTED, State.LOST}),
    State.ACCEPTED: frozenset({State.CREATED, State.EXITED}),
    State.CREATED: frozenset({State.STARTING, State.EXITED}),
    State.STARTING: frozenset({State.RUNNING, State.EXITED}),
    State.RUNNING: frozenset({State.EXITED}),
    State.EXITED: frozenset({State.REPORTED, State.LOST}),
    State.REPORTED: frozenset({State.SIGNED, State.SETTLED, State.LOST}),
    State.SIGNED: frozenset({State.SETTLED, State.LOST}),
    State.SETTLED: frozenset({State.LOST}),  # the chain may take a settlement back
    State.LOST: frozenset(),
}

RESERVING = frozenset(
    {State.ADMITTED, State.ACCEPTED, State.CREATED, State.STARTING, State.RUNNING}
)
"""States that hold capacity: until the container is known not to run."""

AT_WORK = RESERVING - {State.ADMITTED}
"""States in which a job that the Oracle knows to be ours has not ended."""

HAS_CONTAINER = RESERVING | {State.EXITED}
"""States in which a container of ours is no leftover."""

OPEN = HAS_CONTAINER | {State.REPORTED, State.SIGNED}
"""States in which something is still to be done."""


def check_move(job_id: str, old: State, new: State) -> None:
    """Raise InvalidTransitionError unless the table has the move."""
    if new not in TRANSITIONS[old]:
        raise InvalidTransitionError(f"cannot move job {job_id} from {old.value} to {new.value}")
