"""The simulation: the worker's life in a world that breaks, told by a seed.

(to be written)
"""

from __future__ import annotations

import sys

from tests.simulation.history import lab


def main() -> int:
    """Print the story of each seed; 1 if one of them breaks what must hold."""
    broken = 0
    with lab() as found:
        for seed in map(int, sys.argv[1:]):
            history = found.live(seed)
            sys.stdout.write("\n".join((f"seed {seed}", *history.story)) + "\n")
            broken += bool(history.violations)
    return min(broken, 1)


if __name__ == "__main__":
    sys.exit(main())
