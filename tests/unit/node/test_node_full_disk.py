"""A whole job while the n-th write of the journal finds no room, for every n: nothing is lost.

What comes of a task may be dropped at any of its writes; then the task is done again. In the end
the job's story must be the same as without the fault, with every line once.
"""

from __future__ import annotations

import errno
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from nunet_dms.config import AvailabilityConfig, CapacityConfig, Config, WalletConfig
from nunet_dms.node import delivery
from nunet_dms.node.availability import Availability, Surroundings
from nunet_dms.node.backoff import Backoff
from nunet_dms.node.clock import Clock
from nunet_dms.node.deps import Deps
from nunet_dms.node.engine.types import ContainerSpec, Facts, History, LogRecord, Usage
from nunet_dms.node.inbox import InboxHandler
from nunet_dms.node.journal import Journal
from nunet_dms.node.journal_trouble import JournalFullError
from nunet_dms.node.lookout import Lookout, Looks
from nunet_dms.node.rows import JobRow
from nunet_dms.node.runner import Runner
from nunet_dms.node.states import State
from nunet_dms.node.worker import HEARTBEAT_EVERY_S, Worker
from nunet_dms.protocol.node import (
    Heartbeat,
    HeartbeatReply,
    Inbox,
    MissedWork,
    MissingBlobs,
    Poll,
    Voided,
)
from tests.unit.machine_world import fingerprint
from tests.unit.node.conftest import NOW_S, PLENTY, InlinePool, World

CAPACITY = CapacityConfig(cpu_mhz=4000, ram_mb=6000, disk_mb=1000, core_mhz=2500)
WELL = Surroundings(on_battery=False, cpu_time=None, disk_free_mb=50_000)
STORY = ["admitted", "accepted", "created", "starting", "running", "exited", "reported", "lost"]
STEPS_MAX = 200
CREATED = Facts("c" * 64, "created", None, None, 0, False, "")


class TightJournal(Journal):
    """A journal whose writes from the n-th on, `count` of them, find no room."""

    def __init__(self, path: Path, now_ms: Callable[[], int]) -> None:
        super().__init__(path, now_ms)
        self._db.execute("PRAGMA synchronous = OFF")  # speed; no power is cut here
        self.full_at, self.count, self.writes = -1, 1, 0

    def _write(self, query: str, **values: object) -> int:
        self.writes += 1
        if self.full_at <= self.writes < self.full_at + self.count:
            with self.storage.told:
                raise sqlite3.OperationalError("database or disk is full")
        return super()._write(query, **values)


@dataclass
class Engine:
    """An engine with one container, which has ended when it is first waited for."""

    clock: Clock
    it: Facts | None = None
    starts: int = 0

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

    def keeps_running(self) -> bool:
        return True

    def find_image(self, _reference: str) -> str:
        return "sha256:1"

    def create(self, _spec: ContainerSpec) -> str:
        self.it = self.it or CREATED
        return self.it.container_id

    def start(self, _container_id: str) -> None:
        if self.it == CREATED:
            self.starts += 1
            self.it = replace(CREATED, status="running", started_ms=self.clock.now_ms())

    def facts(self, _name: str) -> Facts | None:
        return self.it

    def wait(self, _name: str, _timeout_s: int) -> bool:
        assert self.it is not None
        assert self.it.started_ms is not None
        self.it = replace(self.it, status="exited", finished_ms=self.it.started_ms + 900)
        return True

    def logs(self, _name: str) -> Iterator[bytes]:
        return iter([b"a line\n"])

    def records(self, _name: str, _since_ns: int) -> Iterator[LogRecord]:
        return iter([LogRecord(NOW_S * 10**9, b"a line\n")])

    def history(self, _name: str) -> History:
        return History((), is_whole=True)

    def usage(self, _name: str) -> Usage:
        return Usage(10, 20)

    def stop(self, _name: str, _grace_s: int) -> None:
        """Nothing here is ever stopped."""

    def remove(self, _name: str) -> None:
        self.it = None


@dataclass
class Oracle:
    """An Oracle that says a thing until it hears the answer, and keeps what it was told."""

    world: World
    accepted: bool = False
    acked: bool = False
    log: bytes = b""
    reports: list[bytes] = field(default_factory=list)
    beats: list[Heartbeat] = field(default_factory=list)

    def info(self) -> object:
        return self.world.info

    def register(self, _sealed: object) -> None:
        """Take it."""

    def heartbeat(self, beat: Heartbeat) -> HeartbeatReply:
        self.beats.append(beat)
        missed = MissedWork(reason="cpu", count=2, would_pay=70)
        return HeartbeatReply(time_s=NOW_S, missed=(missed,))

    def poll(self, poll: Poll) -> Inbox:
        job_id, offer = self.world.request.job_id, self.world.offer()
        is_new = not self.accepted and job_id not in poll.known_offers
        void = Voided(job_id=job_id, why="the chain took its payment back")
        return Inbox(
            offers=(offer,) if is_new else (),
            voided=(void,) if self.reports and not self.acked else (),
        )

    def accept(self, _job_id: str, _ticket_id: str) -> None:
        self.accepted = True

    def get_blob(self, _sha256: str, _to: object, _size: int) -> None:
        """The job has no inputs."""

    def put_log(self, _job_id: str, offset: int, chunk: bytes) -> int:
        if offset <= len(self.log):
            self.log = self.log[:offset] + chunk
        return len(self.log)

    def missing_results(self, _job_id: str, _results: object) -> MissingBlobs:
        return MissingBlobs(missing=())

    def report(self, _job_id: str, body: bytes) -> None:
        self.reports.append(body)

    def ack_receipt(self, _job_id: str) -> None:
        self.acked = True


