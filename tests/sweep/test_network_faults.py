"""Between a worker and its Oracle lies a network that fails in every way: nothing is lost."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nunet_dms.node.states import State
from nunet_dms.oracle.registering import LEASE_S
from nunet_dms.protocol.report import Reason
from nunet_dms.protocol.submission import JobState
from tests.sweep.account import Death
from tests.sweep.case import Case
from tests.sweep.fault_proxy import CUT, FAULTS, HALF, HANG, PASS, FaultProxy
from tests.sweep.house import House, Life, RealClock, living_oracle
from tests.sweep.place import Place, counted, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(170)]

HALF_OF_ALL = 0.5
CASE_S = 120.0
FIRST_SEED = int(os.environ.get("NUNET_FAULT_SEED", random.randrange(2**32)))
"""`NUNET_FAULT_SEED=S` repeats the chances of a former run; requests may come in another order."""


@pytest.mark.parametrize("number", range(3))
def test_half_of_all_requests_spoiled_loses_nothing(house: House, number: int) -> None:
    seed = FIRST_SEED + number
    with FaultProxy(house.world.url, seed, HALF_OF_ALL).serving() as proxy:
        account = Case(house, f"network-{seed}", (), url=proxy.url).play(CASE_S)
    assert account.faults == [], f"NUNET_FAULT_SEED={seed}, met {dict(proxy.met)}"
    assert set(FAULTS) <= set(proxy.met), f"too few requests to meet every fault: {proxy.met}"
    spoiled = sum(proxy.met[fault] for fault in FAULTS)
    assert 0.3 < spoiled / proxy.met.total() < 0.7


def test_a_worker_killed_behind_a_faulty_network_loses_nothing(house: House) -> None:
    deaths = (
        Death("deliver OracleClient.report after"),
        Death("receipt OracleClient.receipt after"),
    )
    with FaultProxy(house.world.url, FIRST_SEED, HALF_OF_ALL).serving() as proxy:
        account = Case(house, "network-killed", deaths, url=proxy.url).play(CASE_S)
    assert (account.kills, account.faults) == (2, []), f"NUNET_FAULT_SEED={FIRST_SEED}"


@pytest.fixture
def own(house: House, tmp_path: Path) -> Iterator[House]:
    """The house with an Oracle of its own, whose clock may run ahead."""
    with living_oracle(tmp_path / "oracle") as world:
        yield replace(house, world=world)


@pytest.fixture
def proxy(own: House) -> Iterator[FaultProxy]:
    with FaultProxy(own.world.url).serving() as made:
        yield made


@pytest.fixture
def place(own: House, proxy: FaultProxy, tmp_path: Path) -> Place:
    """A provider whose Oracle lies behind the proxy."""
    return Place(own, tmp_path / "place", proxy.url)


@pytest.fixture
def worker(place: Place) -> Iterator[Life]:
    started = place.hurried_worker()
    yield started
    started.signal(signal.SIGKILL)


@pytest.fixture
def clock(own: House) -> RealClock:
    """The Oracle's clock."""
    assert isinstance(own.world.clock, RealClock)
    return own.world.clock


@pytest.mark.parametrize("mode", [HANG, HALF])
def test_an_oracle_that_never_answers_whole_leaves_the_job_running(
    place: Place, proxy: FaultProxy, worker: Life, mode: str
) -> None:
    lines = 160
    job_id = place.order(lines)
    wait_until("the first line", lambda: place.log(job_id))
    proxy.mode = mode
    wait_until("a status that says so", lambda: place.nunet("status", "--check").returncode == 6)
    said = place.nunet("status").stdout
    assert f"cannot reach the Oracle at {proxy.url}" in said
    assert place.containers(job_id)[0]["State"] == "running"
    assert not worker.has_ended()
    proxy.mode = PASS
    job = place.wait_settled(job_id)
    assert (job.reason, job.log_complete, place.starts(job_id)) == (Reason.SUCCEEDED, True, 1)
    assert place.log(job_id) == counted(lines)
    wait_until("a status that is well", lambda: place.nunet("status", "--check").returncode == 0)


def test_a_network_cut_for_longer_than_the_lease_ends_the_job_and_pays_all_back(
    place: Place, proxy: FaultProxy, worker: Life, clock: RealClock
) -> None:
    job_id = place.order(1200)
    wait_until("the first line", lambda: place.log(job_id))
    proxy.mode = CUT
    clock.ahead_s += LEASE_S + 1
    wait_until("the lost lease", lambda: place.job(job_id).state is not JobState.RUNNING)
    assert place.containers(job_id)[0]["State"] == "running"
    proxy.mode = PASS
    wait_until("the container's end", lambda: not place.containers(job_id))
    wait_until("the refund", lambda: place.job(job_id).state is JobState.SETTLED)
    job = place.job(job_id)
    assert (job.reason, job.provider_amount) == (Reason.NODE_FAULT, 0)
    assert (place.earned(), place.spent()) == (0, 0)
    assert "lease_lost" in place.story(job_id)
    assert "the Oracle gave the job up" in place.story(job_id)
    wait_until("the end of its story", lambda: State.LOST.value in place.story(job_id))
    assert not worker.has_ended()


def test_a_network_cut_for_less_than_the_lease_loses_nothing(
    place: Place, proxy: FaultProxy, worker: Life, clock: RealClock
) -> None:
    lines = 60
    job_id = place.order(lines)
    wait_until("the first line", lambda: place.log(job_id))
    proxy.mode = CUT
    clock.ahead_s += LEASE_S / 2
    shown = f"{State.EXITED.value}"
    wait_until("the job's end", lambda: shown in place.story(job_id))
    assert place.job(job_id).state is JobState.RUNNING
    proxy.mode = PASS
    job = place.wait_settled(job_id)
    assert (job.reason, job.log_complete, place.starts(job_id)) == (Reason.SUCCEEDED, True, 1)
    assert place.log(job_id) == counted(lines)
    assert (place.earned(), place.spent()) == (job.provider_amount, job.provider_amount)
    assert not worker.has_ended()
