"""Workers with one fault each, of the kinds that lose a job or count one twice.

A sweep that does not find them is no proof. Each takes the function that passes a crash point:
where a mutant splits what belongs together, the place between is a point too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from nunet_dms.node import delivery, running
from nunet_dms.node.admission import read_offer
from nunet_dms.node.ending import Ending, frozen_report
from nunet_dms.node.engine.docker import DockerEngine
from nunet_dms.node.engine.types import Failure
from nunet_dms.node.inbox import InboxHandler
from nunet_dms.node.journal import Journal
from nunet_dms.node.live import Live
from nunet_dms.node.rows import JobEnd, JobRow
from nunet_dms.node.states import State
from nunet_dms.protocol.node import Offer

PassBy = Callable[[str], None]


def always_start(_pass_by: PassBy) -> None:
    """Start whatever has the name: a container that has ended runs a second time."""

    def start(self: DockerEngine, container_id: str) -> Failure | None:
        self._docker.api.start(container_id)
        return None

    DockerEngine.start = start  # type: ignore[method-assign]


def report_then_store(pass_by: PassBy) -> None:
    """Make a report and send it, then store it: a worker that dies between makes another one."""
    collect = running.Running._collect

    def collected(self: running.Running, live: Live, *seen: Any) -> object:
        ending = collect(self, live, *seen)
        if isinstance(ending, Ending):
            failure = replace(ending.failure, detail=f"reported at {time.time_ns()}")
            ending = replace(ending, failure=failure)
            _, body = frozen_report(self._deps.identity, live.row, ending)
            delivery.deliver(self._deps.oracle, live.row.job_id, live.folder, body)
            pass_by("mutant: sent, not stored")
        return ending

    running.Running._collect = collected  # type: ignore[method-assign, assignment]


def exit_and_outbox_split(pass_by: PassBy) -> None:
    """Store the exit in one transaction and the report in the next."""

    def ended(self: Journal, job: JobRow, end: JobEnd, key: str, report: bytes) -> JobRow:
        values: dict[str, Any] = {each.name: getattr(end, each.name) for each in fields(end)}
        with self._transaction:
            self._write("set_end", job_id=job.job_id, **values)
            row = self._move(job, State.EXITED, end.reason)
        pass_by("mutant: exit stored, report not")
        with self._transaction:
            self._write("insert_report", key=key, job_id=job.job_id, body=report)
        return row

    Journal.ended = ended  # type: ignore[method-assign]


def accept_then_store(pass_by: PassBy) -> None:
    """Take a job at the Oracle before the journal has it: a worker that dies between forgets it."""
    take = InboxHandler._take_offer

    def take_offer(self: InboxHandler, offer: Offer) -> None:
        if self.oracle is not None:
            job = read_offer(offer, offer.ticket.public_key)
            self._deps.oracle.accept(job.job_id, job.ticket.ticket_id)
            pass_by("mutant: accepted, not stored")
        take(self, offer)

    InboxHandler._take_offer = take_offer  # type: ignore[method-assign]


MUTANTS: dict[str, Callable[[PassBy], None]] = {
    each.__name__: each
    for each in (always_start, report_then_store, exit_and_outbox_split, accept_then_store)
}
