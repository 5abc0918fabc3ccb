"""What a node's jobs have paid and will pay, and what each open amount waits for.

From the journal alone, so that it can be told with the worker stopped and the Oracle away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from nunet_dms.node.rows import EarningRow, OutboxRow
from nunet_dms.node.states import State
from nunet_dms.protocol.report import Reason, provider_share


class WaitsFor(str, Enum):
    """What has to happen before a job is paid."""

    NOTHING = "nothing"
    START = "start"
    END = "end"
    DELIVERY = "delivery"
    VERDICT = "verdict"
    OUR_SIGNATURE = "our_signature"
    RECEIPT = "receipt"
    NEVER = "never"


WORDS: Mapping[WaitsFor, str] = MappingProxyType(
    {
        WaitsFor.NOTHING: "",
        WaitsFor.START: "its start",
        WaitsFor.END: "its end: it runs",
        WaitsFor.DELIVERY: "its report to be delivered",
        WaitsFor.VERDICT: "the Oracle's verdict, and the end of its time for objections",
        WaitsFor.OUR_SIGNATURE: "a settlement that this node can sign",
        WaitsFor.RECEIPT: "co-signed: confirmations, then the receipt",
        WaitsFor.NEVER: "nothing comes of it",
    }
)
"""Total: each in words."""

_WAITS: Mapping[State, WaitsFor] = MappingProxyType(
    {
        State.ADMITTED: WaitsFor.START,
        State.ACCEPTED: WaitsFor.START,
        State.CREATED: WaitsFor.START,
        State.STARTING: WaitsFor.START,
        State.RUNNING: WaitsFor.END,
        State.EXITED: WaitsFor.DELIVERY,
        State.REPORTED: WaitsFor.VERDICT,
        State.SIGNED: WaitsFor.RECEIPT,
        State.SETTLED: WaitsFor.NOTHING,
        State.LOST: WaitsFor.NEVER,
    }
)
"""Total: every state has a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Earning:
    """What one job has paid, or will; amounts in base units, times in Unix milliseconds."""

    job_id: str
    state: str
    reason: str
    taken_ms: int
    ended_ms: int | None
    at_ms: int
    """When it was paid; before that when it ended, and before that when it was taken."""
    price: int
    paid: int
    pending: int
    """By our own report; of a job that has not ended its whole price."""
    at_most: bool
    """Whether `pending` may still become less."""
    waits_for: WaitsFor
    why: str
    """More on that; a text of the Oracle's may be in it."""
    settlement_tx_id: str


@dataclass(frozen=True, slots=True)
class Period:
    """A day or a month, and what its jobs have paid and will pay."""

    name: str
    jobs: int
    paid: int
    pending: int


def worth_of(report: OutboxRow) -> int:
    """Return what a report comes to for this node by its own facts, in base units."""
    reason = Reason(report.reason)
    return provider_share(report.price, reason, report.ran_ms, report.time_limit_s)


def earning_of(row: EarningRow) -> Earning:
    """Return what a job has paid, or will."""
    waits = _WAITS[row.state]
    if waits is WaitsFor.VERDICT and row.why:
        waits = WaitsFor.OUR_SIGNATURE
    is_paid = waits is WaitsFor.NOTHING
    is_open = waits in {WaitsFor.START, WaitsFor.END}
    ended_ms = row.finished_ms
    return Earning(
        job_id=row.job_id,
        state=row.state.value,
        reason=row.reason,
        taken_ms=row.admitted_ms,
        ended_ms=ended_ms,
        at_ms=row.changed_ms if is_paid else row.admitted_ms if ended_ms is None else ended_ms,
        price=row.price,
        paid=(row.earned or 0) if is_paid else 0,
        pending=_pending(row, waits),
        at_most=is_open,
        waits_for=waits,
        why=row.why,
        settlement_tx_id=row.settlement_tx_id,
    )


def by_period(earnings: Iterable[Earning], name_of: Callable[[int], str]) -> tuple[Period, ...]:
    """Return the sums of each period, oldest first; `name_of` names that of a time in ms."""
    sums: dict[str, list[int]] = {}
    for each in earnings:
        found = sums.setdefault(name_of(each.at_ms), [0, 0, 0])
        for place, amount in enumerate((1, each.paid, each.pending)):
            found[place] += amount
    return tuple(Period(name, *sums[name]) for name in sorted(sums))


def _pending(row: EarningRow, waits: WaitsFor) -> int:
    if waits in {WaitsFor.NOTHING, WaitsFor.NEVER}:
        return 0
    if waits is WaitsFor.RECEIPT and row.earned is not None:
        return row.earned
    if not row.reason:
        return row.price
    return provider_share(row.price, Reason(row.reason), row.ran_ms, row.time_limit_s)
