"""The states of a job at the Oracle, and the moves between them.

    submitted --> offered --> running --> reported --> settling --> settled
        |            |                       ^            |
        |            +---- not accepted -----+            |
        +--------------- cancelled ----------+            |
        +--> void  (never on the chain)      void <-----+  (the escrow was spent without us)

`reported` may end in `void` as well. A reason is set once, on the way into `reported`.
"""

from __future__ import annotations

from nunet_dms.errors import InvalidTransitionError
from nunet_dms.protocol.submission import JobState

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.SUBMITTED: frozenset({JobState.OFFERED, JobState.REPORTED, JobState.VOID}),
    JobState.OFFERED: frozenset({JobState.RUNNING, JobState.REPORTED}),
    JobState.RUNNING: frozenset({JobState.REPORTED}),
    JobState.REPORTED: frozenset({JobState.SETTLING, JobState.VOID}),
    JobState.SETTLING: frozenset({JobState.SETTLED, JobState.VOID}),
    JobState.SETTLED: frozenset(),
    JobState.VOID: frozenset(),
}
"""Total: every state has a row."""

HOLDS_CAPACITY = frozenset({JobState.SUBMITTED, JobState.OFFERED, JobState.RUNNING})
"""Jobs whose resources the node cannot sell again."""
LOG_OPEN = HOLDS_CAPACITY
"""Jobs whose log may still grow."""
AT_THE_NODE = frozenset({JobState.OFFERED, JobState.RUNNING})
"""Jobs whose inputs the node may read."""
ENDED = frozenset({JobState.SETTLED, JobState.VOID})
"""Jobs that nobody does anything about any more."""


def check_move(job_id: str, start: JobState, end: JobState) -> None:
    """Raise InvalidTransitionError unless the table has the move."""
    if end not in TRANSITIONS[start]:
        raise InvalidTransitionError(
            f"cannot move job {job_id} from {start.value} to {end.value}: "
            f"the table has no such move"
        )
