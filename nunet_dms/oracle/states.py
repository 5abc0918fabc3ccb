"""The states of a job at the Oracle, and the moves between them.

    submitted --> offered --> running --> reported --> decided --> settling <--> settled
        |            |                       ^            |            |
        |            +---- not accepted -----+            |            |
        +--------------- cancelled ----------+            |            |
        +--> void  (never on the chain)      void <-------+------------+

A reason is set once, on the way into `reported`.

submitted  the payment was handed in; it is looked for until it is deep enough
offered    the ticket is signed; the payment is looked for once more when the node takes the job
running    the payment is looked for now and then
reported   the reason is known
decided    the verdict is signed; its parties may object until the window ends, and an objection
           holds the settlement until the operator has answered it, or for DISPUTE_HOLD_S
settling   the Oracle has signed the settlement, which it does once; it waits for a second signature
           and for a block
settled    a block has the settlement; followed until that block is final
void       nothing lies in the escrow that could be paid out, and never will

The chain may lose what it had. Each state says what it does then (`watching`):

submitted  the payment is handed in again, for an hour, then the job is void
offered    held: the node is told to ask again; if its offer ends so, the reason is `payment_lost`
running    held, and the payment handed in again; after a grace, or when it never can come back,
           the node is told to stop the job: `payment_lost`
decided    held: nothing is signed; void when it never can come back, or after the deadline
settling   held: nothing is handed in; void as above
settled    back to settling: the same settlement is handed in again

A chain that does not answer has lost nothing: whatever asked is tried again.
"""

from __future__ import annotations

from nunet_dms.errors import InvalidTransitionError
from nunet_dms.protocol.submission import JobState

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.SUBMITTED: frozenset({JobState.OFFERED, JobState.REPORTED, JobState.VOID}),
    JobState.OFFERED: frozenset({JobState.RUNNING, JobState.REPORTED}),
    JobState.RUNNING: frozenset({JobState.REPORTED}),
    JobState.REPORTED: frozenset({JobState.DECIDED}),
    JobState.DECIDED: frozenset({JobState.SETTLING, JobState.VOID}),
    JobState.SETTLING: frozenset({JobState.SETTLED, JobState.VOID}),
    JobState.SETTLED: frozenset({JobState.SETTLING}),
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
"""Jobs that nobody does anything about any more, unless the chain takes a settlement back."""


def check_move(job_id: str, start: JobState, end: JobState) -> None:
    """Raise InvalidTransitionError unless the table has the move."""
    if end not in TRANSITIONS[start]:
        raise InvalidTransitionError(
            f"cannot move job {job_id} from {start.value} to {end.value}: "
            f"the table has no such move"
        )
