"""SIGKILL at every point that a worker passes with two jobs: nothing is lost or counted twice.

Both jobs are real: paid on the development ledger of a real Oracle, run by a real engine, settled.
A late restart, longer than a job takes, is tried at the points that are passed while a container
exists; elsewhere nothing happens meanwhile. `NUNET_SWEEP_ALL=1` tries it everywhere,
`NUNET_SWEEP_PAIRS=N` plays N random pairs of deaths, `NUNET_SWEEP_SEED=S` those of a former run.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.sweep.account import Account, Death
from tests.sweep.case import LONGER_THAN_A_JOB_S, Case
from tests.sweep.house import House
from tests.sweep.table import Table

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

SIDE_BY_SIDE = 6
"""Cases at a time: each mostly waits."""
CLEAN_RUNS = 3
"""Their points together are those to be killed at: not every run passes each."""
PAIRS = int(os.environ.get("NUNET_SWEEP_PAIRS", "30"))
MADE, TOLD = "prepare DockerEngine.create before", "step Journal.ended after"
MISSED_MAX_PERCENT = 5
"""Of the points: a life armed for one may not pass it, such as a log sent while it grows."""

Plan = tuple[Death, ...]
_names = itertools.count()


def sweep(house: House, plans: list[Plan], table: Table | None = None) -> dict[Plan, Account]:
    """Play a case for each plan, some side by side."""

    def play(plan: Plan) -> Account:
        return Case(house, f"case-{next(_names)}", plan).play()

    began = time.monotonic()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        found = dict(zip(plans, pool.map(play, plans), strict=True))
    if table is not None:
        table.wall_seconds += time.monotonic() - began
        for plan, account in found.items():
            table.add(plan, account)
    return found


@pytest.fixture(scope="module")
def passes(house: House) -> Counter[str]:
    """Every point that a worker passes with two jobs, and how often it did at most."""
    found: Counter[str] = Counter()
    with ThreadPoolExecutor(CLEAN_RUNS) as pool:
        runs = [pool.submit(Case(house, f"clean-{n}", ()).play) for n in range(CLEAN_RUNS)]
        for run in runs:
            account = run.result()
            assert account.faults == []
            found |= Counter(line for line in account.passed if not line.startswith("REPORT "))
    return found


def faults_of(found: dict[Plan, Account]) -> list[str]:
    """Return what went wrong, one line for each case."""
    return [
        f"killed at {' then '.join(map(str, plan))}: {'; '.join(account.faults)}"
        for plan, account in found.items()
        if account.faults
    ]


def while_a_container_exists(passes: Counter[str]) -> list[str]:
    """Return the points that are first passed between a container's making and its report."""
    points = list(passes)
    made, told = points.index(MADE), points.index(TOLD)
    assert made < told
    return points[made : told + 1]


@pytest.mark.parametrize("delay_s", [0.0, LONGER_THAN_A_JOB_S], ids=["at-once", "after-the-job"])
def test_a_worker_killed_anywhere_loses_nothing(
    house: House, passes: Counter[str], table: Table, delay_s: float
) -> None:
    is_whole = not delay_s or bool(os.environ.get("NUNET_SWEEP_ALL"))
    points = list(passes) if is_whole else while_a_container_exists(passes)
    plans = [(Death(point, delay_s=delay_s),) for point in points]
    found = sweep(house, plans, table)
    assert not faults_of(found), "\n".join(faults_of(found))
    missed = [plan[0].point for plan, account in found.items() if not account.kills]
    assert len(missed) * 100 <= MISSED_MAX_PERCENT * len(plans), missed


def test_a_worker_killed_twice_anywhere_loses_nothing(
    house: House, passes: Counter[str], table: Table
) -> None:
    seed = int(os.environ.get("NUNET_SWEEP_SEED", random.randrange(2**32)))
    table.seed = f"NUNET_SWEEP_SEED={seed}"
    chance = random.Random(seed)
    points = sorted(passes)

    def death() -> Death:
        point = chance.choice(points)
        delay_s = chance.choice((0.0, LONGER_THAN_A_JOB_S))
        return Death(point, chance.randint(1, passes[point]), delay_s)

    found = sweep(house, [(death(), death()) for _ in range(PAIRS)], table)
    assert not faults_of(found), "\n".join((table.seed, *faults_of(found)))
