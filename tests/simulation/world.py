"""One history: a node, its worker, its engine and its Oracle, from a seed to the end.

The worker is the production class with everything below it but the two stand-ins: `Life` builds it
as `composition.compose` does. A crash drops it where it stands; the next life has the same journal.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from greenlet import GreenletExit

from nunet_dms.config import CapacityConfig, Config, WalletConfig
from nunet_dms.node.backoff import Backoff
from nunet_dms.node.cancel import ask_to_cancel
from nunet_dms.node.clock import Clock
from nunet_dms.node.deps import Deps
from nunet_dms.node.inbox import InboxHandler
from nunet_dms.node.journal import Journal
from nunet_dms.node.journal_trouble import JournalError
from nunet_dms.node.pool import Pool
from nunet_dms.node.rows import JobRow
from nunet_dms.node.runner import Runner
from nunet_dms.node.worker import Worker
from tests.simulation import checks
from tests.simulation.faults import Faults, JournalConnection, Plan, draw_plan
from tests.simulation.looking import Looking
from tests.simulation.papers import CORE_MHZ, LEASE_S, START_S, US, paper_of
from tests.simulation.scenario import draw_orders
from tests.simulation.stand_in_engine import Container, Program, StandInEngine
from tests.simulation.stand_in_oracle import OracleJob, StandInOracle
from tests.simulation.virtual import Crash, Signal, VirtualTime

if TYPE_CHECKING:
    from nunet_dms.node.lookout import Lookout
    from nunet_dms.node.oracle_client import OracleClient

T = TypeVar("T")

CAPACITY = CapacityConfig(cpu_mhz=2 * CORE_MHZ, ram_mb=1000, disk_mb=1000, core_mhz=CORE_MHZ)
CONFIG = Config(wallet=WalletConfig(address=US.wallet), capacity=CAPACITY)
FOREVER_S = 4000.0
"""After the last fault everything must have come to its end within this time."""
TURNS_MAX = 20_000
"""Events and steps in one history; a quiet one has some hundred."""
JOB_USER = f"{os.geteuid()}:{os.getegid()}"


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
        self.orders = draw_orders(self.chance, self.plan.calm_s)
        self.oracle = StandInOracle(self)
        self.engine = StandInEngine(self, {each.image: each.program for each in self.orders})
        self._keeps_running: bool | None = None
        self.life: Life | None = None
        self.wishes = Wishes(folder / "cancel")
        self.lives = 0
        self.starts_again = False
        """The last life ended itself because the disk failed."""
        self.rows_at_end: tuple[JobRow, ...] = ()
        self._turns = self._befallen = 0
        self._stopped = self._is_over = False
        self._expected = len(self.orders)

    # What everything in it uses.

    @property
    def now_s(self) -> float:
        return self.time.now_s

    def wall_s(self) -> float:
        """The node's wall clock; the Oracle's is START_S + now_s."""
        return START_S + self.now_s + self.wall_offset_s

    def wall_ms(self) -> int:
        return int(self.wall_s() * 1000)

    def monotonic_s(self) -> float:
        return self.now_s - self.booted_s + 100.0

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

    def check_alive(self) -> None:
        """End whatever still runs of a life that is over."""
        if self._stopped:
            raise GreenletExit

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
            if (self.life, self._befallen) == before and not self.engine.is_away:
                checks.check_stopped(self, job_id)

        self.after(checks.AFTER_LOSS_S + 2 * plan.step_s + plan.lag_s, look)

    def node_knows(self, job_id: str) -> bool:
        """Whether the journal holds a job; taken for granted while no worker lives."""
        return self.life is None or self.life.journal.find(job_id) is not None

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
            self._end_life()

    def program_of(self, job: OracleJob) -> Program:
        """Return what is in a job's image."""
        return next(each.program for each in self.orders if each.image == job.paper.spec.image)

    def _plan_ahead(self) -> None:
        for order in self.orders:
            issued_s = START_S + int(order.paid_s)
            paper = paper_of(order.shape, issued_s)
            self.time.at(order.paid_s, lambda paper=paper: self.oracle.pay(paper))
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
        life, next_s = self.life, self.time.next_s
        try:
            if life is not None and (next_s is None or life.step_s <= next_s):
                self.time.now_s = max(life.step_s, self.now_s)
                life.step()
                self._is_over = self._has_ended()
            else:
                self.time.run_next()
            if (life := self.life) is not None and life.pool.wake.is_set():
                life.hurry()
        except JournalError as error:
            self._own_end(error)
        except Crash:
            self._end_life()
            self._begin_later(self.choice((0.1, 0.1, 5.0, self.draw(0, 60), 1.2 * LEASE_S)))

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
        self.say(f"worker ends itself: {error}")
        self.starts_again = self.life is not None
        self._end_life()
        self._begin_later(self.choice((1.0, 30.0)))

    def _begin_later(self, delay_s: float) -> None:
        if self.faults.is_calm:
            delay_s = min(delay_s, 5.0)
        self.after(delay_s, self._begin_life)

    def _end_life(self) -> None:
        life, self.life = self.life, None
        if life is None:
            return
        self._stopped = True
        self.time.end_life()
        life.close()
        self._stopped = False

    def _has_ended(self) -> bool:
        jobs = self.oracle.jobs.values()
        return (
            self.life is not None
            and not self.engine.containers
            and len(jobs) == self._expected
            and all(job.is_over for job in jobs)
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
        return f"oracle {jobs}, node {rows}, containers {list(self.engine.containers)}"

    def _calm(self) -> None:
        """From here on nothing goes wrong any more."""
        self.say("from now on all is well")
        self.faults.is_calm = True
        self.faults.disk_is_full = False
        self.oracle.is_away = False
        if self.engine.is_away:
            self.engine.come_back()
        if self.life is None:
            self.after(1.0, self._begin_life)

    # What befalls it: see NEMESES.

    def crash_now(self) -> None:
        if self.life is not None and not self.faults.is_calm:
            self.faults.crash("by itself")

    def drain(self) -> None:
        """`nunet worker restart`: the next life takes over."""
        if self.life is None:
            return
        self.say("worker drains")
        self.life.worker.drain()
        self._end_life()
        self._begin_later(self.choice((0.1, 2.0)))

    def stall(self) -> None:
        """The worker's process gets no turn for long."""
        if self.life is not None:
            self.life.stall(self.choice((20.0, 60.0, 1.2 * LEASE_S)))

    def restart_engine(self, *, live_restore: bool) -> None:
        if self.engine.is_away:
            return
        self.faults.met.add("engine away")
        if self._keeps_running is None:  # its owner's setting, for the whole of a history
            self._keeps_running = live_restore
        live_restore = self.engine.live_restore = self._keeps_running
        asked = self.chance.random() < 0.5
        how = "is asked to end" if asked else "is killed"
        self.say(f"engine {how}, live-restore {'on' if live_restore else 'off'}")
        self.engine.go(asked=asked)
        self.after(self.choice((1.0, 10.0, 60.0)), self._engine_back)

    def _engine_back(self) -> None:
        if self.engine.is_away:
            self.say("engine comes back")
            self.engine.come_back()

    def reboot(self) -> None:
        self.say("host reboots")
        was_alive = self.life is not None
        self._end_life()
        self.boot += 1
        self.booted_s = self.now_s
        self.engine.reboot()
        if was_alive:
            self._begin_later(self.choice((5.0, 40.0)))

    def jump_clock(self) -> None:
        by_s = self.choice((3600.0, -3600.0, 3 * 86400.0, -3 * 86400.0))
        self.wall_offset_s += by_s
        self.clock_set_s.append(self.now_s)
        self.say(f"wall clock jumps by {by_s:+.0f} s")
        if self.chance.random() < 0.5:
            self.after(self.draw(0, 5), self.drain)  # who reads the clock anew is not its reader

    def fill_disk(self) -> None:
        self.faults.disk_is_full = True
        self.say("disk is full")
        self.after(self.choice((5.0, 20.0, 60.0)), self._disk_free)

    def _disk_free(self) -> None:
        if self.faults.disk_is_full:
            self.faults.disk_is_full = False
            self.say("disk has room again")

    def take_oracle_away(self) -> None:
        self.oracle.is_away = True
        self.say("oracle goes away")
        self.after(self.choice((10.0, 1.2 * LEASE_S, 1.2 * LEASE_S)), self._oracle_back)

    def _oracle_back(self) -> None:
        self.oracle.is_away = False
        self.say("oracle is back")

    def cancel_as_requester(self) -> None:
        if self.oracle.jobs:
            self.oracle.cancel(self.choice(sorted(self.oracle.jobs)))

    def cancel_as_provider(self) -> None:
        if self.oracle.jobs:
            job_id = self.choice(sorted(self.oracle.jobs))
            self.say(f"provider cancels {job_id[:4]}")
            self.faults.met.add(f"provider cancels {job_id}")
            self.wishes.ask(job_id)

    def meddle(self, how: str) -> None:
        """Somebody does something to one of our containers by hand."""
        here = list(self.engine.containers.values())
        if not here or self.engine.is_away:
            return
        found: Container = self.choice(here)
        self.faults.met.add(f"{how} {found.job_id}")
        self.say(f"by hand: {how} {found.job_id[:4]}, {found.status}")
        if how == "remove":
            self.engine.take_away(found.spec.name, "hand")
        elif how == "rotate":
            self.engine.rotate(found)
        elif found.status == "running":
            (self.engine.kill if how == "kill" else self.engine.stop_by_hand)(found)


NEMESES: dict[str, Callable[[World], None]] = {
    "crash": World.crash_now,
    "drain": World.drain,
    "stall": World.stall,
    "engine restart": lambda world: world.restart_engine(live_restore=False),
    "engine restart, live-restore": lambda world: world.restart_engine(live_restore=True),
    "reboot": World.reboot,
    "clock jump": World.jump_clock,
    "disk full": World.fill_disk,
    "remove by hand": lambda world: world.meddle("remove"),
    "stop by hand": lambda world: world.meddle("stop"),
    "kill by hand": lambda world: world.meddle("kill"),
    "rotate log": lambda world: world.meddle("rotate"),
    "oracle away": World.take_oracle_away,
    "requester cancels": World.cancel_as_requester,
    "provider cancels": World.cancel_as_provider,
}


class Wishes:
    """The folder of the owner's wishes to cancel, which is not looked at before there is one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._has_any = False

    def ask(self, job_id: str) -> None:
        """Do what `nunet jobs cancel` does."""
        ask_to_cancel(self._folder, job_id)
        self._has_any = True

    def is_dir(self) -> bool:
        return self._has_any

    def iterdir(self) -> Iterator[Path]:
        return self._folder.iterdir()


class Life:
    """One process of the worker, from its start to its crash."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.step_s = world.now_s
        self._stalled_until_s = 0.0
        self._clock = clock = Clock(world.wall_s, world.monotonic_s)
        self._path = world.folder / "journal.db"
        self.journal = Journal(self._path, clock.now_ms, f"boot {world.boot}")
        self.journal.died = self.journal.died and not world.starts_again
        self._db = self.journal._db
        self.journal._db = JournalConnection(self._db, world.faults)  # type: ignore[assignment]
        self.journal.storage.keep_ballast()
        self.pool = Pool(clock.monotonic_s)

    def compose(self) -> None:
        """Build the worker."""
        world, clock = self._world, self._clock
        deps = Deps(
            journal=self.journal,
            engine=world.engine,
            oracle=cast("OracleClient", world.oracle),
            pool=self.pool,
            identity=US,
            clock=clock,
            backoff=Backoff(world.chance),
            jobs_dir=world.folder / "jobs",
            core_mhz=CORE_MHZ,
            user=JOB_USER,
            boot_id=f"boot {world.boot}",
        )
        lookout = cast("Lookout", Looking(world.faults))
        runner = Runner(deps)
        inbox = InboxHandler(deps, runner, lookout.capacity, world.folder / "receipts")
        inbox.resume()
        wishes = cast("Path", world.wishes)
        self.worker = Worker(deps, runner, inbox, lookout, CONFIG, wishes)

    def step(self) -> None:
        """Let the worker turn once."""
        self.worker.step()
        world = self._world
        self.step_s = max(
            world.now_s + world.draw(0.25, 1) * world.plan.step_s, self._stalled_until_s
        )

    def hurry(self) -> None:
        """Something waits to be looked at: turn soon."""
        now_s = self._world.now_s
        soon_s = now_s + self._world.chance.random() * self._world.plan.lag_s
        self.step_s = max(min(self.step_s, soon_s), self._stalled_until_s)

    def stall(self, for_s: float) -> None:
        """Get no turn for a while."""
        self._world.say(f"worker stalls for {for_s:.0f} s")
        self._stalled_until_s = self.step_s = self._world.now_s + for_s

    @property
    def has_swept(self) -> bool:
        """Whether it has looked for what its former lives left."""
        return self.worker._recovered

    def rows(self) -> tuple[JobRow, ...]:
        """Return the jobs, as its journal has them."""
        return self.journal.jobs()

    def close(self) -> None:
        """Nothing runs any more: the kernel closes the file, if the worker did not."""
        if (left := self.journal._leave.detach()) is not None:
            _, leave, values, _ = left
            leave(*values)
