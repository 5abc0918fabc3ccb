"""`./dev bench`: print every figure that DESIGN's targets name and that can be measured so far.

Each line: what, our figure, the bare baseline's, the ratio, the target. Figures vary with the
machine and with what else it does; ratios less so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from bench import commands, containers, live, logs, payments
from bench.figure import Figure

BENCHES: dict[str, Callable[[], list[Figure]]] = {
    "commands": commands.measure,
    "payments": payments.measure,
    "containers": containers.measure,
    "logs": logs.measure,
    "live": live.measure,
}


def main() -> int:
    """Run the named benches, all of them by default."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(BENCHES)}")
    for name in parser.parse_args().names or list(BENCHES):
        for figure in BENCHES[name]():
            sys.stdout.write(f"{figure.line()}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
