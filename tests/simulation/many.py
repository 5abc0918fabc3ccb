"""Many histories, in as many processes at a time as there are cores; each lives some of them.

A history leaves 0.1 MB of objects in circles, and to look for them is a sixth of its time: so
garbage is not collected, and goes with its process.

A mutant is a module in tests/simulation/mutants whose CHANGES are made in memory for a while.
"""

from __future__ import annotations

import importlib
import multiprocessing
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.simulation.history import History, lab, uncollected
from tests.simulation.virtual import replaced

ROOT = Path(__file__).parents[2]
SHOWN_MAX = 5
AT_ONCE = 2500
"""Histories of one process."""


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
    """Live through the histories of the first seeds, on all cores.

    They are forked from a process that has nothing else to do: the caller may have threads.
    """
    told = subprocess.run(
        [sys.executable, "-m", "tests.simulation.many", str(count)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    found = pickle.loads(told)  # noqa: S301 - our own
    assert isinstance(found, Sum)
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


def main() -> None:
    """Live through the first histories and hand the sum back, pickled: see `live_through_all`."""

    from tests.simulation import many  # noqa: PLC0415 - under the name by which it is read back

    count = int(sys.argv[1])
    parts = [range(first, min(first + AT_ONCE, count)) for first in range(0, count, AT_ONCE)]
    found = many.Sum()
    fork = multiprocessing.get_context("fork")
    with uncollected(), fork.Pool(maxtasksperchild=1) as processes:
        for part in processes.imap(many.live_through, parts, chunksize=1):
            found.add(part)
    sys.stdout.buffer.write(pickle.dumps(found))


if __name__ == "__main__":
    main()
