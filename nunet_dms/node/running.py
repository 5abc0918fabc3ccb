"""A job while its container runs: its log, its limits, its end."""

from __future__ import annotations

from collections.abc import Callable

from nunet_dms.node.checkpoints import Checkpoints
from nunet_dms.node.delivery import save_results, ship_log
from nunet_dms.node.deps import Deps
from nunet_dms.node.ending import Ending, classify
from nunet_dms.node.engine.types import Usage
from nunet_dms.node.live import Live, ask, ask_stop
from nunet_dms.node.logs import LogEnd, finished, pump
from nunet_dms.protocol.report import Reason

STOP_GRACE_S = 10
"""Between SIGTERM and SIGKILL of a job."""
WAIT_S = 30
"""Of one wait for a container's end; then it is asked again."""
SAMPLE_EVERY_S = 2.0
"""Between two looks at what a job uses; a job may overshoot its disk by what it writes in it."""


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
            grew = deps.pool.wake.set
            ask(deps, live, "log", lambda: pump(deps.engine.logs(name), path, grew))
        self._ship(live)
        if live.ended:
            if live.log_end is not None:
                ask(deps, live, "collect", lambda: self._collect(live))
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
            ran_s = max(self._deps.clock.now_ms() - (live.row.started_ms or 0), 0) / 1000
            live.deadline_s = now_s + max(live.row.time_limit_s - ran_s, 0.0)
        if now_s >= live.deadline_s:
            ask_stop(self._deps, live, Reason.TIME_LIMIT)
        elif now_s >= live.sample_at_s:
            live.sample_at_s = now_s + SAMPLE_EVERY_S
            engine, name, folder = self._deps.engine, live.name, live.folder
            ask(self._deps, live, "sample", lambda: (engine.usage(name), folder.used_bytes()))

    def _sampled(self, live: Live, value: object) -> None:
        usage, used_bytes = value if isinstance(value, tuple) else (None, 0)
        if isinstance(usage, Usage):
            self._deps.journal.usage(live.row.job_id, usage.cpu_ms, usage.ram_peak_mb)
        if used_bytes > live.row.disk_mb * 1024 * 1024:
            ask_stop(self._deps, live, Reason.DISK_LIMIT)

    def _log_ended(self, live: Live, value: object) -> None:
        live.log_end = value if isinstance(value, LogEnd) else None

    def _waited(self, live: Live, value: object) -> None:
        live.ended = value is True

    def _ship(self, live: Live) -> None:
        """Send what the log has grown by, so that the requester sees it live."""
        path = live.folder.log
        if live.ships and path.exists() and path.stat().st_size > live.shipped:
            oracle, job_id, offset = self._deps.oracle, live.row.job_id, live.shipped
            ask(self._deps, live, "ship", lambda: ship_log(oracle, job_id, path, offset))

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
