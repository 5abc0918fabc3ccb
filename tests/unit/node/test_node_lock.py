"""The worker's lock: one holder, found out by anybody, kept over an exec."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nunet_dms.node.lock import LOCK_VARIABLE, AlreadyRunningError, WorkerLock, holder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "worker.lock"


@pytest.fixture
def opened(path: Path) -> Iterator[int]:
    """The lock's file, open as the process before an exec has it, but not locked."""
    path.parent.mkdir()
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    yield file
    os.close(file)


def test_its_holder_is_the_process_that_has_it_and_nobody_once_it_is_given_back(path: Path) -> None:
    assert holder(path) is None
    lock = WorkerLock(path, {})
    assert holder(path) == os.getpid()
    lock.release()
    assert holder(path) is None


def test_a_second_one_is_refused_and_names_the_first(path: Path) -> None:
    lock = WorkerLock(path, {})
    with pytest.raises(AlreadyRunningError, match=rf"a worker \(process {os.getpid()}\) is runn"):
        WorkerLock(path, {})
    lock.release()


def test_what_is_handed_on_is_kept_and_taken_out_of_the_environment(path: Path) -> None:
    environ: dict[str, str] = {}
    lock = WorkerLock(path, environ)
    lock.hand_on(environ)
    file = int(environ[LOCK_VARIABLE])
    assert os.get_inheritable(file)
    kept = WorkerLock(path, environ)
    assert environ == {}
    assert not os.get_inheritable(file)
    assert holder(path) == os.getpid()
    kept.release()
    assert holder(path) is None  # it was the same lock, not another


def test_the_lock_outlives_an_exec_and_no_child_learns_of_it(path: Path) -> None:
    """A process hands the lock on, becomes another program, and says what it finds there."""
    second = (
        "import os, subprocess; from pathlib import Path\n"
        "from nunet_dms.node.lock import WorkerLock, holder\n"
        f"path = Path({str(path)!r})\n"
        "before = holder(path) == os.getpid()\n"
        "lock = WorkerLock(path)\n"
        "print(before, holder(path) == os.getpid(), flush=True)\n"
        "subprocess.run(['sh', '-c', 'ls -l /proc/self/fd; env'], close_fds=False, check=True)\n"
    )
    first = (
        "import os, sys; from pathlib import Path\n"
        "from nunet_dms.node.lock import WorkerLock\n"
        f"WorkerLock(Path({str(path)!r})).hand_on()\n"
        f"os.execv(sys.executable, [sys.executable, '-c', {second!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", first], capture_output=True, text=True, check=True)
    said, _, child = done.stdout.partition("\n")
    assert said == "True True"
    assert "/dev/" in child or "pipe:" in child
    assert path.name not in child
    assert LOCK_VARIABLE not in child
    assert holder(path) is None


@pytest.mark.parametrize("number", ["", "x", "-1", "٣", "999999", "9" * 40, "0"])
def test_a_number_that_is_not_our_open_lock_is_passed_over(path: Path, number: str) -> None:
    environ = {LOCK_VARIABLE: number}
    lock = WorkerLock(path, environ)
    assert (environ, holder(path)) == ({}, os.getpid())
    lock.release()


def test_another_open_file_is_passed_over_and_left_open(path: Path, tmp_path: Path) -> None:
    with (tmp_path / "other").open("w") as other:
        lock = WorkerLock(path, {LOCK_VARIABLE: str(other.fileno())})
        assert holder(path) == os.getpid()
        lock.release()
        other.write("still open")


def test_an_open_file_whose_lock_another_holds_does_not_count(path: Path, opened: int) -> None:
    other = os.open(path, os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(AlreadyRunningError):
        WorkerLock(path, {LOCK_VARIABLE: str(opened)})
    os.close(other)


def test_an_open_file_that_nobody_has_locked_is_locked_now(path: Path, opened: int) -> None:
    WorkerLock(path, {LOCK_VARIABLE: str(opened)})
    assert holder(path) == os.getpid()
