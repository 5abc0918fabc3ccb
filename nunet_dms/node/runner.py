"""The only place that knows the order of one job.

`advance` looks at a job's state and hands what blocks to the pool; `handle` takes what came of
it. Neither blocks, but for commits to the journal. A job's failure is a `Failure`; an exception
from a task means that we failed: silence is retried, anything else ends the job as the node's
fault, so that nobody pays for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from nunet_dms.errors import NunetError, RefusedError, UnreachableError
from nunet_dms.node.admission import VerifiedJob
from nunet_dms.node.checkpoints import DRAIN_CHECKPOINT_S, DRAIN_LOOK_S, Checkpoints
from nunet_dms.node.delivery import deliver, save_results
from nunet_dms.node.deps import Deps
from nunet_dms.node.ending import Ending, end_of, frozen_report
from nunet_dms.node.engine.profile import container_name
from nunet_dms.node.engine.types import Facts, Failure
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.live import Live, ask, ask_stop
from nunet_dms.node.logs import finished
from nunet_dms.node.pool import Outcome, Task
from nunet_dms.node.prepare import Prepared, prepare
from nunet_dms.node.rows import JobRow
from nunet_dms.node.running import Running
from nunet_dms.node.states import State
from nunet_dms.protocol.job import Manifest
from nunet_dms.protocol.report import Reason

log = logging.getLogger(__name__)


class Runner:
    """Runs the jobs that the journal holds."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._live: dict[str, Live] = {}
        self.checkpoints = Checkpoints(deps)
        self._running = Running(deps, self.checkpoints, self._store_end)
        self._advance: dict[State, Callable[[Live], None]] = {
            State.ADMITTED: self._accept,
            State.ACCEPTED: self._prepare,
            State.CREATED: self._intend_start,
            State.STARTING: self._start,
            State.RUNNING: self._running.advance,
            State.EXITED: self._deliver,
            State.REPORTED: self._clean,
            State.SIGNED: self._clean,
            State.LOST: self._clean,
            State.SETTLED: self._clean,
        }
        self._handle: dict[str, Callable[[Live, object], None]] = {
            **self._running.handle,
            **self.checkpoints.handle,
            "accept": self._accepted,
            "prepare": self._prepared,
            "start": self._started,
            "deliver": self._delivered,
            "clean": self._cleaned,
        }

    def take(self, row: JobRow, job: VerifiedJob) -> None:
        """Go on with a job that the journal holds, new or from before a restart."""
        folder = JobFolder(self._deps.jobs_dir / row.job_id)
        name = container_name(self._deps.identity.node_id, row.job_id, row.attempt)
        self._live[row.job_id] = Live(row, job, folder, name)

    def rows(self) -> tuple[JobRow, ...]:
        """Return the jobs in hand."""
        return tuple(live.row for live in self._live.values())

    def stop(self, job_id: str, reason: Reason) -> None:
        """Have a job stopped, once; the first reason stays."""
        live = self._live.get(job_id)
        if live is not None:
            ask_stop(self._deps, live, reason)

    def replace(self, row: JobRow) -> None:
        """Take note of a move that was made elsewhere (settlement)."""
        if row.job_id in self._live:
            self._live[row.job_id].row = row

    def advance(self) -> None:
        """Do for every job what its state asks for."""
        for live in list(self._live.values()):
            self._advance[live.row.state](live)
            if live.cleaned and live.row.state in {State.SETTLED, State.LOST}:
                self.checkpoints.forget(live)
                del self._live[live.row.job_id]

    def drain(self) -> None:
        """Save running jobs once more, within DRAIN_CHECKPOINT_S; nothing else is begun."""
        deps = self._deps
        ends_s = deps.clock.monotonic_s() + DRAIN_CHECKPOINT_S
        while self._saves_any() and deps.clock.monotonic_s() < ends_s:
            deps.pool.wake.wait(DRAIN_LOOK_S)
            for outcome in deps.pool.collect():
                if outcome.task.what in self.checkpoints.handle:  # the rest is asked for again
                    self.handle(outcome)

    def handle(self, outcome: Outcome) -> None:
        """Take what came of a task."""
        live, task = self._live.get(outcome.task.job_id), outcome.task
        if live is None:
            return
        if outcome.error is None:
            self._deps.backoff.clear(task)
            self._handle[task.what](live, outcome.value)
            return
        delay_s = self._deps.backoff.fail(task, self._deps.clock.monotonic_s())
        quiet = isinstance(outcome.error, UnreachableError)
        log.log(
            logging.WARNING if quiet else logging.ERROR,
            "task_failed job=%s task=%s retry_s=%.1f: %s",
            task.job_id, task.what, delay_s, outcome.error,
            exc_info=None if isinstance(outcome.error, NunetError) else outcome.error,
        )  # fmt: skip
        if not quiet:
            self._failed(live, task, outcome.error)

    def _failed(self, live: Live, task: Task, error: Exception) -> None:
        """End what cannot go on; a task without a word here is tried again."""
        refused = isinstance(error, RefusedError)
        if task.what == "accept" and refused:
            live.row = self._deps.journal.move(live.row, State.LOST, str(error))
        elif task.what == "deliver" and refused:
            live.row = self._deps.journal.parked(live.row, str(error))
        elif task.what == "ship" and refused:
            live.ships = False
        elif task.what in self.checkpoints.handle:
            self.checkpoints.failed(live, task.what, error)
        elif task.what in {"prepare", "start"}:
            reason = Reason.START_ERROR if refused else Reason.NODE_FAULT
            self._end(live, Failure(reason, str(error)), None)

    def _saves_any(self) -> bool:
        running = [live for live in self._live.values() if live.row.state is State.RUNNING]
        return any([self.checkpoints.drain(live) for live in running if not live.ended])  # noqa: C419 - every one is to be begun

    # One pair of methods for each state: what to ask for, and what to make of the answer.

    def _accept(self, live: Live) -> None:
        row = live.row
        ask(self._deps, live, "accept", lambda: self._deps.oracle.accept(row.job_id, row.ticket_id))

    def _accepted(self, live: Live, _value: object) -> None:
        live.row = self._deps.journal.move(live.row, State.ACCEPTED)
        log.info("job_accepted job=%s", live.row.job_id)

    def _prepare(self, live: Live) -> None:
        if self._stopped_early(live):
            return
        deps, row, job = self._deps, live.row, live.job
        ask(self._deps, live, "prepare", lambda: prepare(deps, row, job, live.folder, live.name))

    def _prepared(self, live: Live, value: object) -> None:
        if isinstance(value, Prepared):
            live.row = self._deps.journal.created(live.row, value.container_id, value.image_id)
        elif isinstance(value, Failure):
            self._end(live, value, None)

    def _intend_start(self, live: Live) -> None:
        if not self._stopped_early(live):
            live.row = self._deps.journal.move(live.row, State.STARTING)
            self._start(live)

    def _start(self, live: Live) -> None:
        engine, name = self._deps.engine, live.name

        def start() -> Facts | Failure | None:
            facts = engine.facts(name)
            if facts is None:
                return Failure(Reason.NODE_FAULT, "the container vanished before it started")
            return engine.start(facts.container_id) or engine.facts(name)

        ask(self._deps, live, "start", start)

    def _started(self, live: Live, value: object) -> None:
        if isinstance(value, Failure):
            self._end(live, value, None)
        elif isinstance(value, Facts) and value.started_ms is not None:
            live.row = self._deps.journal.started(live.row, value.started_ms, self._deps.boot_id)
            log.info("job_started job=%s container=%s", live.row.job_id, value.container_id[:12])
        else:
            self._end(live, Failure(Reason.NODE_FAULT, "the container did not start"), None)

    def _deliver(self, live: Live) -> None:
        if not self.checkpoints.finish(live):
            return
        oracle, row, folder = self._deps.oracle, live.row, live.folder
        body = self._deps.journal.report(row.job_id)
        ask(self._deps, live, "deliver", lambda: deliver(oracle, row.job_id, folder, body))

    def _delivered(self, live: Live, _value: object) -> None:
        live.row = self._deps.journal.reported(live.row)
        log.info("job_reported job=%s reason=%s", live.row.job_id, live.row.reason)

    def _clean(self, live: Live) -> None:
        if live.cleaned:
            return
        engine, name, folder = self._deps.engine, live.name, live.folder

        def clean() -> None:
            engine.remove(name)
            folder.clean()

        ask(self._deps, live, "clean", clean)

    def _cleaned(self, live: Live, _value: object) -> None:
        live.cleaned = True

    def _stopped_early(self, live: Live) -> bool:
        """End a job that is to be stopped and has not started."""
        if not live.row.stop_reason:
            return False
        self._end(live, Failure(Reason(live.row.stop_reason), "stopped before it started"), None)
        return True

    def _end(self, live: Live, failure: Failure, facts: Facts | None) -> None:
        """End a job that left no results."""
        nothing = Manifest()
        save_results(live.folder, nothing)
        ending = Ending(failure, facts, finished(live.folder.log), nothing, results_complete=True)
        self._store_end(live, ending)

    def _store_end(self, live: Live, ending: Ending) -> None:
        live.row = self._deps.journal.find(live.row.job_id) or live.row  # with the last usage
        key, body = frozen_report(self._deps.identity, live.row, ending)
        live.row = self._deps.journal.ended(live.row, end_of(live.row, ending), key, body)
        log.info("job_ended job=%s reason=%s", live.row.job_id, live.row.reason)
