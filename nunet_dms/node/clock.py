"""Time as an argument: the wall for what is written down, the monotonic clock for limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Two clocks; a jump of the wall must not end a job."""

    wall_s: Callable[[], float] = time.time
    monotonic_s: Callable[[], float] = time.monotonic

    def now_ms(self) -> int:
        """Return the wall clock in Unix milliseconds."""
        return int(self.wall_s() * 1000)

    def mono_ms(self) -> int:
        """Return the monotonic clock in milliseconds: since the boot, where it is the system's."""
        return int(self.monotonic_s() * 1000)
