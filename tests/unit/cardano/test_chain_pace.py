"""How fast a backend is asked, and how often again."""

from __future__ import annotations

import threading

import pytest

from nunet_dms.cardano.chain.pace import (
    ATTEMPTS,
    QUEUE_MAX_S,
    UNLIMITED,
    Bucket,
    Limit,
    Patience,
    Timing,
)


class Clock:
    """Goes on while somebody waits, or only when a test says so."""

    def __init__(self, *, is_patient: bool = True) -> None:
        self.now_s = 1000.0
        self.waits_s: list[float] = []
        self.is_patient = is_patient

    def wait(self, seconds: float) -> None:
        self.waits_s.append(seconds)
        if self.is_patient:
            self.now_s += seconds

    def timing(self, total_s: float = 20.0) -> Timing:
        return Timing(
            monotonic=lambda: self.now_s, wait=self.wait, jitter=lambda: 0.0, total_s=total_s
        )


def test_a_burst_passes_and_then_so_many_a_second() -> None:
    clock = Clock()
    bucket = Bucket(Limit(burst=3, per_s=2.0), clock.timing())
    assert all(bucket.take() for _ in range(5))
    assert clock.waits_s == [0.5, 0.5]
    clock.now_s += 100
    clock.waits_s.clear()
    assert all(bucket.take() for _ in range(4))
    assert clock.waits_s == [0.5]  # what was saved up is a burst, not more


def test_who_would_wait_too_long_is_sent_away_and_takes_no_turn() -> None:
    clock = Clock(is_patient=False)
    bucket = Bucket(Limit(burst=1, per_s=1.0), clock.timing())
    taken = 0
    while bucket.take():
        taken += 1
    assert taken == 1 + int(QUEUE_MAX_S)
    assert not bucket.take()
    clock.now_s += 1
    assert bucket.take()
    assert not bucket.take()


def test_no_limit_is_none() -> None:
    clock = Clock()
    bucket = Bucket(UNLIMITED, clock.timing())
    assert all(bucket.take() for _ in range(1000))
    assert clock.waits_s == []


def test_threads_share_one_burst() -> None:
    clock = Clock(is_patient=False)
    bucket = Bucket(Limit(burst=40, per_s=1000.0), clock.timing())
    threads = [threading.Thread(target=bucket.take) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(clock.waits_s) == 20


@pytest.mark.parametrize(
    ("asked_s", "total_s", "waits_s"),
    [
        (0.0, 20.0, [0.5, 1.0, 2.0]),
        (0.0, 3.0, [0.5, 1.0]),
        (0.0, 0.1, []),
        (0.7, 20.0, [0.7, 1.0, 2.0]),
        (8.0, 20.0, [8.0, 8.0]),
        (21.0, 20.0, []),
    ],
)
def test_attempts_end_by_their_number_or_by_the_time(
    asked_s: float, total_s: float, waits_s: list[float]
) -> None:
    clock = Clock()
    patience = Patience(clock.timing(total_s))
    while patience.again(asked_s):
        assert len(clock.waits_s) < ATTEMPTS
    assert clock.waits_s == waits_s
