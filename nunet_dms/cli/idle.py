"""Why this machine earns nothing just now: what holds it back, and the work that it missed."""

from __future__ import annotations

from dataclasses import dataclass

from nunet_dms.node.rows import NOT_YET, OK, MissedRow, WorkerRow

MISSED_WORDS = {
    "cpu": "asked for more CPU than was free",
    "ram": "asked for more RAM than was free",
    "disk": "asked for more disk than was free",
    "unsupported": "asked for what no node offers yet",
    "platform": "went on from a checkpoint of another kind of machine",
    "price": "asked for a lower price than yours",
    "dearer": "went to another node, as cheap or cheaper",
    "paused": "came while no jobs were taken",
}
"""Reasons of the missed-work ledger (protocol.node.MissedWork)."""
MISSED_CURES = {
    "cpu": "nunet config set capacity.cpu_mhz MHZ",
    "ram": "nunet config set capacity.ram_mb MB",
    "disk": "nunet config set capacity.disk_mb MB",
    "price": "nunet config set price.per_ghz_hour UNITS",
    "dearer": "nunet config set price.per_ghz_hour UNITS",
}


@dataclass(frozen=True, slots=True)
class IdleReason:
    """One reason, as a code for scripts and in words."""

    code: str
    text: str


def idle_reasons(
    row: WorkerRow | None, missed: tuple[MissedRow, ...], jobs_in_hand: int
) -> tuple[IdleReason, ...]:
    """Say why no job runs, what matters most first; empty while one does.

    `row` is what the running worker last said of itself, None if none runs.
    """
    if jobs_in_hand:
        return ()
    if row is None:
        return (IdleReason("no_worker", "the worker is not running"),)
    reasons = []
    for code, name, state in (
        ("engine_away", "the container engine", row.engine_state),
        ("oracle_away", "the Oracle", row.oracle_state),
    ):
        if state not in {OK, NOT_YET}:
            reasons.append(IdleReason(code, f"{name} does not answer: {state}"))
        elif state == NOT_YET:
            reasons.append(IdleReason(code, f"{name} was not reached yet"))
    if row.hold:
        reasons.append(IdleReason(row.hold, row.hold_note))
    if row.oracle_state != OK:
        return tuple(reasons)  # the ledger is the Oracle's, and what it last said grows old
    reasons += [IdleReason(f"missed_{each.reason}", missed_words(each)) for each in missed]
    return tuple(reasons) or (IdleReason("no_requests", "no request has come within a day"),)


def missed_words(missed: MissedRow) -> str:
    """Return one line of the ledger, with what it would have paid and what may be done."""
    what = MISSED_WORDS.get(missed.reason, missed.reason)
    cure = MISSED_CURES.get(missed.reason, "")
    times = f"{missed.count} request{'s' if missed.count > 1 else ''} within a day"
    worth = f"worth {missed.would_pay} base units"
    return f"{times} {what}, {worth}" + (f" (to change it: {cure})" if cure else "")
