"""When a job is saved, what waits for an Oracle that is away, and what ends with the job."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import pytest

from nunet_dms.errors import OracleUnreachableError, RefusedError, UnreachableError
from nunet_dms.node import checkpoints
from nunet_dms.node.admission import VerifiedJob
from nunet_dms.node.backoff import Backoff
from nunet_dms.node.checkpoints import LAST_CHECKPOINT_S, Checkpoints
from nunet_dms.node.clock import Clock
from nunet_dms.node.deps import Deps
from nunet_dms.node.engine.deadline import DEADLINE_PATH
from nunet_dms.node.engine.profile import ImageDefaults, create_arguments
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.journal import Journal
from nunet_dms.node.journal_trouble import JournalFullError
from nunet_dms.node.live import Live
from nunet_dms.node.pool import Outcome, Pool, Task
from nunet_dms.node.prepare import container_spec
from nunet_dms.node.rows import JobRow
from nunet_dms.node.states import State
from nunet_dms.protocol import strict
from nunet_dms.protocol.checkpoint import CheckpointManifest, open_checkpoint
from nunet_dms.protocol.job import Checkpoint
from nunet_dms.protocol.node import MissingBlobs
from nunet_dms.protocol.platform import Platform
from nunet_dms.protocol.signing import Sealed
from tests.unit.node.conftest import NOW_S, World

ME = f"{os.geteuid()}:{os.getegid()}"
INTERVAL_S = 60
HERE = Platform(os_family="linux", architecture="x86_64", kernel="6.1.0", gpus=("T4",))


class InlinePool(Pool):
    """Every task runs at once, or, while `holds`, when a test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.holds = False
        self.held: dict[Task, Callable[[], object]] = {}
        self._ended: list[Outcome] = []

    def submit(self, task: Task, work: Callable[[], object], _limit_s: float | None = None) -> bool:
        assert task not in self.held
        self.held[task] = work
        if not self.holds:
            self.release()
        return True

    def is_busy(self, task: Task) -> bool:
        return task in self.held or any(each.task == task for each in self._ended)

    def release(self) -> None:
        for task, work in list(self.held.items()):
            try:
                outcome = Outcome(task, value=work())
            except Exception as error:  # noqa: BLE001 - what the real pool does
                outcome = Outcome(task, error=error)
            self._ended.append(outcome)
            del self.held[task]

    def collect(self) -> list[Outcome]:
        ended, self._ended = self._ended, []
        return ended


@dataclass
class Oracle:
    """What an Oracle keeps of one job; the real one is held to the same in tests/contract."""

    node_id: str
    blobs: dict[str, bytes] = field(default_factory=dict)
    whole: list[CheckpointManifest] = field(default_factory=list)
    uploads: int = 0
    error: Exception | None = None

    def put_checkpoint(self, job_id: str, sealed: Sealed) -> MissingBlobs:
        if self.error is not None:
            raise self.error
        manifest = open_checkpoint(sealed, job_id, self.node_id)
        named = {entry.sha256 for entry in manifest.files.files}
        missing = tuple(sorted(named - set(self.blobs)))
        if not missing and manifest not in self.whole:
            self.whole.append(manifest)
        return MissingBlobs(missing=missing)

    def put_blob(self, sha256: str, content: BinaryIO) -> None:
        data = content.read()
        assert hashlib.sha256(data).hexdigest() == sha256
        self.uploads += 1
        self.blobs[sha256] = data


class Times:
    """A monotonic clock that a test moves; the wall is years away from any file's date."""

    def __init__(self) -> None:
        self.now_s = 1000.0


