"""How fast a backend may be asked, and how long it is asked again: limits, retries, rest."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

ATTEMPTS = 4
"""Of one call, the first included."""
FIRST_WAIT_S = 0.5
"""Before the second attempt; doubled before each further one, with as much again by chance."""
TOTAL_S = 20.0
"""Of one call with its waits: then it is given up."""
REST_S = 5.0
"""A backend that was given up is left alone for so long: every call fails at once meanwhile."""
REST_MAX_S = 300.0
"""The longest rest that a backend may ask for (Retry-After)."""

QUEUE_MAX_S = 10.0
"""Longest wait for the turn of one call: a caller beyond that is sent away instead."""

_CHANCE = secrets.SystemRandom()


@dataclass(frozen=True, slots=True)
class Limit:
    """So many calls at once, and then so many in a second; 0 calls is without a limit."""

    burst: int
    per_s: float


UNLIMITED = Limit(0, 0.0)


@dataclass(frozen=True, slots=True)
class Timing:
    """Clock, wait and chance of one backend, to be replaced in tests."""

    monotonic: Callable[[], float] = time.monotonic
    """Seconds; never set back."""
    wait: Callable[[float], object] = field(default_factory=lambda: threading.Event().wait)
    """Waits that many seconds."""
    jitter: Callable[[], float] = _CHANCE.random
    """From 0 to 1."""
    total_s: float = TOTAL_S
    """Of one call, its repetitions included."""
    read_timeout_s: float = 10.0
    """Longest silence of a backend that owes an answer."""


class Bucket:
    """A token bucket: `take` waits until one more call is allowed. Threads may share it.

    Who may not wait gives 0 for `longest_s`.
    """

    def __init__(self, limit: Limit, timing: Timing) -> None:
        self._limit = limit
        self._timing = timing
        self._lock = threading.Lock()
        self._left = float(limit.burst)
        self._filled_at_s = timing.monotonic()

    def take(self, longest_s: float = QUEUE_MAX_S) -> bool:
        """Wait for the turn of one call, behind earlier ones; False if that would take too long."""
        if self._limit.burst == 0:
            return True
        with self._lock:
            now_s = self._timing.monotonic()
            gained = (now_s - self._filled_at_s) * self._limit.per_s
            self._left = min(float(self._limit.burst), self._left + gained)
            self._filled_at_s = now_s
            wait_s = (1 - self._left) / self._limit.per_s
            if wait_s > longest_s:
                return False
            self._left -= 1
        if wait_s > 0:
            self._timing.wait(wait_s)
        return True


class Patience:
    """One call's attempts: `again` waits before the next one, or says that there is none."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._ends_s = timing.monotonic() + timing.total_s
        self._attempt = 1

    def again(self, asked_s: float = 0.0) -> bool:
        """Wait as long as is due, or as the backend asked (seconds); False: give up."""
        due_s = FIRST_WAIT_S * 2 ** (self._attempt - 1) * (1 + self._timing.jitter())
        pause_s = max(due_s, asked_s)
        is_over = self._timing.monotonic() + pause_s > self._ends_s
        if self._attempt >= ATTEMPTS or is_over:
            return False
        self._attempt += 1
        self._timing.wait(pause_s)
        return True
