"""A job while its container runs: its log, its limits, its end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from nunet_dms.node.checkpoints import Checkpoints
from nunet_dms.node.delivery import log_bytes, save_results, ship_log
from nunet_dms.node.deps import Deps
from nunet_dms.node.ending import (
    UNTOLD,
    Ending,
    Evidence,
    Moment,
    classify,
    may_lack_output,
    ran_ms,
)
from nunet_dms.node.engine.types import Facts, Usage
from nunet_dms.node.limits import STOP_GRACE_S, WAIT_S
from nunet_dms.node.live import Live, ask, ask_stop
from nunet_dms.node.logs import LogEnd, finished, pump
from nunet_dms.node.pool import Task
from nunet_dms.protocol.job import MB
from nunet_dms.protocol.report import Reason

log = logging.getLogger(__name__)

SAMPLE_EVERY_S = 2.0
"""Between two looks at what a job uses; a job may overshoot its disk by what it writes in it."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The container lives, under another name than we gave it."""

    container_id: str


class Running:
    """What the runner does with a job in state RUNNING; `store_end` moves it on."""

    def __init__(
        self, deps: Deps, checkpoints: Checkpoints, store_end: Callable[[Live, Ending], None]
    ) -> None:
        self._deps = deps
        self._checkpoints = checkpoints
        self._store_end = store_end
        self.handle: dict[str, Callable[[Live, object], None]] = {
            "log": self._log_ended,
            "wait": self._waited,
            "sample": self._sampled,
            "ship": self._shipped,
            "stop": lambda _live, _value: None,
            "collect": self._collected,
        }

    def advance(self, live: Live) -> None:
        """Do what a running job asks for."""
        deps, name, path = self._deps, live.name, live.folder.log
        if live.log_end is None:
            engine, grew = deps.engine, deps.pool.wake.set
            ask(deps, live, "log", lambda: pump(partial(engine.records, name), path, grew))
        self._ship(live)
        if live.ended is not None:
            if live.log_end is not None:
                ended = live.ended
                ask(deps, live, "collect", lambda: self._collect(live, ended))
            return
        self._checkpoints.advance(live)
        ask(deps, live, "wait", lambda: deps.engine.wait(name, WAIT_S))
        if live.row.stop_reason:
            ask(deps, live, "stop", lambda: deps.engine.stop(name, STOP_GRACE_S))
        else:
            self._watch_limits(live)

    def _watch_limits(self, live: Live) -> None:
        """Hold a job to its time; look now and then at what it uses."""
        now_s = self._deps.clock.monotonic_s()
        if live.deadline_s is None:
            live.deadline_s = self._started_s(live) + live.row.time_limit_s
        if now_s >= live.deadline_s:
            ask_stop(self._deps, live, Reason.TIME_LIMIT)
        elif now_s >= live.sample_at_s:
            live.sample_at_s = now_s + SAMPLE_EVERY_S
            engine, name, folder = self._deps.engine, live.name, live.folder
            ask(self._deps, live, "sample", lambda: (engine.usage(name), folder.used_bytes()))

    def _started_s(self, live: Live) -> float:
        """Return its start by the monotonic clock, which no setting of the wall clock moves."""
        clock, row = self._deps.clock, live.row
        if row.started_mono_ms is not None and row.boot_id == self._deps.boot_id:
            return row.started_mono_ms / 1000
        # Of another boot, or started by a release that did not note it.
        return clock.monotonic_s() - max(clock.now_ms() - (row.started_ms or 0), 0) / 1000

    def _sampled(self, live: Live, value: object) -> None:
        usage, used_bytes = value if isinstance(value, tuple) else (None, 0)
        if isinstance(usage, Usage):
            self._deps.journal.usage(live.row.job_id, usage.cpu_ms, usage.ram_peak_mb)
        if used_bytes > live.row.disk_mb * MB:
            ask_stop(self._deps, live, Reason.DISK_LIMIT)

    def _log_ended(self, live: Live, value: object) -> None:
        live.log_end = value if isinstance(value, LogEnd) else None

    def _waited(self, live: Live, value: object) -> None:
        clock = self._deps.clock
        if value is True:
            live.ended = Moment(clock.now_ms(), clock.mono_ms())
        else:  # a wait that ends at once must not turn into a whirl
            self._deps.backoff.fail(Task(live.row.job_id, "wait"), clock.monotonic_s())

    def _ship(self, live: Live) -> None:
        """Send what the log has grown by, so that the requester sees it live."""
        path = live.folder.log
        if live.ships and log_bytes(path) > live.shipped:
            oracle, job_id, offset = self._deps.oracle, live.row.job_id, live.shipped
            ask(self._deps, live, "ship", lambda: ship_log(oracle, job_id, path, offset))

    def _shipped(self, live: Live, value: object) -> None:
        if isinstance(value, int):
            live.shipped = value

    def _collect(self, live: Live, ended: Moment) -> Ending | Moved:
        """Gather facts, history and results; raises EngineUnreachableError while it is away."""
        engine, row = self._deps.engine, live.row
        facts = self._find(live)
        if facts is not None and facts.is_alive:
            return Moved(facts.container_id)
        evidence = Evidence(
            facts,
            UNTOLD if facts is None else engine.history(facts.container_id),
            engine.keeps_running(),
            self._deps.boot_id,
            ended,
        )
        failure = classify(row, evidence)
        results, whole = live.folder.collect(row.disk_mb * MB)
        save_results(live.folder, results)
        log_end = live.log_end or finished(live.folder.log)
        if may_lack_output(evidence):
            log_end = replace(log_end, complete=False)
        return Ending(failure, facts, ran_ms(row, evidence), log_end, results, whole)

    def _find(self, live: Live) -> Facts | None:
        """Look for the container by its name, then by its label: only then it is gone."""
        engine = self._deps.engine
        facts = engine.facts(live.name)
        if facts is None:
            for owned in engine.owned(self._deps.identity.node_id):
                if owned.job_id == live.row.job_id:
                    return engine.facts(owned.container_id)
        return facts

    def _collected(self, live: Live, value: object) -> None:
        if isinstance(value, Ending):
            self._store_end(live, value)
        elif isinstance(value, Moved):
            log.warning("container_moved job=%s container=%s", live.row.job_id, value.container_id)
            live.name, live.ended = value.container_id, None
