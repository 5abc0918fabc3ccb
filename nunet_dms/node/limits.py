"""How long each kind of task may take before its thread is given up (see Pool).

Calls to the engine and to the Oracle have timeouts of their own, on each read of a socket. These
limits hold where those do not: for an answer that comes drop by drop, a disk that hangs, and a task
of many calls.
"""

from __future__ import annotations

CALL_LIMIT_S = 180.0
"""Of a task that makes a few calls: twice and more what they take by their own timeouts."""
WAIT_S = 30
"""Of one wait for a container's end; then it is asked again."""
STOP_GRACE_S = 10
"""Between SIGTERM and SIGKILL of a job."""
DEADLINE_MARGIN_S = 30
"""Between a job's time limit, which the worker holds it to, and its end from inside."""
PULL_LIMIT_S = 1800.0
"""Of fetching a job's image, all tries together; then the job ends as `image_unavailable`."""
SWEEP_LIMIT_S = 900.0
"""Of clearing away what is nobody's, and of looking at the whole machine."""
PREPARE_LIMIT_S = 4 * 3600.0
"""Of fetching a job's inputs, up to many GB, and making its container."""
COLLECT_LIMIT_S = 3600.0
"""Of hashing what a job left."""
DELIVER_LIMIT_S = 6 * 3600.0
"""Of sending all that a job left."""

LIMITS_S: dict[str, float | None] = {
    "recover": SWEEP_LIMIT_S,
    "fingerprint": SWEEP_LIMIT_S,
    "pull": PULL_LIMIT_S,
    "prepare": PREPARE_LIMIT_S,
    "collect": COLLECT_LIMIT_S,
    "deliver": DELIVER_LIMIT_S,
    "snapshot": COLLECT_LIMIT_S,
    "store": DELIVER_LIMIT_S,
    "log": None,  # it writes to a file as long as the job lives: two of it would write at once
}


def limit_of(what: str) -> float | None:
    """Return the limit of a kind of task in seconds; None is none."""
    return LIMITS_S.get(what, CALL_LIMIT_S)
