"""The only place that knows the order of one job.

`advance` looks at a job's state and hands what blocks to the pool; `handle` takes what came of
it. Neither blocks, but for commits to the journal. A job's failure is a `Failure`; an exception
from a task means that we failed: silence is retried, anything else ends the job as the node's
fault, so that nobody pays for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from nunet_dms.errors import NunetError, RefusedError, UnreachableError
from nunet_dms.node.admission import VerifiedJob
from nunet_dms.node.delivery import deliver, save_results, ship_log
from nunet_dms.node.deps import Deps
from nunet_dms.node.ending import Ending, classify, end_of, frozen_report
from nunet_dms.node.engine.profile import container_name
from nunet_dms.node.engine.types import Facts, Failure, Usage
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.logs import LogEnd, finished, pump
from nunet_dms.node.pool import Outcome, Task
from nunet_dms.node.prepare import Prepared, prepare
from nunet_dms.node.rows import JobRow
from nunet_dms.node.states import State
from nunet_dms.protocol.job import Manifest
from nunet_dms.protocol.report import Reason

log = logging.getLogger(__name__)

STOP_GRACE_S = 10
"""Between SIGTERM and SIGKILL of a job."""
WAIT_S = 30
"""Of one wait for a container's end; then it is asked again."""
SAMPLE_EVERY_S = 2.0
"""Between two looks at what a job uses; a job may overshoot its disk by what it writes in it."""


@dataclass(slots=True)
class Live:
    """A job in hand: its row, its verified content, and what only this process knows of it."""

    row: JobRow
    job: VerifiedJob
    folder: JobFolder
    name: str
    deadline_s: float | None = None
    log_end: LogEnd | None = None
    ended: bool = False
    shipped: int = 0
    ships: bool = True
    sample_at_s: float = 0.0
    cleaned: bool = field(default=False)


