"""A job from its acceptance to its start: image, inputs, container.

    ACCEPTED --pull--> (its image is here) --prepare--> CREATED --> STARTING --start--> RUNNING

Fetching the image is a phase of its own: it may be tried many times within its own limit, nobody
pays for it, and it begins anew after a restart of the worker (the engine keeps whole layers).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from nunet_dms.errors import EngineUnreachableError, NunetError
from nunet_dms.node.deps import Deps
from nunet_dms.node.engine.types import Engine, Facts, Failure, PullProgress
from nunet_dms.node.limits import PULL_LIMIT_S
from nunet_dms.node.live import Live, ask
from nunet_dms.node.pool import Task
from nunet_dms.node.prepare import Prepared, prepare
from nunet_dms.node.states import State
from nunet_dms.protocol.report import Reason

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fetched:
    """The image is here."""

    image_id: str


@dataclass(frozen=True, slots=True)
class NotHere:
    """The image is to be pulled, which is noted first."""


@dataclass(frozen=True, slots=True)
class Started:
    """A container that was asked to start, and whether it had not started before."""

    facts: Facts | None
    is_new: bool


class Starting:
    """What the runner does with a job that does not run yet; `end` ends one that never will."""

    def __init__(self, deps: Deps, end: Callable[[Live, Failure], None]) -> None:
        self._deps = deps
        self._end = end
        self.handle: dict[str, Callable[[Live, object], None]] = {
            "pull": self._pulled,
            "prepare": self._prepared,
            "start": self._started,
        }

    def prepare(self, live: Live) -> None:
        """Fetch the image, then make the container."""
        if self._stopped_early(live):
            return
        if not live.image_id:
            self._pull(live)
            return
        live.pulling = None
        deps, image_id = self._deps, live.image_id
        ask(deps, live, "prepare", lambda: prepare(deps, live.row, live.job, live.folder, image_id))

    def intend_start(self, live: Live) -> None:
        """Note that the start is about to be asked for, and ask."""
        if not self._stopped_early(live):
            live.row = self._deps.journal.starting(
                live.row, self._deps.boot_id, self._deps.clock.mono_ms()
            )
            self.start(live)

    def start(self, live: Live) -> None:
        """Have the container started, unless it was."""
        engine, name = self._deps.engine, live.name
        ask(self._deps, live, "start", lambda: _start(engine, name))

    def failed(self, live: Live, what: str, error: Exception, *, refused: bool) -> None:
        """A task met more than silence: the job cannot start here."""
        if what in {"prepare", "start"} or (what == "pull" and not live.row.stop_reason):
            self._end(
                live, Failure(Reason.START_ERROR if refused else Reason.NODE_FAULT, str(error))
            )

    def _pull(self, live: Live) -> None:
        """Ask for the image until it is here, its limit has passed, or the answer is no."""
        now_s = self._deps.clock.monotonic_s()
        if live.pull_ends_s is None:
            live.pull_ends_s = now_s + PULL_LIMIT_S
        if now_s >= live.pull_ends_s and not self._deps.pool.is_busy(Task(live.row.job_id, "pull")):
            self._end(live, _too_long(live))
            return
        engine, reference, noted = self._deps.engine, live.row.image, live.pull_noted

        def pull() -> Fetched | NotHere | Failure:
            found = engine.find_image(reference)
            if found is None and not noted:
                return NotHere()
            got = found or engine.pull_image(reference, lambda seen: _heard(live, seen))
            return got if isinstance(got, Failure) else Fetched(got)

        ask(self._deps, live, "pull", pull, limit_s=max(live.pull_ends_s - now_s, 0.0))

    def _pulled(self, live: Live, value: object) -> None:
        journal, reference = self._deps.journal, live.row.image
        if isinstance(value, NotHere):
            journal.pulled_image(reference)
            live.pull_noted, live.pulling = True, PullProgress(0, 0)
        elif isinstance(value, Fetched):
            journal.used_image(reference, value.image_id)
            live.image_id = value.image_id
            log.info("image_ready job=%s image=%s", live.row.job_id, value.image_id)
        elif isinstance(value, Failure):
            journal.forget_image(reference)
            if live.row.state is State.ACCEPTED:
                self._end(live, value)

    def _prepared(self, live: Live, value: object) -> None:
        if isinstance(value, Prepared):
            live.row = self._deps.journal.created(live.row, value.container_id, live.image_id)
        elif isinstance(value, Failure) and value.reason is Reason.IMAGE_UNAVAILABLE:
            live.image_id, live.pull_noted = "", False  # somebody removed it since
        elif isinstance(value, Failure):
            self._end(live, value)

    def _started(self, live: Live, value: object) -> None:
        if isinstance(value, Failure):
            self._end(live, value)
            return
        facts = value.facts if isinstance(value, Started) else None
        if facts is None or facts.started_ms is None or not isinstance(value, Started):
            self._end(live, Failure(Reason.NODE_FAULT, "the container did not start"))
            return
        live.row = self._deps.journal.started(
            live.row,
            facts.started_ms,
            self._boot_of(live, value, facts),
            self._mono_of(live, facts),
        )
        log.info("job_started job=%s container=%s", live.row.job_id, facts.container_id[:12])

    def _boot_of(self, live: Live, value: Started, facts: Facts) -> str:
        """Return the boot in which it started; one that has ended may be of a former boot."""
        is_of_now = value.is_new or facts.status == "running"
        return self._deps.boot_id if is_of_now else live.row.boot_id or self._deps.boot_id

    def _mono_of(self, live: Live, facts: Facts) -> int:
        """Return its start by the monotonic clock; not before it was asked for, nor later than now.

        The wall clock may have been set since.
        """
        clock, row = self._deps.clock, live.row
        now_ms, ago_ms = clock.mono_ms(), clock.now_ms() - (facts.started_ms or 0)
        asked_ms = row.started_mono_ms if row.boot_id == self._deps.boot_id else None
        return min(max(now_ms - ago_ms, asked_ms or 0), now_ms)

    def _stopped_early(self, live: Live) -> bool:
        """End a job that is to be stopped and has not started; first let its making end."""
        if not live.row.stop_reason:
            return False
        if not self._deps.pool.is_busy(Task(live.row.job_id, "prepare")):
            self._end(live, Failure(Reason(live.row.stop_reason), "stopped before it started"))
        return True


def _start(engine: Engine, name: str) -> Started | Failure:
    """Look, start what never ran, look again."""
    before = engine.facts(name)
    if before is None:
        return Failure(Reason.NODE_FAULT, "the container vanished before it started")
    failure = engine.start(before.container_id)
    return failure or Started(engine.facts(name), is_new=before.status == "created")


def _heard(live: Live, seen: PullProgress) -> None:
    """Note how far a pull is, from its thread; one that nobody waits for any more is broken off."""
    if live.row.stop_reason or live.row.state is not State.ACCEPTED:
        raise NunetError("cannot pull the image: the job was stopped meanwhile")
    live.pulling = seen


def _too_long(live: Live) -> Failure:
    """Say that the image did not come in time; an engine that was away is our own fault."""
    is_ours = isinstance(live.pull_problem, EngineUnreachableError)
    return Failure(
        Reason.NODE_FAULT if is_ours else Reason.IMAGE_UNAVAILABLE,
        f"the image did not come within {PULL_LIMIT_S:.0f} s: {live.pull_problem or 'it is slow'}",
    )