@dataclass
class Life:
    """A worker, and the world that it lives in."""

    worker: Worker
    journal: TightJournal
    engine: Engine
    oracle: Oracle
    world: World
    now: list[float]

    def live(self) -> None:
        """Turn until the job is over, and a few turns more."""
        for _ in range(STEPS_MAX):
            self.now[0] += 1.0
            self.worker.step()
            if self.row is not None and self.row.state is State.LOST and not self.worker.has_jobs:
                break
        for _ in range(5):
            self.now[0] += HEARTBEAT_EVERY_S
            self.worker.step()

    @property
    def row(self) -> JobRow | None:
        return self.journal.find(self.world.request.job_id)

    def check(self) -> None:
        """See that nothing was lost, and nothing done twice."""
        row = self.row
        assert row is not None
        assert [event.what for event in self.journal.events(row.job_id)] == STORY
        assert self.engine.starts == 1
        assert self.engine.it is None
        assert len(set(self.oracle.reports)) == 1
        assert self.oracle.log == b"a line\n"
        assert (row.reason, row.ran_ms) == ("succeeded", 900)
        assert self.journal.reserved().cpu_mhz == 0
        assert [each.reason for each in self.journal.missed()] == ["cpu"]
        assert self.journal.machine() is not None
        shown = self.journal.worker()
        assert shown is not None
        assert (shown.accepting, shown.hold) == (True, "")


@pytest.fixture
def life(world: World, tmp_path: Path) -> Iterator[Callable[[], Life]]:
    lives: list[Life] = []

    def begin() -> Life:
        home = tmp_path / str(len(lives))
        home.mkdir()
        now = [0.0]
        clock = Clock(lambda: NOW_S + now[0], lambda: now[0])
        journal = TightJournal(home / "journal.db", clock.now_ms)
        engine, oracle = Engine(clock), Oracle(world)
        deps = Deps(
            journal=journal, engine=engine, oracle=oracle, pool=InlinePool(), identity=world.us,
            clock=clock, backoff=Backoff(random.Random(1)), jobs_dir=home / "jobs", core_mhz=2500,
            user=f"{os.geteuid()}:{os.getegid()}", boot_id="boot",
        )  # fmt: skip
        availability = Availability(AvailabilityConfig(), home / "pause.json")
        looks = Looks(fingerprint, lambda: WELL)
        lookout = Lookout(journal, clock, availability, CAPACITY, looks)
        runner = Runner(deps)
        inbox = InboxHandler(deps, runner, lookout.capacity, home / "receipts")
        config = Config(wallet=WalletConfig(address=world.us.wallet), capacity=CAPACITY)
        worker = Worker(deps, runner, inbox, lookout, config, home / "cancel")
        lives.append(Life(worker, journal, engine, oracle, world, now))
        return lives[-1]

    yield begin
    for each in lives:
        each.journal.close()


def test_at_whichever_write_the_room_ends_the_job_s_story_is_the_same(
    life: Callable[[], Life],
) -> None:
    calm = life()
    calm.live()
    calm.check()
    assert calm.journal.writes > 20
    for number in range(1, calm.journal.writes + 1):
        tight = life()
        tight.journal.full_at = number
        tight.live()
        tight.check()


def test_while_there_is_no_room_leases_are_renewed_and_no_jobs_are_wanted(
    life: Callable[[], Life],
) -> None:
    tight = life()
    for _ in range(4):
        tight.now[0] += 1.0
        tight.worker.step()
    beats = len(tight.oracle.beats)
    tight.journal.full_at, tight.journal.count = tight.journal.writes + 1, 10**9
    for _ in range(6):
        tight.now[0] += HEARTBEAT_EVERY_S
        tight.worker.step()
    assert len(tight.oracle.beats) >= beats + 4
    assert not tight.oracle.beats[-1].accepting
    tight.journal.count = 0
    tight.live()
    tight.check()
    assert tight.oracle.beats[-1].accepting


def test_results_that_find_no_room_are_written_again(
    life: Callable[[], Life], monkeypatch: pytest.MonkeyPatch
) -> None:
    tight, write_whole, refusals = life(), delivery.write_whole, []

    def write(path: Path, content: bytes) -> None:
        if len(refusals) < 3:
            refusals.append(path)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write_whole(path, content)

    monkeypatch.setattr(delivery, "write_whole", write)
    tight.live()
    tight.check()
    assert len(refusals) == 3


def test_a_job_that_finds_no_room_does_not_hold_up_the_others(
    life: Callable[[], Life], monkeypatch: pytest.MonkeyPatch
) -> None:
    tight = life()
    journal, runner = tight.journal, tight.worker._runner
    for job_id in ("a" * 32, "b" * 32):
        values: dict[str, object] = {
            "job_id": job_id, "ticket_id": job_id[::-1] + "t", "cpu_mhz": 1, "ram_mb": 1,
            "disk_mb": 1, "time_limit_s": 60, "price": 1, "image": "x", "offer": b"{}",
        }  # fmt: skip
        journal.admit(values, PLENTY)
        row = journal.move(journal.job(job_id), State.ACCEPTED)
        is_first = job_id.startswith("a")
        row = journal.ask_stop(row, "cancelled") if is_first else journal.move(row, State.CREATED)
        runner.take(row, tight.world)

    def refuse(path: Path, _content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(delivery, "write_whole", refuse)
    with pytest.raises(JournalFullError, match=r"results\.json"):
        runner.advance()
    assert journal.job("a").state is State.ACCEPTED
    assert journal.job("b").state is State.STARTING