@dataclass
class Stand:
    """One running job with a checkpoint folder."""

    checkpoints: Checkpoints
    live: Live
    oracle: Oracle
    pool: InlinePool
    times: Times
    journal: Journal
    deps: Deps

    def write(self, path: str, content: str) -> None:
        (self.live.folder.checkpoint / path).write_text(content)

    def turn(self, seconds: float = 0.0) -> None:
        """Let time pass, and let the runner look until nothing comes of it any more."""
        self.times.now_s += seconds
        for _ in range(5):
            self.checkpoints.advance(self.live)
            self.take()

    def take(self) -> None:
        for outcome in self.pool.collect():
            task = outcome.task
            if outcome.error is None:
                self.deps.backoff.clear(task)
                self.checkpoints.handle[task.what](self.live, outcome.value)
                continue
            self.deps.backoff.fail(task, self.times.now_s)
            if not isinstance(outcome.error, UnreachableError):
                self.checkpoints.failed(self.live, task.what, outcome.error)

    def drain(self) -> int:
        """Drain to the end; returns after how many turns."""
        turns = 0
        while self.checkpoints.drain(self.live):
            self.take()
            turns += 1
            assert turns < 20
        return turns

    def finish(self) -> bool:
        done = False
        for _ in range(5):
            done = self.checkpoints.finish(self.live)
            self.take()
        return done

    def end(self, reason: str, stop_reason: str = "") -> None:
        """Note how the job ended, as the runner does."""
        row = replace(self.live.row, state=State.EXITED, reason=reason, stop_reason=stop_reason)
        self.live.row = row

    def restart(self) -> None:
        """Begin another life of the worker: only the journal and the folder are left."""
        self.deps = replace(self.deps, backoff=Backoff(random.Random(1)))
        self.checkpoints = Checkpoints(self.deps)
        self.checkpoints.platform = HERE

    @property
    def numbers(self) -> list[int]:
        return [manifest.number for manifest in self.oracle.whole]

    def complaints(self) -> list[str]:
        story = self.journal.events(self.live.row.job_id)
        return [event.detail for event in story if event.what == "checkpoint_skipped"]


@pytest.fixture
def stand(world: World, journal: Journal, admit: Callable[..., JobRow], tmp_path: Path) -> Stand:
    times, pool, oracle = Times(), InlinePool(), Oracle(world.us.node_id)
    clock = Clock(wall_s=lambda: NOW_S + times.now_s, monotonic_s=lambda: times.now_s)
    deps = Deps(
        journal=journal, engine=None, oracle=oracle, pool=pool, identity=world.us, clock=clock,
        backoff=Backoff(random.Random(1)), jobs_dir=tmp_path, core_mhz=2000, user=ME,
        boot_id="boot",
    )  # type: ignore[arg-type]  # fmt: skip
    spec = replace(world.spec, checkpoint=Checkpoint(folder="/ck", interval_s=INTERVAL_S))
    folder = JobFolder(tmp_path / "job")
    folder.make(ME, with_checkpoint=True)
    row = replace(admit(), state=State.RUNNING, started_ms=clock.now_ms())
    live = Live(row, VerifiedJob(world.ticket, world.request, spec), folder, "name")
    found = Stand(Checkpoints(deps), live, oracle, pool, times, journal, deps)
    found.checkpoints.platform = HERE
    return found


def test_a_job_is_saved_at_its_interval_and_only_what_changed_travels(stand: Stand) -> None:
    stand.write("table", "never changes")
    stand.write("state", "1")
    stand.turn(INTERVAL_S - 1)
    assert stand.oracle.whole == []
    stand.turn(1)
    assert (stand.numbers, stand.oracle.uploads) == ([1], 2)
    stand.write("state", "2")
    stand.turn(INTERVAL_S)
    assert (stand.numbers, stand.oracle.uploads) == ([1, 2], 3)
    first, second = stand.oracle.whole
    assert (first.trigger, first.ran_ms, second.ran_ms) == ("interval", 60_000, 120_000)
    assert first.platform == replace(HERE, gpus=())  # the job has none
    row = stand.journal.checkpoint(stand.live.row.job_id)
    assert row is not None
    assert (row.number, row.stored) == (2, True)
    assert not stand.live.folder.spool.exists()


