"""The worker: takes offers, runs jobs, reports, is paid. `composition` builds its every object.

`step` never blocks: it reads what came of the pool's tasks, decides, and hands out new tasks.
The same class runs in production, in tests with a clock of their own, and in crash sweeps.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nunet_dms.config import Config
from nunet_dms.errors import EngineUnreachableError, NunetError, UnreachableError
from nunet_dms.machine.fingerprint import Fingerprint, on_the_wire
from nunet_dms.node.availability import Hold, Surroundings
from nunet_dms.node.deps import Deps
from nunet_dms.node.housekeeping import Housekeeping
from nunet_dms.node.inbox import InboxHandler
from nunet_dms.node.introduction import Introduction
from nunet_dms.node.limits import limit_of
from nunet_dms.node.lookout import Lookout
from nunet_dms.node.oracle_pin import check_oracle
from nunet_dms.node.poison import Breaker
from nunet_dms.node.pool import Outcome, Task
from nunet_dms.node.recovery import recover
from nunet_dms.node.rows import NOT_YET, OK, HoldCode, MissedRow
from nunet_dms.node.runner import Runner
from nunet_dms.node.status_row import Status, StatusRow
from nunet_dms.node.unsettled import UnsettledShares
from nunet_dms.protocol.api import OracleInfo
from nunet_dms.protocol.node import Heartbeat, HeartbeatReply, Inbox, MissedWork
from nunet_dms.protocol.platform import platform_of
from nunet_dms.protocol.report import Reason

log = logging.getLogger(__name__)

HEARTBEAT_EVERY_S = 15.0
"""The Oracle takes a node for gone after three missed ones."""
ENGINE_CHECK_EVERY_S = 30.0


@dataclass(slots=True)
class Health:
    """What the worker knows of the world just now; `ok`, or why not."""

    oracle: str = NOT_YET
    engine: str = NOT_YET
    warning: str = ""
    """The Oracle's own, of what it is."""
    look: str = ""
    """Why this machine could not be looked at; empty if it could."""