class Runner:
    """Runs the jobs that the journal holds."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._live: dict[str, Live] = {}
        self._advance: dict[State, Callable[[Live], None]] = {
            State.ADMITTED: self._accept,
            State.ACCEPTED: self._prepare,
            State.CREATED: self._intend_start,
            State.STARTING: self._start,
            State.RUNNING: self._run,
            State.EXITED: self._deliver,
            State.REPORTED: self._clean,
            State.SIGNED: self._clean,
            State.LOST: self._clean,
            State.SETTLED: self._clean,
        }
        self._handle: dict[str, Callable[[Live, object], None]] = {
            "accept": self._accepted,
            "prepare": self._prepared,
            "start": self._started,
            "log": self._log_ended,
            "wait": self._waited,
            "sample": self._sampled,
            "ship": self._shipped,
            "stop": lambda _live, _value: None,
            "collect": self._collected,
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
        if live is not None and not live.row.stop_reason:
            live.row = self._deps.journal.ask_stop(live.row, reason.value)

    def replace(self, row: JobRow) -> None:
        """Take note of a move that was made elsewhere (settlement)."""
        if row.job_id in self._live:
            self._live[row.job_id].row = row

    def advance(self) -> None:
        """Do for every job what its state asks for."""
        for live in list(self._live.values()):
            self._advance[live.row.state](live)
            if live.cleaned and live.row.state in {State.SETTLED, State.LOST}:
                del self._live[live.row.job_id]

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
        elif task.what in {"prepare", "start"}:
            reason = Reason.START_ERROR if refused else Reason.NODE_FAULT
            self._end(live, Failure(reason, str(error)), None)

    def _task(self, live: Live, what: str, work: Callable[[], object]) -> None:
        task = Task(live.row.job_id, what)
        if self._deps.backoff.is_ready(task, self._deps.clock.monotonic_s()):
            self._deps.pool.submit(task, work)

    # One pair of methods for each state: what to ask for, and what to make of the answer.

    def _accept(self, live: Live) -> None:
        row = live.row
        self._task(live, "accept", lambda: self._deps.oracle.accept(row.job_id, row.ticket_id))

    def _accepted(self, live: Live, _value: object) -> None:
        live.row = self._deps.journal.move(live.row, State.ACCEPTED)
        log.info("job_accepted job=%s", live.row.job_id)

    def _prepare(self, live: Live) -> None:
        if self._stopped_early(live):
            return
        deps, row, job = self._deps, live.row, live.job
        self._task(live, "prepare", lambda: prepare(deps, row, job, live.folder, live.name))

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

        self._task(live, "start", start)

    def _started(self, live: Live, value: object) -> None:
        if isinstance(value, Failure):
            self._end(live, value, None)
        elif isinstance(value, Facts) and value.started_ms is not None:
            live.row = self._deps.journal.started(live.row, value.started_ms, self._deps.boot_id)
            log.info("job_started job=%s container=%s", live.row.job_id, value.container_id[:12])
        else:
            self._end(live, Failure(Reason.NODE_FAULT, "the container did not start"), None)

    def _run(self, live: Live) -> None:
        deps, name, path = self._deps, live.name, live.folder.log
        if live.log_end is None:
            self._task(live, "log", lambda: pump(deps.engine.logs(name), path, deps.pool.wake.set))
        self._ship(live)
        if live.ended:
            if live.log_end is not None:
                self._task(live, "collect", lambda: self._collect(live))
            return
        self._task(live, "wait", lambda: deps.engine.wait(name, WAIT_S))
        if live.row.stop_reason:
            self._task(live, "stop", lambda: deps.engine.stop(name, STOP_GRACE_S))
        else:
            self._watch_limits(live)

    def _watch_limits(self, live: Live) -> None:
        """Hold a job to its time; look now and then at what it uses."""
        now_s = self._deps.clock.monotonic_s()
        if live.deadline_s is None:
            ran_s = max(self._deps.clock.now_ms() - (live.row.started_ms or 0), 0) / 1000
            live.deadline_s = now_s + max(live.row.time_limit_s - ran_s, 0.0)
        if now_s >= live.deadline_s:
            self.stop(live.row.job_id, Reason.TIME_LIMIT)
        elif now_s >= live.sample_at_s:
            live.sample_at_s = now_s + SAMPLE_EVERY_S
            engine, name, folder = self._deps.engine, live.name, live.folder
            self._task(live, "sample", lambda: (engine.usage(name), folder.used_bytes()))

    def _sampled(self, live: Live, value: object) -> None:
        usage, used_bytes = value if isinstance(value, tuple) else (None, 0)
        if isinstance(usage, Usage):
            self._deps.journal.usage(live.row.job_id, usage.cpu_ms, usage.ram_peak_mb)
        if used_bytes > live.row.disk_mb * 1024 * 1024:
            self.stop(live.row.job_id, Reason.DISK_LIMIT)

    def _log_ended(self, live: Live, value: object) -> None:
        live.log_end = value if isinstance(value, LogEnd) else None

    def _waited(self, live: Live, value: object) -> None:
        live.ended = value is True

    def _ship(self, live: Live) -> None:
        """Send what the log has grown by, so that the requester sees it live."""
        path = live.folder.log
        if live.ships and path.exists() and path.stat().st_size > live.shipped:
            oracle, job_id, offset = self._deps.oracle, live.row.job_id, live.shipped
            self._task(live, "ship", lambda: ship_log(oracle, job_id, path, offset))

    def _shipped(self, live: Live, value: object) -> None:
        if isinstance(value, int):
            live.shipped = value

    def _collect(self, live: Live) -> Ending:
        facts = self._deps.engine.facts(live.name)
        failure = classify(facts, live.row, self._deps.boot_id)
        results, whole = live.folder.collect(live.row.disk_mb * 1024 * 1024)
        save_results(live.folder, results)
        return Ending(failure, facts, live.log_end or finished(live.folder.log), results, whole)

    def _collected(self, live: Live, value: object) -> None:
        if isinstance(value, Ending):
            self._store_end(live, value)

    def _deliver(self, live: Live) -> None:
        oracle, row, folder = self._deps.oracle, live.row, live.folder
        body = self._deps.journal.report(row.job_id)
        self._task(live, "deliver", lambda: deliver(oracle, row.job_id, folder, body))

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

        self._task(live, "clean", clean)

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