def test_nothing_is_saved_of_a_job_without_a_folder_or_before_the_machine_is_known(
    stand: Stand,
) -> None:
    stand.checkpoints.platform = None
    stand.turn(10 * INTERVAL_S)
    assert (stand.drain(), stand.checkpoints.finish(stand.live)) == (0, True)
    stand.checkpoints.platform = HERE
    stand.live.job = replace(stand.live.job, spec=replace(stand.live.job.spec, checkpoint=None))
    stand.turn(10 * INTERVAL_S)
    assert (stand.drain(), stand.checkpoints.finish(stand.live)) == (0, True)
    assert stand.oracle.whole == []


def test_an_empty_folder_is_nothing_to_go_on_from(stand: Stand) -> None:
    stand.turn(INTERVAL_S)
    stand.drain()
    assert (stand.oracle.whole, stand.complaints()) == ([], [])


def test_a_slow_line_delays_the_next_one_and_doubles_nothing(stand: Stand) -> None:
    stand.write("state", "1")
    stand.turn(INTERVAL_S - 1)
    stand.pool.holds = True
    stand.turn(1)
    assert [task.what for task in stand.pool.held] == ["snapshot"]
    stand.pool.release()
    stand.turn()
    assert [task.what for task in stand.pool.held] == ["store"]
    stand.write("state", "2")
    stand.turn(5 * INTERVAL_S)  # still on its way
    assert [task.what for task in stand.pool.held] == ["store"]
    stand.pool.holds = False
    stand.pool.release()
    stand.turn()
    assert stand.numbers == [1, 2]


def test_while_the_oracle_is_away_the_newest_waits_and_survives_a_restart(stand: Stand) -> None:
    stand.oracle.error = OracleUnreachableError("away")
    for number in range(3):
        stand.write("state", str(number))
        stand.turn(INTERVAL_S)
    row = stand.journal.checkpoint(stand.live.row.job_id)
    assert row is not None
    assert (row.number, row.stored) == (3, False)
    stand.restart()
    stand.oracle.error = None
    stand.turn(1)
    assert (stand.numbers, stand.complaints()) == ([3], [])
    assert list(stand.oracle.blobs.values()) == [b"2"]


def test_after_a_restart_the_interval_goes_on(stand: Stand) -> None:
    stand.write("state", "1")
    stand.turn(INTERVAL_S)
    stand.times.now_s += INTERVAL_S - 1
    stand.restart()
    stand.turn()
    assert stand.numbers == [1]
    stand.turn(1)
    assert stand.numbers == [1, 2]


def test_a_no_ends_one_checkpoint_and_the_next_is_taken_from_scratch(stand: Stand) -> None:
    stand.write("state", "1")
    stand.oracle.error = RefusedError("checkpoint_too_large", "cannot take it: too large")
    stand.turn(INTERVAL_S)
    stand.turn(INTERVAL_S)
    assert stand.complaints() == ["cannot take it: too large"]  # once, not at every interval
    stand.oracle.error = None
    stand.turn(1)
    assert stand.numbers == []
    stand.turn(INTERVAL_S)
    assert stand.numbers == [3]


def test_a_folder_that_cannot_be_saved_is_told_once_and_looked_at_again(stand: Stand) -> None:
    with (stand.live.folder.checkpoint / "sparse").open("wb") as file:
        file.truncate(10**9)
    stand.turn(INTERVAL_S)
    stand.turn(INTERVAL_S)
    (complaint,) = stand.complaints()
    assert "1000000000 bytes" in complaint
    (stand.live.folder.checkpoint / "sparse").unlink()
    stand.write("state", "1")
    stand.turn(INTERVAL_S)
    assert stand.numbers == [1]


