"""What a node removes by itself, and above all what it leaves alone."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunet_dms.machine.disk import DiskFacts
from nunet_dms.node.availability import DISK_FLOOR_MB
from nunet_dms.node.backoff import Backoff
from nunet_dms.node.clock import Clock
from nunet_dms.node.deps import Deps
from nunet_dms.node.engine.types import Engine, Labelled, Owned, StoredImage
from nunet_dms.node.housekeeping import (
    LOG_KEPT_S,
    LOGS_KEPT_BYTES,
    LOGS_KEPT_MIN,
    LOOK_EVERY_S,
    NOTE_EVERY_S,
    ROWS_KEPT_MS,
    Chores,
    Housekeeping,
    KeptFolder,
    Known,
    Seen,
    choose,
    enough_mb,
    low_mb,
)
from nunet_dms.node.journal import Journal
from nunet_dms.node.oracle_client import OracleClient
from nunet_dms.node.pool import Pool
from nunet_dms.node.recovery import recover
from nunet_dms.node.rows import ImageRow, JobEnd, JobRow
from nunet_dms.node.states import HAS_CONTAINER, State
from tests.unit.node.conftest import NOW_S, World

FULL = DiskFacts(100_000, 5_000)
"""Less than a tenth is free."""
ROOMY = DiskFacts(100_000, 50_000)


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def row(number: int, used_ms: int = 0, name: str = "lab/image") -> ImageRow:
    return ImageRow(f"{name}@{digest(number + 100)}", digest(number), 0, used_ms)


def stored(of: ImageRow, *also: str, in_use: bool = False) -> StoredImage:
    return StoredImage(of.image_id, 1, in_use, (of.reference, *also))


@pytest.fixture
def job(admit: Callable[..., JobRow]) -> JobRow:
    return admit("c" * 32, image=f"lab/image@{digest(101)}")


# --- what is chosen ------------------------------------------------------------------------------


def test_images_stay_while_there_is_room() -> None:
    ours = row(1)
    assert choose(Seen(images=(stored(ours),), disk=ROOMY), Known((), (ours,))) == Chores()
    unknown = DiskFacts(None, None)
    assert choose(Seen(images=(stored(ours),), disk=unknown), Known((), (ours,))) == Chores()


def test_on_a_full_disk_the_least_recently_used_go_first() -> None:
    old, new = row(1, used_ms=5), row(2, used_ms=9)
    seen = Seen(images=(stored(new), stored(old)), disk=FULL)
    assert choose(seen, Known((), (new, old))).images == (old, new)


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(stored(row(1), in_use=True), id="a container uses it"),
        pytest.param(stored(row(1), "mine:latest"), id="somebody tagged it"),
        pytest.param(stored(row(1), f"mirror/x@{digest(101)}"), id="pulled by another name too"),
        pytest.param(StoredImage(digest(1), 1, False, ()), id="our name was taken from it"),
        pytest.param(StoredImage(digest(1), 1, False, ("lab/image:1",)), id="a tag alone"),
        pytest.param(
            StoredImage(digest(1), 1, False, (f"lab/image@{digest(7)}",)), id="another digest"
        ),
    ],
)
def test_an_image_that_is_not_only_ours_stays(image: StoredImage) -> None:
    assert choose(Seen(images=(image,), disk=FULL), Known((), (row(1),))).images == ()


def test_the_same_name_written_in_full_is_ours() -> None:
    ours = replace(row(1), reference=f"docker.io/library/busybox@{digest(101)}")
    image = StoredImage(digest(1), 1, False, (f"busybox@{digest(101)}",))
    assert choose(Seen(images=(image,), disk=FULL), Known((), (ours,))).images == (ours,)


def test_the_image_of_a_job_that_is_still_to_run_stays(job: JobRow) -> None:
    ours = row(1)
    seen = Seen(images=(stored(ours),), disk=FULL)
    assert choose(seen, Known((job,), (ours,))).images == ()
    by_id = replace(job, image="x", image_id=ours.image_id)
    assert choose(seen, Known((by_id,), (ours,))).images == ()
    paid = replace(job, state=State.SIGNED)
    assert choose(seen, Known((paid,), (ours,))).images == (ours,)


def test_an_image_that_others_removed_is_no_longer_ours() -> None:
    """At the second look: one that has only just come may be missing from the list."""
    first = choose(Seen(disk=FULL), Known((), (row(1),)))
    assert (first.gone_images, first.suspects) == ((), {row(1).reference})
    again = choose(Seen(disk=FULL), Known((), (row(1),), first.suspects))
    assert again.gone_images == (row(1).reference,)


def test_a_pull_that_never_ended_is_forgotten_once_no_job_waits_for_it(job: JobRow) -> None:
    begun = replace(row(1), image_id="")
    suspects = frozenset({begun.reference})
    assert choose(Seen(), Known((job,), (begun,), suspects)).gone_images == ()
    assert choose(Seen(), Known((), (begun,), suspects)).gone_images == (begun.reference,)


def test_a_leftover_goes_at_the_second_look_that_finds_it(job: JobRow) -> None:
    ours, stray = Owned("1", "a", job.job_id), Owned("2", "b", "d" * 32)
    volume = Labelled("volume", "v", "d" * 32)
    seen = Seen(containers=(ours, stray), others=(volume, Labelled("network", "n", job.job_id)))
    first = choose(seen, Known((job,), ()))
    assert (first.are_none, first.suspects) == (True, {"2", "v"})
    second = choose(seen, Known((job,), (), first.suspects))
    assert (second.containers, second.others) == ((stray,), (volume,))
    done = choose(seen, Known((replace(job, state=State.REPORTED),), (), frozenset({"1", "2"})))
    assert done.containers == (ours, stray)


def test_logs_go_by_age_but_the_newest_and_those_of_open_jobs_stay(job: JobRow) -> None:
    now_s = 10 * LOG_KEPT_S
    old = [KeptFolder(f"{n:032x}", 1, 1000.0 + n) for n in range(LOGS_KEPT_MIN + 3)]
    its = KeptFolder(job.job_id, 1, 0.0)
    chosen = choose(Seen(folders=(its, *old)), Known((job,), (), now_s=now_s)).folders
    assert sorted(chosen) == [each.job_id for each in old[:3]]
    young = [replace(each, changed_s=now_s - n) for n, each in enumerate(old)]
    assert choose(Seen(folders=tuple(young)), Known((), (), now_s=now_s)).folders == ()


def test_logs_beyond_the_size_go_the_oldest_first() -> None:
    count = LOGS_KEPT_MIN + 10
    each_bytes = LOGS_KEPT_BYTES // (count - 2)
    logs = [KeptFolder(f"{n:032x}", each_bytes, float(n)) for n in range(count)]
    chosen = choose(Seen(folders=tuple(logs)), Known((), (), now_s=100.0)).folders
    assert sorted(chosen) == [logs[0].job_id, logs[1].job_id]


@pytest.mark.parametrize("total_mb", [1, 10_000, 100_000, 10_000_000])
def test_images_go_before_work_stops(total_mb: int) -> None:
    disk = DiskFacts(total_mb, 0)
    assert DISK_FLOOR_MB < low_mb(disk) < enough_mb(disk)


# --- whatever is on the machine ------------------------------------------------------------------

NUMBERS = st.integers(0, 5)
JOB_IDS = [f"{n:032x}" for n in range(4)]
ROWS = st.builds(row, NUMBERS, st.integers(0, 9))
IMAGES = st.builds(
    lambda number, names, used: StoredImage(digest(number), 1, used, tuple(names)),
    NUMBERS,
    st.sets(
        st.one_of(
            st.builds(lambda n: f"lab/image@{digest(n + 100)}", NUMBERS),
            st.sampled_from(["mine:1", "lab/image:1", f"other@{digest(100)}"]),
        )
    ),
    st.booleans(),
)
SEEN = st.builds(
    Seen,
    containers=st.lists(
        st.builds(Owned, st.sampled_from("abcd"), st.just("n"), st.sampled_from(JOB_IDS)),
        unique_by=lambda each: each.container_id,
    ).map(tuple),
    others=st.lists(
        st.builds(Labelled, st.just("volume"), st.sampled_from("vw"), st.sampled_from(JOB_IDS)),
        unique_by=lambda each: each.name,
    ).map(tuple),
    images=st.lists(IMAGES, unique_by=lambda each: each.image_id).map(tuple),
    folders=st.lists(
        st.builds(KeptFolder, st.sampled_from(JOB_IDS), NUMBERS, st.floats(0, 9)),
        unique_by=lambda each: each.job_id,
    ).map(tuple),
    disk=st.sampled_from([FULL, ROOMY, DiskFacts(None, None)]),
)


@given(
    seen=SEEN,
    pulled=st.lists(ROWS, unique_by=lambda each: each.image_id).map(tuple),
    states=st.lists(st.sampled_from(list(State)), min_size=4, max_size=4),
    needs=st.lists(NUMBERS, min_size=4, max_size=4),
    suspects=st.frozensets(
        st.sampled_from([*"abcdvw", *(f"lab/image@{digest(n + 100)}" for n in range(6))])
    ),
)
def test_nothing_that_somebody_needs_is_ever_chosen(
    seen: Seen,
    pulled: tuple[ImageRow, ...],
    states: list[State],
    needs: list[int],
    suspects: frozenset[str],
) -> None:
    jobs = tuple(
        a_job(job_id, state, f"lab/image@{digest(need + 100)}")
        for job_id, state, need in zip(JOB_IDS, states, needs, strict=True)
        if state not in {State.SETTLED, State.LOST}
    )
    chosen = choose(seen, Known(jobs, pulled, suspects, now_s=1e9))
    images = {image.image_id: image for image in seen.images}
    at_work = {each.job_id for each in jobs if each.state in HAS_CONTAINER}
    for each in chosen.images:
        assert each in pulled
        image = images[each.image_id]
        assert image.references == (each.reference,)
        assert not image.in_use
        assert all(each.reference != one.image for one in jobs if one.job_id in at_work)
    assert not chosen.images or seen.disk == FULL
    assert [each.used_ms for each in chosen.images] == sorted(x.used_ms for x in chosen.images)
    assert all(each.job_id not in at_work for each in chosen.containers + chosen.others)  # type: ignore[operator]
    assert set(chosen.containers) <= set(seen.containers)
    assert set(chosen.others) <= set(seen.others)
    assert not set(chosen.folders) & {each.job_id for each in jobs}
    here = {each.reference for each in pulled if each.image_id in images}
    assert not set(chosen.gone_images) & here


def a_job(job_id: str, state: State, image: str) -> JobRow:
    return JobRow(
        job_id=job_id, ticket_id=job_id, state=state, attempt=1, cpu_mhz=1, ram_mb=1, disk_mb=1,
        time_limit_s=1, price=1, image=image, container_id="", image_id="", boot_id="",
        stop_reason="", stop_ms=None, reason="", detail="", exit_code=None, ran_ms=0, cpu_ms=None,
        ram_peak_mb=None, earned=None, settlement_tx_id="", admitted_ms=0, started_ms=None,
        finished_ms=None, changed_ms=0, started_mono_ms=None, engine_gone_ms=None, deaths=0,
        death_state="",
    )  # fmt: skip


# --- turn by turn --------------------------------------------------------------------------------


@dataclass
class Machine:
    """An engine and its disk, of which a test says what is there."""

    root: Path
    images_here: list[StoredImage] = field(default_factory=list)
    containers: list[Owned] = field(default_factory=list)
    free_mb: int = 50_000
    image_mb: int = 6_000
    refuses: set[str] = field(default_factory=set)

    def owned(self, _node_id: str) -> tuple[Owned, ...]:
        return tuple(self.containers)

    def remove(self, name: str) -> None:
        self.containers = [each for each in self.containers if each.container_id != name]

    def labelled(self, _node_id: str) -> tuple[Labelled, ...]:
        return ()

    def images(self) -> tuple[StoredImage, ...]:
        return tuple(self.images_here)

    def remove_image(self, image_id: str) -> bool:
        if image_id in self.refuses:
            return False
        self.images_here = [each for each in self.images_here if each.image_id != image_id]
        self.free_mb += self.image_mb
        return True

    def data_root(self) -> Path:
        return self.root

    def disk(self, _path: Path) -> DiskFacts:
        return DiskFacts(100_000, self.free_mb)


@dataclass
class Keeping:
    """Housekeeping whose time and machine a test moves by hand."""

    house: Housekeeping
    machine: Machine
    journal: Journal
    now: list[float]
    deps: Deps

    def turn(self, after_s: float = LOOK_EVERY_S) -> None:
        """Let time pass, and do what is to be done."""
        self.now[0] += after_s
        for _ in range(5):
            work = self.house.next_work()
            if work is None:
                return
            self.house.take(work())
        pytest.fail("there is always something to do")

    @property
    def notes(self) -> list[str]:
        return [note.text for note in self.journal.machine_notes()]


@pytest.fixture
def keeping(world: World, journal: Journal, tmp_path: Path) -> Keeping:
    now = [0.0]
    machine = Machine(tmp_path)
    clock = Clock(lambda: NOW_S + now[0], lambda: now[0])
    deps = Deps(
        journal=journal, engine=cast("Engine", machine), oracle=cast("OracleClient", None),
        pool=Pool(), identity=world.us, clock=clock, backoff=Backoff(random.Random(1)),
        jobs_dir=tmp_path / "jobs", core_mhz=1000, user="1:1", boot_id="boot",
    )  # fmt: skip
    return Keeping(Housekeeping(deps, machine.disk), machine, journal, now, deps)


def pull(keeping: Keeping, *rows: ImageRow) -> None:
    for each in rows:
        keeping.journal.pulled_image(each.reference)
        keeping.journal.used_image(each.reference, each.image_id)
        keeping.machine.images_here.append(stored(each))


def test_images_go_one_after_the_other_until_enough_is_free(keeping: Keeping) -> None:
    pull(keeping, row(1), row(2), row(3))
    keeping.turn()
    assert len(keeping.machine.images_here) == 3
    keeping.machine.free_mb, keeping.machine.image_mb = 9_000, 3_000
    keeping.turn()  # one alone would end the need, two make room
    assert [each.image_id for each in keeping.machine.images_here] == [digest(3)]
    assert [each.image_id for each in keeping.journal.images()] == [digest(3)]
    assert keeping.notes == [
        "disk was low: 2 images that we pulled were removed, 6000 MB freed; a job that needs one"
        " pulls it again"
    ]


def test_an_image_that_docker_keeps_is_passed_over(keeping: Keeping) -> None:
    pull(keeping, row(1), row(2))
    keeping.machine.free_mb, keeping.machine.refuses = 9_500, {digest(1)}
    keeping.turn()
    assert [each.image_id for each in keeping.journal.images()] == [digest(1)]
    assert len(keeping.notes) == 1


def test_status_is_told_of_it_once_a_day(keeping: Keeping) -> None:
    for number in range(3):
        pull(keeping, row(number))
        keeping.machine.free_mb = 9_000
        keeping.turn()
    assert len(keeping.notes) == 1
    pull(keeping, row(4))
    keeping.machine.free_mb = 9_000
    keeping.turn(after_s=NOTE_EVERY_S)
    assert len(keeping.notes) == 2


def test_an_engine_on_another_machine_keeps_its_images(keeping: Keeping, tmp_path: Path) -> None:
    keeping.machine.root = tmp_path / "not-here"
    pull(keeping, row(1))
    keeping.machine.free_mb = 0
    keeping.turn()
    assert len(keeping.machine.images_here) == 1


def test_an_image_that_came_back_by_another_hand_is_not_ours(keeping: Keeping) -> None:
    pull(keeping, row(1))
    keeping.machine.images_here = []
    keeping.turn()
    keeping.turn()
    keeping.machine.images_here, keeping.machine.free_mb = [stored(row(1))], 0
    keeping.turn()
    assert len(keeping.machine.images_here) == 1


def test_a_leftover_container_goes_and_a_job_s_stays(
    keeping: Keeping, admit: Callable[..., JobRow]
) -> None:
    its = Owned("1", "a", admit("c" * 32).job_id)
    keeping.machine.containers = [its, Owned("2", "b", "d" * 32)]
    keeping.turn()
    assert len(keeping.machine.containers) == 2
    keeping.turn()
    assert keeping.machine.containers == [its]


def test_a_failure_lets_the_next_look_choose_anew(keeping: Keeping) -> None:
    pull(keeping, row(1))
    keeping.machine.free_mb = 9_000
    keeping.now[0] += LOOK_EVERY_S
    look = keeping.house.next_work()
    assert look is not None
    keeping.house.take(look())
    assert keeping.house.next_work() is not None
    keeping.house.failed()
    assert keeping.house.next_work() is None
    keeping.machine.free_mb = 50_000
    keeping.turn()
    assert len(keeping.machine.images_here) == 1


def test_only_what_is_named_like_a_job_is_taken_for_one(keeping: Keeping, tmp_path: Path) -> None:
    jobs, other = keeping.deps.jobs_dir, tmp_path / "other"
    (other / "in").mkdir(parents=True)
    for name in ("photos", "c" * 31, "C" * 32, *(f"{n:032x}" for n in range(LOGS_KEPT_MIN + 1))):
        (jobs / name / "in").mkdir(parents=True)
        (jobs / name / "log").write_text("text")
    oldest = jobs / f"{0:032x}"
    for path in (oldest / "in", oldest / "log", oldest):
        os.utime(path, (1, 1))
    (jobs / ("d" * 32)).symlink_to(other)
    (jobs / ("e" * 32)).write_text("a file")
    keeping.turn()
    assert not oldest.exists()
    left = {each.name for each in jobs.iterdir()}
    assert {"photos", "c" * 31, "C" * 32, "d" * 32, "e" * 32} < left
    assert len(left) == 5 + LOGS_KEPT_MIN
    recover(keeping.deps)
    assert (other / "in").is_dir()
    assert (jobs / "photos" / "in").is_dir()
    assert not (jobs / f"{1:032x}" / "in").exists()
    assert (jobs / f"{1:032x}" / "log").read_text() == "text"


# --- rows ----------------------------------------------------------------------------------------


def ended(journal: Journal, job: JobRow, *states: State) -> JobRow:
    """Take a job to its end, as a worker does."""
    job = journal.move(job, State.ACCEPTED)
    end = JobEnd("succeeded", "", 0, 5, None, None, NOW_S * 1000)
    job = journal.ended(job, end, f"key-{job.job_id}", b"report")
    for state in states:
        job = journal.reported(job) if state is State.REPORTED else journal.move(job, state, "why")
    return job


def test_old_rows_go_and_accounts_stay(
    keeping: Keeping, admit: Callable[..., JobRow], journal: Journal
) -> None:
    paid = ended(journal, admit("a" * 32), State.REPORTED, State.SETTLED)
    lost = ended(journal, admit("b" * 32), State.LOST)
    still = ended(journal, admit("c" * 32), State.REPORTED)
    before = {job.job_id: job for job in journal.jobs()}
    keeping.turn()
    assert len(journal.events(paid.job_id)) == 5
    keeping.turn(after_s=ROWS_KEPT_MS / 1000 + 1)
    assert journal.events(paid.job_id) == ()
    assert [event.what for event in journal.events(lost.job_id)][-1] == "lost"
    assert len(journal.events(still.job_id)) == 4
    assert {job.job_id: job for job in journal.jobs()} == before
    assert journal.report(still.job_id) == journal.report(lost.job_id) == b"report"
    assert journal.offer(paid.job_id) == b"{}"
    assert journal.trim(before_ms=10**15) == 0


def test_a_ticket_whose_row_went_is_still_refused(
    admit: Callable[..., JobRow], journal: Journal
) -> None:
    ended(journal, admit("a" * 32), State.LOST)
    assert journal.trim(before_ms=NOW_S * 1000 + 1) == 1
    with pytest.raises(Exception, match="its ticket was used before"):
        admit("b" * 32, ticket_id="a" * 32)
