"""The only place that knows the order of one job.

`advance` looks at a job's state and hands what blocks to the pool; `handle` takes what came of
it. Neither blocks, but for commits to the journal. A job's failure is a `Failure`; an exception
from a task means that we failed: silence is retried, anything else ends the job as the node's
fault, so that nobody pays for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from nunet_dms.errors import (
    EngineUnreachableError,
    NunetError,
    RefusedError,
    UnreachableError,
)
from nunet_dms.node.admission import VerifiedJob
from nunet_dms.node.checkpoints import DRAIN_CHECKPOINT_S, DRAIN_LOOK_S, Checkpoints
from nunet_dms.node.delivery import UndeliverableError, deliver, save_results
from nunet_dms.node.deps import Deps
from nunet_dms.node.ending import Ending, end_of, frozen_report
from nunet_dms.node.engine.profile import container_name
from nunet_dms.node.engine.types import Failure
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.journal_trouble import JournalFullError
from nunet_dms.node.live import Live, ask, ask_stop, phase_of
from nunet_dms.node.logs import finished
from nunet_dms.node.poison import Quarantine, is_poison
from nunet_dms.node.pool import Outcome, Task
from nunet_dms.node.rows import JobRow
from nunet_dms.node.running import Running
from nunet_dms.node.starting import Starting
from nunet_dms.node.states import AT_WORK, State
from nunet_dms.protocol.job import Manifest
from nunet_dms.protocol.phase import JobProgress
from nunet_dms.protocol.report import Reason

log = logging.getLogger(__name__)

LEASE_LOST = "the Oracle gave the job up: it had not heard of this node for too long"
_RUNNING = frozenset({State.RUNNING})
_ASKED_IN: dict[str, frozenset[State]] = {
    "accept": frozenset({State.ADMITTED}),
    "prepare": frozenset({State.ACCEPTED}),
    "start": frozenset({State.STARTING}),
    "wait": _RUNNING,
    "sample": _RUNNING,
    "collect": _RUNNING,
    "deliver": frozenset({State.EXITED}),
}
"""In which states the answer to a task counts; where there is no row, in all."""
_ASK_ENGINE = frozenset({"start", "wait", "sample", "stop", "collect"})
"""Tasks that speak to the engine alone: their silence is the engine's."""