def test_a_journal_without_room_is_tried_at_the_next_interval_and_not_at_every_turn(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def full(*given: object) -> None:
        tries.append(given)
        raise JournalFullError("no room")

    monkeypatch.setattr(stand.journal, "checkpointed", full)
    stand.write("state", "1")
    with pytest.raises(JournalFullError):
        stand.turn(INTERVAL_S)
    stand.turn(INTERVAL_S / 2)
    assert len(tries) == 1
    monkeypatch.undo()
    stand.turn(INTERVAL_S / 2)
    assert stand.numbers == [1]


def test_a_disk_that_takes_no_copy_is_told_and_does_not_end_the_job(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "take", full)
    stand.write("state", "1")
    stand.turn(INTERVAL_S)
    assert stand.complaints() == ["[Errno 28] No space left on device"]
    monkeypatch.undo()
    stand.turn(INTERVAL_S)
    assert stand.numbers == [1]


@pytest.mark.parametrize(
    ("reason", "stop_reason", "trigger"),
    [
        ("time_limit", "time_limit", "time_limit"),
        ("time_limit", "", "time_limit"),
        ("cancelled", "cancelled", "stop"),
        ("node_fault", "node_fault", "stop"),
        ("disk_limit", "disk_limit", "stop"),
        ("out_of_memory", "", None),
        ("failed", "", None),
        ("succeeded", "", None),
        ("node_fault", "", None),
        ("node_fault", "time_limit", None),
    ],
)
def test_a_job_that_was_told_to_end_is_saved_once_more_and_no_other(
    stand: Stand, reason: str, stop_reason: str, trigger: str | None
) -> None:
    stand.write("state", "its last word")
    stand.end(reason, stop_reason)
    assert stand.finish()
    assert [manifest.trigger for manifest in stand.oracle.whole] == ([trigger] if trigger else [])


def test_one_that_was_under_way_when_the_container_ended_is_not_the_last(stand: Stand) -> None:
    stand.write("state", "1")
    stand.turn(INTERVAL_S - 1)
    stand.pool.holds = True
    stand.turn(1)
    stand.end("time_limit", "time_limit")
    assert not stand.checkpoints.finish(stand.live)
    stand.pool.holds = False
    stand.pool.release()
    stand.write("state", "written in its grace")
    assert stand.finish()
    assert [manifest.trigger for manifest in stand.oracle.whole] == ["time_limit"]
    assert b"written in its grace" in stand.oracle.blobs.values()


@pytest.mark.parametrize("what", ["snapshot", "store"])
def test_what_fails_of_an_earlier_one_does_not_cost_the_last(stand: Stand, what: str) -> None:
    stand.write("state", "1")
    stand.turn(INTERVAL_S - 1)
    stand.pool.holds = True
    stand.turn(1)
    if what == "store":
        stand.pool.release()
        stand.turn()
    stand.end("time_limit", "time_limit")
    assert not stand.checkpoints.finish(stand.live)
    stand.pool.holds = False
    stand.pool.held = dict.fromkeys(stand.pool.held, _no_room)
    stand.pool.release()
    assert not stand.finish()
    stand.times.now_s += 1  # a second try of the same thing waits a moment
    assert stand.finish()
    assert [manifest.trigger for manifest in stand.oracle.whole] == ["time_limit"]


def _no_room() -> object:
    raise OSError(28, "No space left on device")


def test_what_was_taken_while_it_ran_is_sent_before_the_report(stand: Stand) -> None:
    stand.write("state", "1")
    stand.oracle.error = OracleUnreachableError("away")
    stand.turn(INTERVAL_S)
    stand.end("failed")
    assert not stand.finish()
    stand.oracle.error = None
    stand.times.now_s += 60
    assert stand.finish()
    assert stand.numbers == [1]


def test_the_report_does_not_wait_for_ever(stand: Stand) -> None:
    stand.write("state", "1")
    stand.end("time_limit", "time_limit")
    stand.oracle.error = OracleUnreachableError("away")
    assert not stand.finish()
    stand.times.now_s += LAST_CHECKPOINT_S
    assert stand.finish()
    assert stand.complaints() == ["there was no time left to send it"]


def test_a_job_that_is_not_ours_any_more_reports_at_once(stand: Stand) -> None:
    stand.write("state", "1")
    stand.end("node_fault", "node_fault")
    stand.oracle.error = RefusedError("not_running", "cannot take the checkpoint: it is reported")
    assert stand.finish()


def test_the_last_one_is_not_taken_twice_by_a_worker_that_starts_again(stand: Stand) -> None:
    stand.write("state", "1")
    stand.end("time_limit", "time_limit")
    assert stand.finish()
    stand.restart()
    assert stand.finish()
    assert stand.numbers == [1]


def test_of_a_job_that_is_over_the_journal_keeps_no_list_of_files(stand: Stand) -> None:
    stand.write("state", "1")
    stand.turn(INTERVAL_S)
    stand.restart()
    stand.checkpoints.forget(stand.live)
    row = stand.journal.checkpoint(stand.live.row.job_id)
    assert row is not None
    assert (row.number, row.stored, row.manifest) == (1, True, b"")


def test_at_drain_a_job_is_saved_whatever_its_interval(stand: Stand) -> None:
    stand.write("state", "1")
    assert stand.drain() > 0
    assert [manifest.trigger for manifest in stand.oracle.whole] == ["drain"]


def test_at_drain_an_oracle_that_is_away_holds_nobody_up(stand: Stand) -> None:
    stand.write("state", "1")
    stand.oracle.error = OracleUnreachableError("away")
    assert stand.drain() > 0
    row = stand.journal.checkpoint(stand.live.row.job_id)
    assert row is not None
    assert not row.stored  # the next worker sends it
    assert strict.decode(CheckpointManifest, strict.decode(Sealed, row.manifest).payload).files


def test_what_an_earlier_try_already_brought_to_the_oracle_is_noted_without_the_spool(
    stand: Stand,
) -> None:
    """The worker died after the last upload and before it wrote that down."""
    stand.write("state", "1")
    stand.turn(INTERVAL_S - 1)
    real = stand.journal.checkpoint_stored
    stand.journal.checkpoint_stored = lambda *_given: None  # type: ignore[method-assign]
    stand.turn(1)
    stand.journal.checkpoint_stored = real  # type: ignore[method-assign]
    stand.restart()
    stand.turn(1)
    row = stand.journal.checkpoint(stand.live.row.job_id)
    assert row is not None
    assert (row.stored, stand.oracle.uploads, stand.complaints()) == (True, 1, [])


def test_the_folder_is_mounted_writable_at_the_path_that_the_job_names(stand: Stand) -> None:
    made = container_spec(stand.deps, stand.live.row, stand.live.job, stand.live.folder, "image")
    arguments = create_arguments(made, ImageDefaults((), (), ("/ck", "/data")))
    mount = arguments["mounts"][-1]
    assert (mount["Target"], mount["Source"]) == ("/ck", str(stand.live.folder.checkpoint))
    assert not mount["ReadOnly"]
    assert "/ck" not in arguments["tmpfs"]  # a volume of the image does not hide it
    assert "/data" in arguments["tmpfs"]
    assert arguments["environment"]["NUNET_CHECKPOINT_DIR"] == "/ck"


def test_a_job_without_a_folder_has_no_mount_for_one(stand: Stand) -> None:
    job = replace(stand.live.job, spec=replace(stand.live.job.spec, checkpoint=None))
    made = container_spec(stand.deps, stand.live.row, job, stand.live.folder, "image")
    arguments = create_arguments(made, ImageDefaults((), (), ()))
    assert {each["Target"] for each in arguments["mounts"]} == {
        "/nunet/in",
        "/nunet/out",
        DEADLINE_PATH,
    }
    assert "NUNET_CHECKPOINT_DIR" not in arguments["environment"]
