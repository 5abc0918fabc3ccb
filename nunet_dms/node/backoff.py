"""When to try again: no limit on tries, since what waits may be worth money; delays double.

From 0.5 s to 60 s, each within plus or minus a quarter at random, so that many nodes do not come
back at once. A success, or another answer than silence, ends it.
"""

from __future__ import annotations

import random
from collections.abc import Hashable

FIRST_S = 0.5
MAX_S = 60.0
JITTER = 0.25


class Backoff:
    """Tries by key; the clock is an argument and so is chance."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._tries: dict[Hashable, int] = {}
        self._not_before: dict[Hashable, float] = {}

    def fail(self, key: Hashable, now_s: float) -> float:
        """Count a failure and return for how many seconds to wait."""
        tries = self._tries.get(key, 0)
        self._tries[key] = tries + 1
        delay = min(FIRST_S * float(1 << min(tries, 10)), MAX_S)
        delay *= 1 + self._chance.uniform(-JITTER, JITTER)
        self._not_before[key] = now_s + delay
        return delay

    def is_ready(self, key: Hashable, now_s: float) -> bool:
        """Whether the key may be tried now."""
        return now_s >= self._not_before.get(key, now_s)

    def clear(self, key: Hashable) -> None:
        """It worked: start over."""
        self._tries.pop(key, None)
        self._not_before.pop(key, None)
