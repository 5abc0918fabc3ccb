"""What goes wrong in a history, and how often: drawn from its seed before it begins.

Each history has its own mixture: most kinds of fault are absent from most histories, so that a few
are met alone, and some meet all of them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from greenlet import GreenletExit

from nunet_dms.errors import NunetError
from tests.simulation.nemeses import NEMESES
from tests.simulation.virtual import Crash

if TYPE_CHECKING:
    from tests.simulation.world import World

T = TypeVar("T")
COMMON_PLACES = (
    "owned", "ping", "labelled", "images", "data_root", "info", "register", "heartbeat", "poll",
    "ask for news", "write_worker", "trim", "next_issued_s", "died_with", "pin_oracle", "a commit",
)  # fmt: skip
"""Which every life comes by, with jobs or without: few of the deaths are to be spent there."""
SAVING_PLACES = (
    *("before a snapshot", "after a snapshot", "after the commit of checkpoint"),
    *("before oracle checkpoint", "after oracle checkpoint"),
    *("before oracle put_blob", "after oracle put_blob"),
)
FETCHING_PLACES = ("before oracle get_blob", "after oracle get_blob")
"""Which the few jobs come by that go on from a checkpoint."""
SAVING_SHARE = 0.1
"""Of histories."""
JOB = re.compile(r" [0-9a-f]{4}$")
"""What names the job at the end of a place."""


@dataclass(frozen=True)
class Plan:
    """How a history goes wrong; rates are shares of the points at which it may happen."""

    crash_rate: float
    crashes_max: int
    request_lost: float
    answer_lost: float
    delivered_twice: float
    news_confused: float
    spoiled: float
    """Of what is fetched for a job: other bytes come."""
    engine_fails_before: float
    engine_fails_after: float
    engine_hangs: float
    latency_s: float
    """Longest delay of a call, or of the start of a task."""
    step_s: float
    """Longest pause between two turns of the worker."""
    lag_s: float
    """Longest time from some news to the turn that looks at it."""
    calm_s: float
    """When everything stops going wrong."""
    saves: bool
    """Whether its jobs have checkpoint folders; then deaths are spent on saving and fetching."""
    keeps_house: bool
    """Whether the worker looks for leftovers and old rows, which costs a tenth of a history."""
    shows: bool
    """Whether it writes its status row, which nobody here reads; a tenth, too."""
    nemeses: tuple[tuple[float, str], ...]


QUIET = Plan(
    crash_rate=0, crashes_max=0, request_lost=0, answer_lost=0, delivered_twice=0,
    news_confused=0, spoiled=0, engine_fails_before=0, engine_fails_after=0, engine_hangs=0,
    latency_s=0, step_s=1, lag_s=0, calm_s=0, saves=False, keeps_house=True, shows=True, nemeses=(),
)  # fmt: skip
"""Nothing goes wrong."""


def draw_plan(chance: random.Random) -> Plan:
    """Draw a mixture."""

    def rate(share: float, *rates: float) -> float:
        return chance.choice(rates) if chance.random() < share else 0.0

    saves = chance.random() < SAVING_SHARE
    calm_s = 140.0 if saves else chance.choice((40.0, 40.0, 60.0, 100.0))
    kinds = chance.sample(tuple(NEMESES), chance.choice((0, 1, 1, 2, 3, 5)))
    nemeses = [
        (chance.uniform(0, calm_s) * chance.choice((1.0, chance.random())), kind)
        for kind in kinds
        for _ in range(chance.choice((1, 1, 2, 4)))
    ]
    return Plan(
        crash_rate=rate(0.9 if saves else 0.45, 0.01, 0.03, 0.1),
        crashes_max=chance.choice((1, 1, 2, 5)),
        request_lost=rate(0.4, 0.05, 0.2),
        answer_lost=rate(0.4, 0.05, 0.2),
        delivered_twice=rate(0.3, 0.2),
        news_confused=rate(0.4, 0.5),
        spoiled=0.3 if saves else 0.0,
        engine_fails_before=rate(0.3, 0.03, 0.15),
        engine_fails_after=rate(0.3, 0.03, 0.15),
        engine_hangs=rate(0.1, 0.02),
        latency_s=chance.choice((0.0, 0.0, 0.05, 1.0, 8.0)),
        step_s=chance.choice((12.0, 15.0)),
        lag_s=chance.choice((2.0, 6.0, 12.0)),
        calm_s=calm_s,
        saves=saves,
        keeps_house=chance.random() < 0.08,
        shows=chance.random() < 0.08,
        nemeses=tuple(sorted(nemeses)),
    )


class Faults:
    """Asked at every point where something may go wrong."""

    def __init__(self, world: World, plan: Plan) -> None:
        self.plan = plan
        self.is_calm = False
        self.disk_is_full = False
        self.room = 0
        """Commits for which there is room on a full disk."""
        self.has_ballast = False
        self.ballast_commits = world.chance.choice((0, 3, 10**6))
        self.crashes = 0
        self.met: set[str] = set()
        """The kinds of fault that this history has had."""
        self._world = world
        self._chance = world.chance

    def draws(self, rate: float) -> bool:
        """Whether something of this rate happens now."""
        return rate > 0 and not self.is_calm and self._chance.random() < rate

    def takes_room(self) -> bool:
        """Whether the ballast left room for one more commit."""
        self.room -= 1
        return self.room >= 0

    def is_drawn(self, what: str, rate: float) -> bool:
        """Whether something of this rate and name happens now."""
        if not self.draws(rate):
            return False
        self.met.add(what)
        return True

    def point(self, where: str) -> None:
        """A place where the process may die; raises Crash."""
        if self._world.is_stopped:
            raise GreenletExit
        if not self.plan.crash_rate or self.crashes >= self.plan.crashes_max:
            return
        if self.plan.saves:
            is_rare = where.startswith(FETCHING_PLACES)
            weight = 25.0 if is_rare else 5.0 if where.startswith(SAVING_PLACES) else 0.15
        else:
            weight = 0.15 if where.endswith(COMMON_PLACES) else 3.0
        if self.draws(self.plan.crash_rate * weight):
            self.crash(where)

    def crash(self, where: str) -> None:
        """Let the process die here."""
        self.crashes += 1
        self.met.update(("crash", f"CRASH {JOB.sub('', where)}"))
        self._world.say(f"CRASH {where}")
        raise Crash(where)

    def delay(self) -> None:
        """Let a call take its time while not all is well; others go on meanwhile."""
        virtual, latency_s = self._world.time, self.plan.latency_s
        if latency_s and not self.is_calm and virtual.in_task and self._chance.random() < 0.5:
            virtual.sleep(self._chance.random() * latency_s)

    def call(
        self,
        what: str,
        check_here: Callable[[], None],
        effect: Callable[[], T],
        silent: Callable[[str], NunetError],
        *,
        may_repeat: bool = False,
    ) -> T:
        """Let a call to the outside have its effect, and fail before or after it."""
        plan, is_oracle = self.plan, what.startswith("oracle")
        self.delay()
        self.point(f"before {what}")
        check_here()
        if not is_oracle and self.draws(plan.engine_hangs) and self._world.time.in_task:
            self._fail(f"{what} hangs", "engine")
            self._world.time.sleep(self._chance.choice((30.0, 200.0)))
            check_here()
        if self.draws(plan.request_lost if is_oracle else plan.engine_fails_before):
            self._fail(f"{what} fails before", "network" if is_oracle else "engine")
            raise silent(what)
        value = effect()
        if may_repeat and self.draws(plan.delivered_twice):
            self._again(what, effect)
        self.point(f"after {what}")
        self.delay()
        if self.draws(plan.answer_lost if is_oracle else plan.engine_fails_after):
            self._fail(f"{what} fails after", "network" if is_oracle else "engine")
            raise silent(what)
        return value

    def _fail(self, what: str, kind: str) -> None:
        self.met.add(kind)
        self._world.say(what)

    def _again(self, what: str, effect: Callable[[], object]) -> None:
        self._fail(f"{what} is delivered twice", "network")
        try:
            effect()
        except NunetError as error:  # nobody hears the second answer
            self._world.say(f"second delivery: {error}")
