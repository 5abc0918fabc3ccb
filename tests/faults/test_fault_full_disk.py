"""A disk that is full to the last byte, or the last file, under a journal and a real worker."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from nunet_dms.demo.story import wait_until
from nunet_dms.node.journal import Journal
from nunet_dms.node.journal_life import log_file
from nunet_dms.node.rows import Capacity, JobEnd
from nunet_dms.node.states import State
from nunet_dms.node.storage import LOOK_EVERY_S, Sizes, Storage
from tests.faults.conftest import END_WAIT_S, MB, Disk, Home

PLENTY = Capacity(cpu_mhz=10**6, ram_mb=10**6, disk_mb=10**6)
END = JobEnd("succeeded", "", 0, 1500, None, None, 1)
STORY = ["admitted", "accepted", "created", "starting", "running", "exited", "reported"]
OFFER = b"{" + b"x" * 20_000 + b"}"
SMALL = Sizes(ballast_bytes=MB, low_water_bytes=MB // 2, low_water_files=8, opening_bytes=MB // 4)
ROUNDS_MAX = 600


class Provider:
    """Takes one job after the other to its report, in steps that each may find no room."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.refusals = 0

    def turn(self, number: int) -> None:
        """Take one step with one job, as a worker does: what finds no room is done again."""
        if not self.journal.storage.survives(lambda: self._step(f"{number:032x}")):
            self.refusals += 1

    def is_done(self, number: int) -> bool:
        row = self.journal.find(f"{number:032x}")
        return row is not None and row.state is State.REPORTED

    def _step(self, job_id: str) -> None:
        journal, row = self.journal, self.journal.find(job_id)
        if row is None:
            values: dict[str, object] = {
                "job_id": job_id, "ticket_id": job_id[::-1] + "t", "cpu_mhz": 1, "ram_mb": 1,
                "disk_mb": 1, "time_limit_s": 60, "price": 1, "image": "x", "offer": OFFER,
            }  # fmt: skip
            journal.admit(values, PLENTY)
        elif row.state is State.ADMITTED:
            journal.move(row, State.ACCEPTED)
        elif row.state is State.ACCEPTED:
            journal.created(row, "c" * 64, "sha256:1")
        elif row.state is State.CREATED:
            journal.move(row, State.STARTING)
        elif row.state is State.STARTING:
            journal.started(row, 1, "boot", 1)
        elif row.state is State.RUNNING:
            journal.ended(row, END, f"key {job_id}", OFFER)
        elif row.state is State.EXITED:
            journal.reported(row)


def test_jobs_go_on_where_a_full_disk_stopped_them_and_none_is_lost_or_told_twice(
    make_disk: Callable[..., Disk],
) -> None:
    disk = make_disk(8)
    path = disk.folder / "journal.db"
    ballast = disk.folder / "journal.ballast"
    journal = Journal(path, lambda: 1)
    storage = journal.storage = Storage(path, SMALL)
    storage.keep_ballast()
    assert ballast.stat().st_size == MB
    disk.fill()
    provider, number, clock_s = Provider(journal), 0, 0.0

    def go_on_until(condition: Callable[[], bool]) -> None:
        nonlocal number
        for _ in range(ROUNDS_MAX):
            if condition():
                return
            provider.turn(number)
            number += provider.is_done(number)
        raise AssertionError(f"{number} jobs, {provider.refusals} refusals")

    go_on_until(lambda: provider.refusals == 1)
    assert not ballast.exists()
    assert storage.trouble.endswith("is full")
    # With the ballast overboard even what would free room by itself works again.
    journal._db.execute("DELETE FROM seen_ticket WHERE ticket_id = 'none'")
    assert journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    done = number
    go_on_until(lambda: number >= done + 2)
    disk.fill()
    go_on_until(lambda: provider.refusals >= 3)
    clock_s += LOOK_EVERY_S
    storage.look(clock_s)
    assert storage.trouble
    disk.free()
    clock_s += LOOK_EVERY_S
    storage.look(clock_s)
    assert (storage.trouble, ballast.stat().st_size) == ("", MB)
    done = number
    go_on_until(lambda: number >= done + 5)
    journal.close()
    with Journal(path, lambda: 1) as again:
        jobs = again.jobs()
        assert len(jobs) in {number, number + 1}
        for job in jobs:
            told = [event.what for event in again.events(job.job_id)]
            assert told == STORY[: len(told)]
            assert job.state is not State.REPORTED or told == STORY
        assert again.outbox_waiting() == sum(job.state is State.EXITED for job in jobs)
    assert not log_file(path).exists()


def test_a_worker_outlives_a_full_disk_and_takes_jobs_again_when_there_is_room(
    make_disk: Callable[..., Disk], home_on: Callable[[Disk], Home]
) -> None:
    disk = make_disk(160)
    home = home_on(disk)
    ballast = home.where.state_dir / "journal.ballast"
    worker = home.turning()
    assert ballast.stat().st_blocks * 512 >= 16 * MB
    disk.fill()
    wait_until("its word of the full disk", lambda: home.said("storage_"))
    wait_until("its note", lambda: home.row().hold == "disk_low")
    assert not home.row().accepting
    home.kill(worker)  # and another begins on the full disk
    worker = home.turning()
    assert not ballast.exists()
    disk.free()
    wait_until("room", lambda: home.said("storage_changed trouble=none"))
    wait_until("its ballast", ballast.exists)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(END_WAIT_S) == 0
    assert "Traceback" not in home.log.read_text()


def test_a_worker_tells_that_there_is_room_for_no_more_files(
    make_disk: Callable[..., Disk], home_on: Callable[[Disk], Home], tmp_path: Path
) -> None:
    disk = make_disk(160, files=600)
    home = home_on(disk)
    worker = home.turning()
    disk.use_up_files()
    wait_until("its word", lambda: home.said("storage_changed trouble=the file system at"))
    assert f"{tmp_path / 'disk'}, with " in home.log.read_text()
    assert "has room for 0 files, 256 are needed" in home.log.read_text()
    disk.free()
    wait_until("room", lambda: home.said("storage_changed trouble=none"))
    assert worker.poll() is None