class Runner:
    """Runs the jobs that the journal holds."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._live: dict[str, Live] = {}
        self._told: dict[str, str] = {}
        """What each job was at when that was last told."""
        self._starting = Starting(deps, self._end)
        self.checkpoints = Checkpoints(deps)
        self._running = Running(deps, self.checkpoints, self._store_end)
        self._quarantine = Quarantine(deps, self._store_end)
        self._advance: dict[State, Callable[[Live], None]] = {
            State.ADMITTED: self._accept,
            State.ACCEPTED: self._starting.prepare,
            State.CREATED: self._starting.intend_start,
            State.STARTING: self._starting.start,
            State.RUNNING: self._running.advance,
            State.EXITED: self._deliver,
            State.REPORTED: self._clean,
            State.SIGNED: self._clean,
            State.LOST: self._clean,
            State.SETTLED: self._clean,
        }
        self._handle: dict[str, Callable[[Live, object], None]] = {
            **self._starting.handle,
            **self._running.handle,
            **self._quarantine.handle,
            **self.checkpoints.handle,
            "accept": self._accepted,
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

    def progress(self) -> tuple[JobProgress, ...]:
        """Return what each job that we have accepted and that has not ended is at; told now."""
        self._told = self._phase_names()
        return tuple(
            JobProgress(job_id=job_id, phase=phase_of(self._live[job_id])) for job_id in self._told
        )

    @property
    def has_news(self) -> bool:
        """Whether a job is at something else than was last told."""
        return self._phase_names() != self._told

    def _phase_names(self) -> dict[str, str]:
        lives = [live for live in self._live.values() if live.row.state in AT_WORK]
        return {live.row.job_id: phase_of(live).name for live in lives}

    def stop(self, job_id: str, reason: Reason) -> None:
        """Have a job stopped, once; the first reason stays."""
        live = self._live.get(job_id)
        if live is not None:
            ask_stop(self._deps, live, reason)

    def lose(self, job_id: str) -> None:
        """Stop a job that the Oracle gave up, and say so in its story, once."""
        live = self._live.get(job_id)
        if live is None or live.lease_lost:
            return
        live.lease_lost = True
        log.warning("lease_lost job=%s", job_id)
        self._deps.journal.note(job_id, "lease_lost", LEASE_LOST)
        ask_stop(self._deps, live, Reason.NODE_FAULT)

    def replace(self, row: JobRow) -> None:
        """Take note of a move that was made elsewhere (settlement)."""
        if row.job_id in self._live:
            self._live[row.job_id].row = row

    def advance(self) -> None:
        """Do for every job what its state asks for; where one finds no room, the others go on.

        Raises JournalFullError then, in the end.
        """
        full: JournalFullError | None = None
        for live in list(self._live.values()):
            is_shut_off = is_poison(live.row)
            act = self._quarantine.advance if is_shut_off else self._advance[live.row.state]
            try:
                act(live)
            except JournalFullError as error:
                full = error
            if live.cleaned and live.row.state in {State.SETTLED, State.LOST}:
                self.checkpoints.forget(live)
                del self._live[live.row.job_id]
        if full is not None:
            raise full

    def drain(self, hurried: Callable[[], bool]) -> None:
        """Save running jobs once more, within DRAIN_CHECKPOINT_S; nothing else is begun.

        Once `hurried` says so, nothing more is waited for: the next worker saves them again.
        """
        deps = self._deps
        ends_s = deps.clock.monotonic_s() + DRAIN_CHECKPOINT_S
        while not hurried() and self._saves_any() and deps.clock.monotonic_s() < ends_s:
            deps.pool.wake.wait(DRAIN_LOOK_S)
            for outcome in deps.pool.collect():
                if outcome.task.what in self.checkpoints.handle:  # the rest is asked for again
                    self.handle(outcome)

    def handle(self, outcome: Outcome) -> None:
        """Take what came of a task; where it cannot be written down, the task is to be repeated."""
        live, task = self._live.get(outcome.task.job_id), outcome.task
        if live is None or live.row.state not in _ASKED_IN.get(task.what, State):
            return  # it comes too late: the job has moved on
        if outcome.error is None:
            self._take(live, task, outcome.value)
            return
        delay_s = self._deps.backoff.fail(task, self._deps.clock.monotonic_s())
        quiet = isinstance(outcome.error, UnreachableError)
        log.log(
            logging.WARNING if quiet else logging.ERROR,
            "task_failed job=%s task=%s retry_s=%.1f: %s",
            task.job_id, task.what, delay_s, outcome.error,
            exc_info=None if isinstance(outcome.error, NunetError) else outcome.error,
        )  # fmt: skip
        if quiet:
            self._silent(live, task, outcome.error)
        else:
            self._failed(live, task, outcome.error)

    def _take(self, live: Live, task: Task, value: object) -> None:
        self._deps.backoff.clear(task)
        try:
            self._handle[task.what](live, value)
        except JournalFullError:
            self._deps.backoff.fail(task, self._deps.clock.monotonic_s())
            raise

    def _silent(self, live: Live, task: Task, error: Exception) -> None:
        """Note a silence that may explain how the job ends; all else goes on as it is."""
        if task.what == "pull":
            live.pull_problem = error
        runs = live.row.state in {State.STARTING, State.RUNNING}
        is_engine = task.what in _ASK_ENGINE or isinstance(error, EngineUnreachableError)
        if runs and is_engine and live.row.engine_gone_ms is None:
            live.row = self._deps.journal.engine_gone(live.row)

    def _failed(self, live: Live, task: Task, error: Exception) -> None:
        """End what cannot go on; a task without a word here is tried again."""
        refused = isinstance(error, RefusedError)
        if task.what == "accept" and refused:
            live.row = self._deps.journal.move(live.row, State.LOST, str(error))
        elif task.what == "deliver" and isinstance(error, UndeliverableError):
            live.row = self._deps.journal.parked(live.row, str(error))
        elif task.what == "ship" and refused:
            live.ships = False
        elif task.what in self.checkpoints.handle:
            self.checkpoints.failed(live, task.what, error)
        else:
            self._starting.failed(live, task.what, error, refused=refused)

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

    def _end(self, live: Live, failure: Failure) -> None:
        """End a job that did not run."""
        nothing = Manifest()
        with self._deps.journal.storage.told:
            save_results(live.folder, nothing)
        log_end = finished(live.folder.log)
        if live.row.state is State.STARTING and failure.reason is Reason.NODE_FAULT:
            log_end = replace(log_end, complete=False)  # it may have run, and is gone
        self._store_end(live, Ending(failure, None, 0, log_end, nothing, results_complete=True))

    def _store_end(self, live: Live, ending: Ending) -> None:
        live.row = self._deps.journal.find(live.row.job_id) or live.row  # with the last usage
        key, body = frozen_report(self._deps.identity, live.row, ending)
        live.row = self._deps.journal.ended(live.row, end_of(live.row, ending), key, body)
        log.info("job_ended job=%s reason=%s", live.row.job_id, live.row.reason)
