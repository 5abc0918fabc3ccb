"""The worker's turns, one by one: what it tells the Oracle, when, and what it makes of answers."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from nunet_dms.config import AvailabilityConfig, CapacityConfig, Config, WalletConfig
from nunet_dms.errors import EngineUnreachableError, OracleUnreachableError, RefusedError
from nunet_dms.machine.fingerprint import Fingerprint
from nunet_dms.machine.memory import MemoryFacts
from nunet_dms.node.availability import Availability, Surroundings
from nunet_dms.node.backoff import Backoff
from nunet_dms.node.clock import Clock
from nunet_dms.node.deps import Deps
from nunet_dms.node.inbox import InboxHandler
from nunet_dms.node.journal import Journal
from nunet_dms.node.lookout import LOOK_EVERY_S, PATIENCE_S, Lookout, Looks
from nunet_dms.node.pause import Pause, lift_pause, write_pause
from nunet_dms.node.pool import Outcome, Pool, Task
from nunet_dms.node.rows import WorkerRow
from nunet_dms.node.runner import Runner
from nunet_dms.node.worker import HEARTBEAT_EVERY_S, Worker
from nunet_dms.protocol import strict
from nunet_dms.protocol.node import (
    Heartbeat,
    HeartbeatReply,
    Inbox,
    MissedWork,
    NodeRegistration,
    Poll,
)
from nunet_dms.protocol.signing import Sealed
from tests.unit.machine_world import fingerprint
from tests.unit.node.conftest import NOW_S, World

CAPACITY = CapacityConfig(cpu_mhz=4000, ram_mb=6000, disk_mb=1000, core_mhz=2500)
REPLY = HeartbeatReply(time_s=NOW_S)
WELL = Surroundings(on_battery=False, cpu_time=None, disk_free_mb=50_000)


class HandPool(Pool):
    """Tasks end only when a test ends them."""

    def __init__(self) -> None:
        super().__init__()
        self.work: dict[str, Callable[[], object]] = {}
        self._ended: list[Outcome] = []

    def submit(self, task: Task, work: Callable[[], object], _limit_s: float | None = None) -> bool:
        if task.what in self.work:
            return False
        self.work[task.what] = work
        return True

    def is_busy(self, task: Task) -> bool:
        return task.what in self.work

    def jobs_doing(self, _what: str) -> list[str]:
        return []

    def collect(self) -> list[Outcome]:
        ended, self._ended = self._ended, []
        for outcome in ended:
            self.work.pop(outcome.task.what, None)
        return ended

    def end(self, what: str) -> None:
        """Let a task do its work now."""
        try:
            outcome = Outcome(Task("", what), value=self.work[what]())
        except Exception as error:  # noqa: BLE001 - what the real pool does
            outcome = Outcome(Task("", what), error=error)
        self._ended.append(outcome)


@dataclass
class Oracle:
    """An Oracle that notes what it hears, and answers as a test says."""

    known: World
    heard: list[NodeRegistration] = field(default_factory=list)
    beats: list[Heartbeat] = field(default_factory=list)
    refusal: Exception | None = None
    beat_refusal: Exception | None = None
    reply: HeartbeatReply = REPLY

    def info(self) -> object:
        return self.known.info

    def register(self, sealed: Sealed) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.heard.append(strict.decode(NodeRegistration, sealed.payload))

    def heartbeat(self, beat: Heartbeat) -> HeartbeatReply:
        if self.beat_refusal is not None:
            raise self.beat_refusal
        self.beats.append(beat)
        return self.reply

    def poll(self, _poll: Poll) -> Inbox:
        return Inbox()


class Engine:
    """An engine with nothing in it."""

    def ping(self) -> None:
        """Answer."""

    def owned(self, _node_id: str) -> tuple[()]:
        return ()

    def labelled(self, _node_id: str) -> tuple[()]:
        return ()

    def images(self) -> tuple[()]:
        return ()

    def data_root(self) -> Path:
        return Path("/")


@dataclass
class Life:
    """A worker whose time, machine, Oracle and tasks a test moves by hand."""

    worker: Worker
    pool: HandPool
    oracle: Oracle
    journal: Journal
    inbox: InboxHandler
    pause_file: Path
    now: list[float]
    wall: list[float]
    machine: list[Fingerprint]

    def step(self, *ended: str, after_s: float = 0.0) -> None:
        """Let tasks end and time pass, then let the worker turn."""
        for what in ended:
            self.pool.end(what)
        self.now[0] += after_s
        self.wall[0] += after_s
        self.worker.step()

    def settle(self, *but: str) -> None:
        """Turn until nothing but polls, and what a test holds back, is under way."""
        for _ in range(20):
            running = [what for what in self.pool.work if what not in {"poll", *but}]
            self.step(*running)

    @property
    def row(self) -> WorkerRow:
        row = self.journal.worker()
        assert row is not None
        return row


@pytest.fixture
def life(world: World, journal: Journal, tmp_path: Path) -> Life:
    now, wall, machine = [0.0], [float(NOW_S)], [fingerprint()]
    clock = Clock(lambda: wall[0], lambda: now[0])
    pool, oracle = HandPool(), Oracle(world)
    deps = Deps(
        journal=journal, engine=Engine(), oracle=oracle, pool=pool, identity=world.us,
        clock=clock, backoff=Backoff(random.Random(1)), jobs_dir=tmp_path / "jobs",
        core_mhz=2500, user="1:1", boot_id="boot",
    )  # fmt: skip
    pause_file = tmp_path / "pause.json"
    looks = Looks(lambda: machine[0], lambda: WELL)
    lookout = Lookout(
        journal, clock, Availability(AvailabilityConfig(), pause_file), CAPACITY, looks
    )
    runner = Runner(deps)
    inbox = InboxHandler(deps, runner, lookout.capacity, tmp_path / "receipts")
    config = Config(wallet=WalletConfig(address=world.us.wallet), capacity=CAPACITY)
    worker = Worker(deps, runner, inbox, lookout, config, tmp_path / "cancel")
    return Life(worker, pool, oracle, journal, inbox, pause_file, now, wall, machine)


def ram(total_mb: int) -> Fingerprint:
    return fingerprint(memory=MemoryFacts(total_mb, total_mb))


def test_it_introduces_itself_with_its_machine_then_beats_and_polls(life: Life) -> None:
    life.settle()
    (told,) = life.oracle.heard
    assert told.machine is not None
    assert (told.machine.ram_mb, told.capacity.ram_mb) == (8000, 6000)
    assert told.price.per_gpu_hour == 10_000_000
    assert [beat.accepting for beat in life.oracle.beats] == [True]
    assert "poll" in life.pool.work
    assert (life.row.ready, life.row.accepting, life.row.note) == (True, True, "")
    assert (life.row.sold_cpu_mhz, life.row.sold_ram_mb) == (4000, 6000)


def test_a_first_look_that_hangs_does_not_keep_it_from_work(life: Life) -> None:
    life.settle("fingerprint")
    assert life.oracle.heard == []
    life.step(after_s=PATIENCE_S)
    life.settle("fingerprint")
    assert [told.machine for told in life.oracle.heard] == [None]
    assert life.row.accepting


def test_a_look_that_comes_while_it_introduces_itself_is_told_too(life: Life) -> None:
    life.settle("fingerprint")
    life.step(after_s=PATIENCE_S)
    assert "register" in life.pool.work
    life.step("fingerprint")  # news, while what was before is on its way
    life.settle()
    assert [told.machine is None for told in life.oracle.heard] == [True, False]


def test_memory_that_goes_in_small_steps_is_told_once_it_matters(life: Life) -> None:
    life.settle()
    for total_mb in range(7950, 6300, -50):
        life.machine[0] = ram(total_mb)
        life.step(after_s=LOOK_EVERY_S)
        life.settle()
    last = life.oracle.heard[-1]
    assert last.machine is not None
    assert last.machine.ram_mb is not None
    assert last.machine.ram_mb <= 6350 * 1.02
    assert last.capacity.ram_mb == last.machine.ram_mb * 9 // 10
    assert life.inbox.capacity.ram_mb == last.capacity.ram_mb
    assert life.row.sold_ram_mb == last.capacity.ram_mb
    assert "the machine has become smaller, sold is ram_mb" in life.row.note


def test_news_that_the_oracle_refuses_does_not_silence_a_node_with_jobs(life: Life) -> None:
    life.settle()
    beats = len(life.oracle.beats)
    life.oracle.refusal = RefusedError("jobs_open", "cannot register: jobs are open")
    life.machine[0] = ram(4000)
    life.step(after_s=LOOK_EVERY_S)
    life.settle()
    life.step(after_s=HEARTBEAT_EVERY_S)
    life.settle()
    assert len(life.oracle.beats) >= beats + 2
    assert "cannot register: jobs are open" in life.row.note
    life.oracle.refusal = None
    life.step(after_s=120)  # beyond the back-off
    life.settle()
    assert "cannot register" not in life.row.note
    assert life.oracle.heard[-1].capacity.ram_mb == 3600


def test_a_clock_that_is_set_back_does_not_make_a_registration_stale(life: Life) -> None:
    life.settle()
    life.wall[0] -= 3600
    life.machine[0] = ram(4000)
    life.step(after_s=LOOK_EVERY_S)
    life.settle()
    first, second = life.oracle.heard
    assert second.issued_s == first.issued_s + 1


def test_an_oracle_that_does_not_know_it_is_told_again(life: Life) -> None:
    life.settle()
    life.oracle.beat_refusal = RefusedError("unknown_node", "cannot take it: register first")
    life.step(after_s=HEARTBEAT_EVERY_S)
    life.settle()
    life.oracle.beat_refusal = None
    life.settle()
    assert len(life.oracle.heard) >= 2


def test_a_silent_oracle_is_not_taken_for_one_that_forgot(life: Life) -> None:
    life.settle()
    life.oracle.beat_refusal = OracleUnreachableError("cannot reach the Oracle")
    life.step(after_s=HEARTBEAT_EVERY_S)
    life.settle()
    assert len(life.oracle.heard) == 1
    assert life.row.oracle_state == "cannot reach the Oracle"


def test_a_pause_is_told_at_once_even_while_a_beat_is_on_its_way(life: Life) -> None:
    life.settle()
    life.step(after_s=HEARTBEAT_EVERY_S)
    assert "heartbeat" in life.pool.work
    write_pause(life.pause_file, Pause(0))
    life.step()
    life.settle()
    assert [beat.accepting for beat in life.oracle.beats[-2:]] == [True, False]
    assert (life.row.accepting, life.row.hold) == (False, "paused")
    lift_pause(life.pause_file)
    life.settle()
    assert life.oracle.beats[-1].accepting


def test_a_look_that_fails_is_noted_until_one_succeeds(life: Life) -> None:
    life.settle()
    looks = life.pool.work

    def fail() -> object:
        raise OSError("no such thing")

    life.step(after_s=LOOK_EVERY_S)
    looks["fingerprint"] = fail
    life.step("fingerprint")
    assert life.row.note == "cannot look at this machine: no such thing"
    life.step(after_s=120)
    life.settle()
    assert life.row.note == ""


def test_missed_work_is_kept_as_the_oracle_last_told_it(life: Life) -> None:
    missed = (MissedWork(reason="cpu", count=2, would_pay=70),)
    life.oracle.reply = replace(REPLY, missed=missed)
    life.settle()
    assert [(row.reason, row.count, row.would_pay) for row in life.journal.missed()] == [
        ("cpu", 2, 70)
    ]
    life.oracle.reply = REPLY
    life.step(after_s=HEARTBEAT_EVERY_S)
    life.settle()
    assert life.journal.missed() == ()


def test_housekeeping_that_fails_is_no_fault_of_the_oracle_s(life: Life) -> None:
    life.settle("housekeeping")

    def fail() -> object:
        raise OSError("no such thing")

    life.pool.work["housekeeping"] = fail
    life.step("housekeeping")
    assert (life.row.oracle_state, life.row.engine_state) == ("ok", "ok")
    life.step(after_s=120)  # beyond the back-off
    assert "housekeeping" in life.pool.work


def test_an_engine_that_goes_away_during_housekeeping_is_told(life: Life) -> None:
    life.settle("housekeeping")

    def fail() -> object:
        raise EngineUnreachableError("cannot reach Docker")

    life.pool.work["housekeeping"] = fail
    life.step("housekeeping")
    assert life.row.engine_state == "cannot reach Docker"
