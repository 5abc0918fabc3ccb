"""Processes that are in each other's way, numbers that come back, clocks that are days off."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nunet_dms.errors import ExitCode
from nunet_dms.node.lock import WorkerLock, holder
from nunet_dms.protocol.report import Reason
from tests.sweep.house import House
from tests.sweep.place import Place, counted, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(170)]

WORKERS = 20
ENDS_S = 120
"""For twenty starts of Python on two busy cores."""
NS_LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
CLAIM = """
import os, signal, sys
pid, file = int(sys.argv[1]), os.open("/proc/sys/kernel/ns_last_pid", os.O_WRONLY)
for _ in range(5000):  # another process may start just between the two steps
    os.pwrite(file, b"%d" % (pid - 1), 0)
    child = os.posix_spawn("/bin/sleep", ["sleep", "1000"], os.environ)
    if child == pid:
        print("claimed", flush=True)
        os.waitpid(child, 0)
        break
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""
"""Become the parent of a process with a chosen number."""
DAYS_3 = 3 * 86_400
PROGRAM = str(Path(sys.prefix, "bin", "nunet-dms"))


@pytest.fixture
def place(house: House, tmp_path: Path) -> Iterator[Place]:
    made = Place(house, tmp_path / "place")
    yield made
    if pid := holder(made.where.lock_file):
        os.kill(pid, signal.SIGKILL)


@contextmanager
def programs(place: Place, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start that many workers at once; those that still run at the end are killed."""
    environment = {**os.environ, "NUNET_HOME": str(place.folder)}
    started = [
        subprocess.Popen([PROGRAM], env=environment, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        for _ in range(count)
    ]  # fmt: skip
    try:
        yield started
    finally:
        for each in started:
            each.kill()
            each.communicate()


def test_of_twenty_workers_started_at_once_exactly_one_runs(place: Place) -> None:
    with programs(place, WORKERS) as started:
        wait_until("the end of all but one", lambda: _ended(started) == WORKERS - 1, ENDS_S)
        assert {each.returncode for each in started} == {ExitCode.ALREADY_RUNNING, None}
        (winner,) = [each for each in started if each.returncode is None]
        assert holder(place.where.lock_file) == winner.pid
        assert place.facts("worker", "start")["pid"] == winner.pid
        for loser in started:
            if loser is not winner and loser.stderr is not None:
                said = loser.stderr.read().decode().splitlines()
                assert said == [f"cannot start: a worker (process {winner.pid}) is running already"]
        winner.terminate()
        assert winner.wait(ENDS_S) == 0


def test_a_worker_that_is_one_too_many_touches_nothing(place: Place) -> None:
    lock = WorkerLock(place.where.lock_file, {})
    before = _tree(place.folder)
    with programs(place, 2) as started:
        assert [each.wait(ENDS_S) for each in started] == [ExitCode.ALREADY_RUNNING] * 2
        assert _tree(place.folder) == before
    lock.release()


def test_a_stranger_with_the_number_of_a_dead_worker_is_no_worker(place: Place) -> None:
    pid = int(str(place.facts("worker", "start")["pid"]))
    os.kill(pid, signal.SIGKILL)
    wait_until("a free lock", lambda: holder(place.where.lock_file) is None)
    with _stranger(pid):
        assert place.where.lock_file.read_text() == f"{pid}\n"
        said = place.nunet("status", "--check")
        assert (said.returncode, said.stdout) == (4, "the worker is not running\n")
        assert place.nunet("worker", "stop").stdout == "the worker is not running\n"
        again = place.facts("worker", "start")
        assert (again["already_running"], again["pid"] != pid) == (False, True)
        place.nunet("worker", "stop")
        assert _program(pid) == "sleep"


@pytest.mark.parametrize(("off_s", "code"), [(DAYS_3, "expired"), (-DAYS_3, "not_yet_valid")])
def test_a_worker_whose_clock_is_days_off_keeps_its_job_and_takes_no_other(
    place: Place, off_s: int, code: str
) -> None:
    place.facts("worker", "start")
    job_id = place.order_endless()
    wait_until("the first line", lambda: place.log(job_id))
    place.facts("worker", "stop")
    with _worker_in_another_time(place, off_s):
        shown = place.log(job_id)
        wait_until("more of the log", lambda: len(place.log(job_id)) > len(shown))
        place.let_end(job_id)
        job = place.wait_settled(job_id)
        assert (job.reason, job.log_complete, place.starts(job_id)) == (Reason.SUCCEEDED, True, 1)
        assert place.log(job_id) == counted(place.counted_to(job_id))
        other = place.order(1)
        job = wait_until("a refusal", lambda: _with_reason(place, other))
        assert (job.reason, job.detail.split(":")[0]) == (Reason.NOT_ACCEPTED, code)
        assert place.starts(other) == 0


def _program(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _ended(started: list[subprocess.Popen[bytes]]) -> int:
    return sum(each.poll() is not None for each in started)


def _tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Return every file with its size and time of change."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


@contextmanager
def _stranger(pid: int) -> Iterator[None]:
    """Run a process that has just this number."""
    if not os.access(NS_LAST_PID, os.W_OK):
        pytest.skip("only root may choose the next process id")
    parent = subprocess.Popen(
        [sys.executable, "-c", CLAIM, str(pid)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "claimed\n"
        try:
            yield
        finally:
            os.kill(pid, signal.SIGTERM)  # fails if somebody has ended it
    finally:
        parent.kill()
        parent.communicate()


@contextmanager
def _worker_in_another_time(place: Place, off_s: int) -> Iterator[None]:
    """Run the worker with a wall clock that is off; the monotonic clock is not touched."""
    if (faketime := shutil.which("faketime")) is None:
        pytest.fail("the program faketime is missing: apt-get install faketime")
    words = [faketime, "-m", "-f", f"{off_s:+d}", PROGRAM]
    environment = {
        **os.environ, "NUNET_HOME": str(place.folder), "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    with place.where.worker_log.open("ab") as log:
        worker = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(ENDS_S)


def _with_reason(place: Place, job_id: str) -> object:
    job = place.job(job_id)
    return job if job.reason is not None else None
