"""One process of the worker, from its start to its crash, built as `composition.compose` does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from nunet_dms.config import CapacityConfig, Config, WalletConfig
from nunet_dms.node.backoff import Backoff
from nunet_dms.node.cancel import ask_to_cancel
from nunet_dms.node.clock import Clock
from nunet_dms.node.deps import Deps
from nunet_dms.node.inbox import InboxHandler
from nunet_dms.node.journal import Journal
from nunet_dms.node.pool import Pool
from nunet_dms.node.rows import JobRow
from nunet_dms.node.runner import Runner
from nunet_dms.node.worker import Worker
from tests.simulation.disk import JournalConnection
from tests.simulation.looking import Looking
from tests.simulation.papers import CORE_MHZ, HERE, US

if TYPE_CHECKING:
    from nunet_dms.node.lookout import Lookout
    from nunet_dms.node.oracle_client import OracleClient
    from tests.simulation.world import World

CAPACITY = CapacityConfig(cpu_mhz=2 * CORE_MHZ, ram_mb=1000, disk_mb=1000, core_mhz=CORE_MHZ)
CONFIG = Config(wallet=WalletConfig(address=US.wallet), capacity=CAPACITY)
JOB_USER = f"{os.geteuid()}:{os.getegid()}"


class Wishes:
    """The folder of the owner's wishes to cancel, which is not looked at unless there is one."""

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
        wishes = list(self._folder.iterdir())
        self._has_any = bool(wishes)
        return iter(wishes)


class Life:
    """One process of the worker, from its start to its crash."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.step_s = world.now_s
        self._stalled_until_s = 0.0
        self.is_composed = False
        self.hurries = False
        """Its next turn was set nearer, because something waits."""
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
        runner.checkpoints.platform = HERE
        inbox.resume()
        wishes = cast("Path", world.wishes)
        self.worker = Worker(deps, runner, inbox, lookout, CONFIG, wishes)
        if not world.plan.keeps_house:
            self.worker._housekeeping.next_work = lambda: None  # type: ignore[method-assign]
        if not world.plan.shows:
            self.worker._show = lambda _ready: None  # type: ignore[method-assign]
        self.is_composed = True

    def step(self) -> None:
        """Let the worker turn once."""
        self.hurries = False
        self.worker.step()
        world = self._world
        self.step_s = max(
            world.now_s + world.draw(0.25, 1) * world.plan.step_s, self._stalled_until_s
        )

    def hurry(self) -> None:
        """Something waits to be looked at: turn soon."""
        self.hurries = True
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
        if self.is_composed:  # cut its circles, so that its memory is free
            runner = self.worker._runner
            parts = (runner._starting, runner._running, runner._quarantine, runner.checkpoints)
            for part in (*parts, runner, self.worker._inbox, self.worker):
                vars(part).clear()