class Worker:
    """One provider's node; `step` is one turn."""

    def __init__(
        self,
        deps: Deps,
        runner: Runner,
        inbox: InboxHandler,
        lookout: Lookout,
        config: Config,
        cancels: Path,
    ) -> None:
        self._deps = deps
        self._runner = runner
        self._inbox = inbox
        self._lookout = lookout
        self._introduction = Introduction(deps, config, lookout)
        self._config = config
        self._cancels = cancels
        self._storage = deps.journal.storage
        self._breaker = Breaker(deps.journal, runner.replace)
        self._health = Health()
        self._due = dict.fromkeys(("heartbeat", "engine"), 0.0)
        self._status_row = StatusRow(deps.journal, deps.clock)
        self._missed: tuple[MissedWork, ...] | None = None
        self._unsettled = UnsettledShares(deps.journal)
        self._housekeeping = Housekeeping(deps)
        self._recovered = False
        self.config_problem = ""
        """Why the settings file as it is now cannot be used; empty while it can."""
        self._handlers: dict[str, Callable[[object], None]] = {
            "contact": self._contacted,
            "register": self._registered,
            "heartbeat": self._beaten,
            "poll": self._polled,
            "engine": self._engine_seen,
            "recover": self._swept,
            "fingerprint": self._fingerprinted,
            "sample": self._sampled,
            "housekeeping": self._housekeeping.take,
        }

    @property
    def has_jobs(self) -> bool:
        """Whether some job is in hand."""
        return bool(self._runner.rows())

    def step(self) -> None:
        """Take what came of tasks, then ask for what is due.

        What finds no room on the disk is asked for again. Raises JournalError when the disk fails:
        then nothing that this worker knows is certain, and another has to begin.
        """
        survives, now_s = self._storage.survives, self._deps.clock.monotonic_s()
        for outcome in self._deps.pool.collect():
            # Beats keep their pace whatever the disk says: our leases hang on them.
            if not survives(partial(self._take, outcome)) and outcome.task.what != "heartbeat":
                self._deps.backoff.fail(outcome.task, now_s)
        survives(self._look_for_cancels)
        self._look_around()
        self._check_engine()
        if self._recovered:
            self._talk()
            self._inbox.advance()
            survives(self._runner.advance)
            survives(partial(self._breaker.look, self._runner.rows(), now_s))
            if work := self._housekeeping.next_work():
                self._task("housekeeping", work)
        survives(partial(self._show, self._recovered and self._health.oracle != NOT_YET))

    def drain(self, hurried: Callable[[], bool] = lambda: False) -> None:
        """Stop taking work and let go: containers run on and are adopted at the next start.

        `hurried` is asked now and then whether even the last checkpoints are not to be waited for.
        """
        self._storage.survives(partial(self._show, False))
        self._storage.survives(partial(self._runner.drain, hurried))
        self._deps.journal.close()
        log.info("worker_drained jobs=%d", len(self._runner.rows()))

    def _check_engine(self) -> None:
        """Ask whether the engine answers; the first time, clear away what is nobody's."""
        deps = self._deps
        if not self._recovered:
            self._task("recover", lambda: recover(deps))
        else:
            self._regularly("engine", ENGINE_CHECK_EVERY_S, deps.engine.ping)

    def _look_around(self) -> None:
        """Ask whether work is wanted; see now and then what this machine does, and what it is."""
        had_room = not self._storage.trouble
        self._storage.look(self._deps.clock.monotonic_s())
        if not had_room and not self._storage.trouble:  # only a write that succeeds proves it
            self._status_row.hurry()
            self._storage.survives(partial(self._show, False))
        if self._lookout.look() or had_room is bool(self._storage.trouble):
            self._due["heartbeat"] = 0.0
        if self._lookout.is_sample_due():
            self._task("sample", self._lookout.looks.sample)
        if self._lookout.is_due():
            self._task("fingerprint", self._lookout.looks.take)

    def _talk(self) -> None:
        """Say who we are and what this machine is, then beat and poll."""
        deps, oracle = self._deps, self._inbox.oracle
        if oracle is None:
            self._task("contact", deps.oracle.info)
            return
        if self._introduction.is_due and self._can("register"):
            self._storage.survives(partial(self._introduce, oracle))
        if self._introduction.is_made:
            if self._runner.has_news:
                self._due["heartbeat"] = 0.0
            if self._is_due("heartbeat"):
                beat = self._heartbeat()
                self._regularly("heartbeat", HEARTBEAT_EVERY_S, lambda: deps.oracle.heartbeat(beat))
            if self._can("poll"):
                poll = self._inbox.next_poll()
                self._task("poll", lambda: deps.oracle.poll(poll))

    def _introduce(self, oracle: OracleInfo) -> None:
        self._task("register", self._introduction.task(oracle))

    def _take(self, outcome: Outcome) -> None:
        if outcome.task.job_id:
            if not self._inbox.handle(outcome):
                self._runner.handle(outcome)
            return
        deps, task = self._deps, outcome.task
        if outcome.error is None:
            deps.backoff.clear(task)
            self._handlers[task.what](outcome.value)
            return
        deps.backoff.fail(task, deps.clock.monotonic_s())
        self._went_wrong(task.what, outcome.error)

    def _went_wrong(self, what: str, error: Exception) -> None:
        known = isinstance(error, NunetError)
        level = logging.WARNING if known else logging.ERROR
        log.log(level, "%s_failed: %s", what, error, exc_info=None if known else error)
        if what == "housekeeping":
            self._housekeeping.failed()
        if isinstance(error, EngineUnreachableError) or what in {"engine", "recover"}:
            self._health.engine = str(error)
        elif what in {"fingerprint", "sample"}:
            self._health.look = f"cannot look at this machine: {error}"
        elif what != "housekeeping":
            self._oracle_failed(what, error)

    def _oracle_failed(self, what: str, error: Exception) -> None:
        """Note what is wrong with the Oracle, or between it and us."""
        self._health.oracle = str(error)
        if isinstance(error, UnreachableError):
            return
        if what == "register":  # what it took before still stands: jobs in hand keep their lease
            self._introduction.problem = str(error)
        else:
            self._introduction.forget()  # it answered no: introduce ourselves again

    def _contacted(self, value: object) -> None:
        if isinstance(value, OracleInfo):
            try:
                own, token = self._config.oracle, self._config.token.choice
                self._inbox.oracle = check_oracle(value, own, self._deps.journal, token)
            except NunetError as error:
                self._went_wrong("contact", error)
                self._deps.backoff.fail(Task("", "contact"), self._deps.clock.monotonic_s())
                return
            self._health.warning = value.warning
            log.info("oracle_contacted key=%s", value.ticket_key)

    def _registered(self, value: object) -> None:
        if isinstance(value, int):
            self._introduction.made(value)
            self._health.oracle = OK
            self._due["heartbeat"] = 0.0

    def _beaten(self, value: object) -> None:
        self._health.oracle = OK
        if isinstance(value, HeartbeatReply):
            for job_id in value.lost:
                self._runner.lose(job_id)
            self._unsettled.take(value)
            if value.missed != self._missed:
                rows = (MissedRow(each.reason, each.count, each.would_pay) for each in value.missed)
                self._deps.journal.write_missed(tuple(rows))
                self._missed = value.missed

    def _polled(self, value: object) -> None:
        self._health.oracle = OK
        if isinstance(value, Inbox):
            self._inbox.take(value)

    def _engine_seen(self, _value: object) -> None:
        self._health.engine = OK
        self._recovered = True

    def _swept(self, value: object) -> None:
        """The engine did what was asked: whether it answers need not be asked just now."""
        self._engine_seen(value)
        self._due["engine"] = self._deps.clock.monotonic_s() + ENGINE_CHECK_EVERY_S

    def _fingerprinted(self, value: object) -> None:
        self._health.look = ""
        if isinstance(value, Fingerprint) and self._lookout.took(value):
            self._inbox.capacity = self._lookout.capacity
            self._runner.checkpoints.platform = platform_of(on_the_wire(value))
            self._introduction.add_news()

    def _sampled(self, value: object) -> None:
        if isinstance(value, Surroundings):
            self._lookout.sampled(value)

    def _heartbeat(self) -> Heartbeat:
        free = self._lookout.capacity.less(self._deps.journal.reserved())
        return Heartbeat(
            holding=tuple(row.job_id for row in self._runner.rows()),
            accepting=self._takes_jobs,
            free_cpu_mhz=free.cpu_mhz,
            free_ram_mb=free.ram_mb,
            progress=self._runner.progress(),
        )

    @property
    def _takes_jobs(self) -> bool:
        return self._health.engine == OK and self._hold is None

    @property
    def _hold(self) -> Hold | None:
        """Why no new jobs are wanted: what the owner said, else that the disk has no room."""
        trouble = self._storage.trouble
        return self._lookout.hold or (Hold(HoldCode.DISK_LOW, trouble) if trouble else None)

    def _look_for_cancels(self) -> None:
        """Stop the jobs that the owner asked to stop: one empty file each, named by job."""
        if not self._cancels.is_dir():
            return
        for wish in sorted(self._cancels.iterdir()):
            self._runner.stop(wish.name, Reason.NODE_FAULT)
            wish.unlink(missing_ok=True)

    def _regularly(self, what: str, every_s: float, work: Callable[[], object]) -> None:
        """Do something if it is due and can be done; else it stays due."""
        if self._is_due(what) and self._task(what, work):
            self._due[what] = self._deps.clock.monotonic_s() + every_s

    def _is_due(self, what: str) -> bool:
        return self._deps.clock.monotonic_s() >= self._due[what]

    def _can(self, what: str) -> bool:
        task = Task("", what)
        is_ready = self._deps.backoff.is_ready(task, self._deps.clock.monotonic_s())
        return is_ready and not self._deps.pool.is_busy(task)

    def _task(self, what: str, work: Callable[[], object]) -> bool:
        """Hand something to the pool; False if it is under way already, or is to be tried later."""
        return self._can(what) and self._deps.pool.submit(Task("", what), work, limit_of(what))

    def _show(self, ready: bool) -> None:
        """Tell `nunet status` how it is."""
        status = Status(
            ready=ready,
            accepting=ready and self._introduction.is_made and self._takes_jobs,
            oracle_state=self._health.oracle,
            engine_state=self._health.engine,
            note=self._note(),
            hold=self._hold,
            sold=self._lookout.capacity,
        )
        self._status_row.show(status)

    def _note(self) -> str:
        """Return what the owner should know: what is wrong, else the Oracle's own warning."""
        wrong = (
            self.config_problem,
            self._inbox.complaint,
            self._unsettled.note,
            self._introduction.problem,
            self._lookout.note,
            self._health.look,
        )
        return "; ".join(filter(None, wrong)) or self._health.warning
