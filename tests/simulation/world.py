"""One history: a node, its worker, its engine and its Oracle, from a seed to the end.

The worker is the production class with everything below it but the two stand-ins: `Life` builds it
as `composition.compose` does. A crash drops it where it stands; the next life has the same journal.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nunet_dms.node.journal_trouble import JournalError
from nunet_dms.node.rows import JobRow
from tests.simulation import checks
from tests.simulation.container import Program
from tests.simulation.daemon import Daemon
from tests.simulation.faults import Faults, Plan, draw_plan
from tests.simulation.life import Life, Wishes
from tests.simulation.nemeses import NEMESES
from tests.simulation.papers import LEASE_S, START_S, Shape, paper_of
from tests.simulation.scenario import Order, draw_orders
from tests.simulation.stand_in_engine import StandInEngine
from tests.simulation.stand_in_oracle import OracleJob, StandInOracle
from tests.simulation.virtual import Crash, Signal, VirtualTime

if TYPE_CHECKING:
    pass

T = TypeVar("T")

FOREVER_S = 4000.0
"""After the last fault everything must have come to its end within this time."""
TURNS_MAX = 20_000
"""Events and steps in one history; a quiet one has some hundred."""


class World:
    """One history, told by `story`; what it broke is in `violations`."""

    def __init__(self, seed: int, folder: Path, plan: Plan | None = None) -> None:
        self.seed = seed
        self.folder = folder
        self.chance = random.Random(seed)
        self.story: list[str] = []
        self.violations: list[str] = []
        self.time = VirtualTime(self.chance)
        self.wall_offset_s = 0.0
        self.clock_set_s: list[float] = []
        """When it was set."""
        self.boot = 1
        self.booted_s = 0.0
        self.plan = plan or draw_plan(self.chance)
        self.faults = Faults(self, self.plan)
        self.orders = draw_orders(self.chance, self.plan)
        self.oracle = StandInOracle(self)
        self.daemon = Daemon(self, {each.image: each.program for each in self.orders})
        self.engine = StandInEngine(self, self.daemon)
        self.keeps_running: bool | None = None
        """The setting live-restore of its engine, once it has mattered; its owner keeps to it."""
        self.life: Life | None = None
        self.wishes = Wishes(folder / "cancel")
        self.lives = 0
        self.starts_again = False
        """The last life ended itself because the disk failed."""
        self.rows_at_end: tuple[JobRow, ...] = ()
        self._turns = self._befallen = 0
        self._is_over = False
        self.is_stopped = False
        """Whatever still runs is of a life that is over, and has to end."""
        self.is_draining = False
        self._expected = len(self.orders)

    # What everything in it uses.

    @property
    def now_s(self) -> float:
        return self.time.now_s

    def wall_s(self) -> float:
        """The node's wall clock; the Oracle's is START_S + now_s."""
        return START_S + self.time.now_s + self.wall_offset_s

    def wall_ms(self) -> int:
        return int(self.wall_s() * 1000)

    def monotonic_s(self) -> float:
        return self.time.now_s - self.booted_s + 100.0

    def signal(self) -> Signal:
        return Signal(self.time)

    def after(self, delay_s: float, act: Callable[[], object]) -> None:
        self.time.after(delay_s, act)

    def choice(self, values: Sequence[T]) -> T:
        return self.chance.choice(values)

    def draw(self, least: float, most: float) -> float:
        return self.chance.uniform(least, most)

    def say(self, text: str) -> None:
        """Add a line to the story."""
        self.story.append(f"{self.now_s:9.3f} {text}")

    def violated(self, what: str) -> None:
        """Note that something happened which must never happen."""
        self.say(f"VIOLATION {what}")
        self.violations.append(what)

    def container_started(self) -> None:
        """Look whether there was room for it."""
        checks.check_running(self)

    def job_given(self) -> None:
        """Look whether there is room for it."""
        checks.check_taken(self)

    def told_lost(self, job_id: str) -> None:
        """Look some time after the worker heard of a lost lease, if nothing comes in between."""
        plan, before = self.plan, (self.life, self._befallen)
        if plan.engine_fails_before or plan.engine_fails_after or plan.engine_hangs:
            return

        def look() -> None:
            if (self.life, self._befallen) == before and not self.daemon.is_away:
                checks.check_stopped(self, job_id)

        self.after(checks.AFTER_LOSS_S + 2 * plan.lag_s + 3 * plan.latency_s, look)

    def job_decided(self, job: OracleJob) -> None:
        """Pay for another attempt, if the requester wants one and there is what to go on from."""
        order = self._order_of(job)
        if order is None or not order.is_resumed or job.paper.spec.resume or not job.saved:
            return
        shape = replace(order.shape, resume=job.saved[-1].resume)
        self._expected += 1
        self.say(f"requester resumes {job.job_id[:4]} from checkpoint {shape.resume.number}")
        self.after(self.draw(0, 20), lambda: self._pay(shape))

    def node_knows(self, job_id: str) -> bool:
        """Whether the journal holds a job; taken for granted while no worker lives."""
        return self.life is None or self.life.journal.find(job_id) is not None

    def let_pass(self, seconds: float, is_enough: Callable[[], bool]) -> None:
        """Let all else go on while the worker waits outside of its tasks."""
        life, ends_s = self.life, self.now_s + seconds
        while not is_enough():
            if (next_s := self.time.next_s) is None or next_s > ends_s:
                self.time.now_s = ends_s
                return
            self.time.run_next()
            if self.life is not life:
                raise Crash("its life ended while it waited")

    # Its course.

    def run(self) -> None:
        """Live through the history."""
        self._plan_ahead()
        self._begin_life()
        while not self._is_over:
            if self.now_s > self.plan.calm_s + FOREVER_S:
                self.violated(f"did not drain: {self._what_is_left()}")
                break
            if self._turns > TURNS_MAX:
                self.violated(f"came to no rest: {self._what_is_left()}")
            self._turn()
            if self.violations:
                break
        if self.life is not None:
            self.rows_at_end = self.life.rows()
            self.end_life()

    def program_of(self, job: OracleJob) -> Program:
        """Return what is in a job's image."""
        order = self._order_of(job)
        assert order is not None
        return order.program

    def _order_of(self, job: OracleJob) -> Order | None:
        return next((each for each in self.orders if each.image == job.paper.spec.image), None)

    def _pay(self, shape: Shape) -> None:
        self.oracle.pay(paper_of(shape, START_S + int(self.now_s)))

    def _plan_ahead(self) -> None:
        for order in self.orders:
            self.time.at(order.paid_s, lambda shape=order.shape: self._pay(shape))
        for when_s, kind in self.plan.nemeses:
            self.time.at(when_s, lambda kind=kind: self._befall(kind))
        self.time.at(self.plan.calm_s, self._calm)

    def _befall(self, kind: str) -> None:
        self._befallen += 1
        before = len(self.story)
        NEMESES[kind](self)
        if len(self.story) > before:
            self.faults.met.add(kind)

    def _turn(self) -> None:
        """Let the next thing happen: an event, or a step of the worker."""
        self._turns += 1
        life, time = self.life, self.time
        next_s = time.next_s
        try:
            if life is not None and (next_s is None or life.step_s <= next_s):
                time.now_s = max(life.step_s, time.now_s)
                life.step()
                self._is_over = self._has_ended()
            else:
                time.run_next()
            if (life := self.life) is not None and life.pool.wake.is_set() and not life.hurries:
                life.hurry()
        except JournalError as error:
            self._own_end(error)
        except Crash:
            self.end_life()
            self.begin_later(self.choice((0.1, 0.1, 5.0, self.draw(0, 60), 1.2 * LEASE_S)))

    def _begin_life(self) -> None:
        if self.life is not None:
            return
        self.lives += 1
        self.say(f"worker starts, life {self.lives}, boot {self.boot}")
        life = Life(self)
        try:
            life.compose()
        except (Crash, JournalError):
            life.close()
            raise
        self.life, self.starts_again = life, False

    def _own_end(self, error: JournalError) -> None:
        """The worker ends itself, as main.run does, because its disk fails."""
        if not self.faults.met & {"disk full"}:
            self.violated(f"the worker ended itself: {error}")
        self.say(f"worker ends itself: {error}".replace(str(self.folder), "~"))
        self.starts_again = self.life is not None
        self.end_life()
        self.begin_later(self.choice((1.0, 30.0)))

    def begin_later(self, delay_s: float) -> None:
        if self.faults.is_calm:
            delay_s = min(delay_s, 5.0)
        self.after(delay_s, self._begin_life)

    def end_life(self) -> None:
        life, self.life = self.life, None
        if life is None:
            return
        self.is_stopped = True
        self.time.end_life()
        life.close()
        self.is_stopped = False

    def _has_ended(self) -> bool:
        return (
            not self.daemon.containers
            and len(jobs := self.oracle.jobs.values()) == self._expected
            and all(job.is_over for job in jobs)
            and self.life is not None
            and self.life.has_swept
            and not self.life.worker.has_jobs
        )

    def _what_is_left(self) -> str:
        jobs = [
            f"{job.job_id[:4]} {job.state}" for job in self.oracle.jobs.values() if not job.is_over
        ]
        rows = (
            [f"{row.job_id[:4]} {row.state.value}" for row in self.life.rows()] if self.life else []
        )
        return f"oracle {jobs}, node {rows}, containers {list(self.daemon.containers)}"

    def _calm(self) -> None:
        """From here on nothing goes wrong any more; an Oracle that is away comes back in its time.

        Else hardly a lease would be lost while its job runs.
        """
        self.say("from now on all is well")
        self.faults.is_calm = True
        self.faults.disk_is_full = False
        if self.daemon.is_away:
            self.daemon.come_back()
        if self.life is None:
            self.after(1.0, self._begin_life)
