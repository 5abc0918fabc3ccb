"""The pool: one thread a task, limits, and threads that hang."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from nunet_dms.errors import UnreachableError
from nunet_dms.node.pool import HUNG_MAX, Outcome, Pool, Task

TASK = Task("a" * 32, "wait")
WAIT_S = 10


class Time:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def pool(time: Time) -> Pool:
    return Pool(lambda: time.now_s)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a hanging call waits for; open at the end, so that no thread outlives its test."""
    made = threading.Event()
    yield made
    made.set()


def wait_for(pool: Pool) -> list[Outcome]:
    """Return the outcomes once there are some."""
    assert pool.wake.wait(WAIT_S)
    return pool.collect()


def test_what_came_of_a_task_is_collected_once(pool: Pool) -> None:
    assert pool.submit(TASK, lambda: 7)
    assert wait_for(pool) == [Outcome(TASK, value=7)]
    assert pool.collect() == []
    assert not pool.is_busy(TASK)


def test_a_task_under_way_is_not_started_twice(pool: Pool, gate: threading.Event) -> None:
    assert pool.submit(TASK, gate.wait)
    assert pool.is_busy(TASK)
    assert pool.jobs_doing("wait") == [TASK.job_id]
    assert not pool.submit(TASK, gate.wait)


def test_an_error_is_an_outcome(pool: Pool) -> None:
    def fail() -> None:
        raise ValueError("no")

    pool.submit(TASK, fail)
    (outcome,) = wait_for(pool)
    assert isinstance(outcome.error, ValueError)


def test_a_task_over_its_limit_is_silence_and_its_late_answer_is_dropped(
    pool: Pool, time: Time, gate: threading.Event
) -> None:
    pool.submit(TASK, lambda: gate.wait() and "late", limit_s=5)
    time.now_s = 4.9
    assert pool.collect() == []
    time.now_s = 5.0
    (outcome,) = pool.collect()
    assert isinstance(outcome.error, UnreachableError)
    assert str(outcome.error) == "cannot wait: no answer within 5 s"
    assert not pool.is_busy(TASK)
    done = threading.Event()
    assert pool.submit(TASK, lambda: done.wait() and "second", limit_s=5)
    gate.set()
    assert pool.wake.wait(WAIT_S)  # the first has come back
    assert pool.collect() == []
    assert pool.is_busy(TASK)
    done.set()
    assert [each.value for each in wait_for(pool)] == ["second"]


def test_a_task_without_a_limit_is_never_given_up(
    pool: Pool, time: Time, gate: threading.Event
) -> None:
    pool.submit(TASK, gate.wait)
    time.now_s = 1e9
    assert pool.collect() == []


def test_threads_that_hang_are_bounded_and_the_task_comes_back_with_one_of_them(
    pool: Pool, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    gates = [threading.Event() for _ in range(HUNG_MAX)]
    for gate in gates:
        assert pool.submit(TASK, gate.wait, limit_s=1)
        time.now_s += 1
        assert len(pool.collect()) == 1
    assert pool.is_busy(TASK)
    assert not pool.submit(TASK, lambda: "one more")
    assert "not tried again before one of them ends" in caplog.text
    other = Task("b" * 32, "wait")
    assert pool.submit(other, lambda: "another job's")
    assert [each.value for each in wait_for(pool)] == ["another job's"]
    (first, *others) = gates
    hung = [each for each in threading.enumerate() if each.name == "wait:aaaaaaaa"]
    first.set()
    while all(thread.is_alive() for thread in hung):
        hung[0].join(0.01)
    assert pool.submit(TASK, lambda: "again")
    assert "again" in [each.value for each in wait_for(pool)]
    for gate in others:
        gate.set()
    for thread in hung:
        thread.join(WAIT_S)
