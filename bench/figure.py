"""A measured figure, and how it is taken."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured; `target` says what DESIGN asks for."""

    what: str
    ours: float
    baseline: float | None
    unit: str
    target: str

    def line(self) -> str:
        """Return the figure as one line."""
        text = f"{self.what:45} {self.ours:10.2f} {self.unit:6}"
        if self.baseline is not None:
            text += f" baseline {self.baseline:8.2f}  ratio {self.ours / self.baseline:5.2f}"
        return f"{text}  (target: {self.target})"


def median_ms(action: Callable[[], object], times: int) -> float:
    """Return the median time of an action in milliseconds; one warm-up is not counted."""
    action()
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        spent.append((time.perf_counter() - began) * 1000)
    return statistics.median(spent)
