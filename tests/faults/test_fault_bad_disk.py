"""A disk that fails or can only be read, under a real worker."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable

from nunet_dms.demo.story import wait_until
from nunet_dms.node.journal_reader import JournalReader
from nunet_dms.node.lock import holder
from tests.faults.conftest import END_WAIT_S, Disk, Home
from tests.unit.node.conftest import World

ONCE, EVER_MORE = "", "+"
OPENED = 5
"""Calls of fdatasync before a journal that was there is open; a new one takes ten."""


def failing(at: int, how: str = ONCE) -> tuple[str, ...]:
    """Return what runs a worker so that its n-th fdatasync fails, or all from there on."""
    fault = f"inject=fdatasync:error=EIO:when={at}{how}"
    return ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", fault)


def end(worker: subprocess.Popen[bytes]) -> None:
    """End a worker in good order."""
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(END_WAIT_S) == 0


def test_a_disk_that_fails_once_begins_the_worker_anew_and_blames_no_job(
    home: Home, world: World
) -> None:
    home.give_job(world)
    home.start(*failing(OPENED + 2))
    wait_until("the failure", lambda: home.said("journal_failed starts_again_s=1: "))
    wait_until("a new life", lambda: home.said("worker_started") == 2)
    wait_until(
        "its steps", lambda: home.log.read_text().rsplit("worker_started")[-1].count("_failed")
    )
    pid = holder(home.where.lock_file)
    assert home.log.read_text().count(f"pid={pid}\n") == 2
    with JournalReader(home.where.journal) as journal:
        (job,) = journal.open_jobs()
        assert (job.deaths, job.death_state) == (0, "")
        assert [event.what for event in journal.events(job.job_id)] == ["admitted"]


def test_a_disk_that_fails_before_anything_runs_refuses_the_start(home: Home) -> None:
    words = home.refused(*failing(3, EVER_MORE))
    assert f"cannot use the journal {home.where.journal}: disk I/O error" in words
    assert "look at its disk" in words
    assert home.said("journal_failed") == 0
    home.turning()  # on the disk that is well again


def test_a_disk_that_goes_on_failing_is_tried_ever_more_rarely(home: Home) -> None:
    end(home.turning())
    tracer = home.start(*failing(OPENED + 2, EVER_MORE))
    for wait_s in (1, 2, 4):
        text = f"journal_failed starts_again_s={wait_s}: "
        wait_until(f"the wait of {wait_s} s", lambda text=text: home.said(text))
    pid = holder(home.where.lock_file)
    already = home.said("recover_failed")
    tracer.send_signal(signal.SIGKILL)  # its worker goes on without it, on a disk that is well
    tracer.wait()
    wait_until("a life that lasts", lambda: home.said("recover_failed") > already)
    assert holder(home.where.lock_file) == pid
    assert home.nunet("worker", "stop").returncode == 0
    assert holder(home.where.lock_file) is None


def test_a_start_where_nothing_can_be_written_is_refused(
    make_disk: Callable[..., Disk], home_on: Callable[[Disk], Home]
) -> None:
    disk = make_disk(160)
    home = home_on(disk)
    end(home.turning())
    disk.remount("ro")
    words = home.refused()
    assert f"cannot use the journal {home.where.journal}: the file system at {disk.folder}" in words
    assert "is read-only" in words
    assert "Traceback" not in words
    disk.remount("rw")
    home.turning()


def test_a_worker_whose_disk_can_only_be_read_any_more_says_so_and_waits(
    make_disk: Callable[..., Disk], home_on: Callable[[Disk], Home]
) -> None:
    disk = make_disk(160)
    home = home_on(disk)
    worker = home.turning()
    disk.remount("abort")
    wait_until("its word", lambda: home.said("storage_trouble the file system at"))
    assert "is read-only: cannot use the journal" in home.log.read_text()
    end(worker)
    assert home.said("journal_failed") == 0
    assert "Traceback" not in home.log.read_text()
