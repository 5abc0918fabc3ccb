"""A job in hand: its row, its verified content, and what only this process knows of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nunet_dms.node.admission import VerifiedJob
from nunet_dms.node.deps import Deps
from nunet_dms.node.ending import Moment
from nunet_dms.node.engine.types import PullProgress
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.limits import limit_of
from nunet_dms.node.logs import LogEnd
from nunet_dms.node.pool import Task
from nunet_dms.node.rows import JobRow
from nunet_dms.node.states import State
from nunet_dms.protocol.phase import Phase
from nunet_dms.protocol.report import Reason


@dataclass(slots=True)
class Live:
    """One job in hand."""

    row: JobRow
    job: VerifiedJob
    folder: JobFolder
    name: str
    image_id: str = ""
    """Once the image is here."""
    pull_ends_s: float | None = None
    pull_noted: bool = False
    """The journal knows that the image is to be pulled by us."""
    pull_problem: Exception | None = None
    """The last silence, of registry or engine."""
    pulling: PullProgress | None = None
    """How far the pull is, while there is one; its thread writes it."""
    deadline_s: float | None = None
    log_end: LogEnd | None = None
    ended: Moment | None = None
    """When we saw that its container had ended."""
    shipped: int = 0
    ships: bool = True
    sample_at_s: float = 0.0
    cleaned: bool = False
    lease_lost: bool = False


def phase_of(live: Live) -> Phase:
    """Return what a job is at, for its requester to see."""
    if live.row.state is State.RUNNING:
        return Phase(name="running")
    if (seen := live.pulling) is None:
        return Phase(name="preparing")
    return Phase(name="pulling", done_bytes=seen.done_bytes, total_bytes=seen.total_bytes)


def ask(
    deps: Deps,
    live: Live,
    what: str,
    work: Callable[[], object],
    *,
    limit_s: float | None = None,
) -> None:
    """Hand something that blocks to the pool, unless it is under way or to be tried later.

    Its limit is that of its kind, if no other is given.
    """
    task = Task(live.row.job_id, what)
    if deps.backoff.is_ready(task, deps.clock.monotonic_s()):
        deps.pool.submit(task, work, limit_of(what) if limit_s is None else limit_s)


def ask_stop(deps: Deps, live: Live, reason: Reason) -> None:
    """Note that a job is to be stopped, once; the first reason stays."""
    if not live.row.stop_reason:
        live.row = deps.journal.ask_stop(live.row, reason.value)
