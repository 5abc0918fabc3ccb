"""Many histories, in as many processes as there are cores; each process goes through its own seeds.

A mutant is a module in tests/simulation/mutants whose CHANGES are made in memory for a while.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.simulation.history import History, lab
from tests.simulation.virtual import replaced

AT_ONCE = 250
"""Histories that a process is given at a time."""
SHOWN_MAX = 5


@dataclass
class Sum:
    """What came of many histories."""

    histories: int = 0
    crashes: int = 0
    lives: int = 0
    met: Counter[str] = field(default_factory=Counter)
    """In how many histories each kind of fault was met, and each place of a crash."""
    broken: list[History] = field(default_factory=list)
    """Those in which something happened that must never happen; at most SHOWN_MAX are kept."""

    def add(self, other: Sum) -> None:
        """Count in what another process found."""
        self.histories += other.histories
        self.crashes += other.crashes
        self.lives += other.lives
        self.met += other.met
        self.broken = [*self.broken, *other.broken][:SHOWN_MAX]

    def take(self, history: History) -> None:
        """Count in one history."""
        self.histories += 1
        self.crashes += history.crashes
        self.lives += history.lives
        self.met.update(history.met)
        if history.violations and len(self.broken) < SHOWN_MAX:
            self.broken.append(history)


def live_through(seeds: Iterable[int]) -> Sum:
    """Live through the histories of some seeds, here."""
    found = Sum()
    with lab() as place:
        for seed in seeds:
            found.take(place.live(seed))
    return found


def live_through_all(count: int) -> Sum:
    """Live through the histories of the first seeds, in a process for each core."""
    parts = [range(first, min(first + AT_ONCE, count)) for first in range(0, count, AT_ONCE)]
    found = Sum()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as processes:
        for each in processes.map(live_through, parts):
            found.add(each)
    return found


def first_broken(mutant: str, limit: int) -> tuple[int, History | None]:
    """Return how many histories a mutant of the worker survives, and the one that finds it."""
    changes = importlib.import_module(f"tests.simulation.mutants.{mutant}").CHANGES
    with lab() as place, replaced(*changes):
        for seed in range(limit):
            history = place.live(seed)
            if history.violations:
                return seed + 1, history
    return limit, None
