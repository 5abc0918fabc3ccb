"""The simulation: lives of a worker in a world that breaks. `python -m tests.simulation SEED...`.

One seed is one history, the same to the byte on every machine: which jobs are paid for and what
their programs do (scenario.py), what goes wrong and when (faults.py), and which of several things
that are due goes first (virtual.py). This command prints what happened in it.

What is under test is the production worker as it is: Worker, Runner, Running, InboxHandler, the
pool, the log's pump, checkpoints, delivery, job folders, and the journal in real SQLite with its
real schema. What surrounds it is not:

    virtual.py          time; a thread is a greenlet that gives way wherever it would block
    daemon.py           containers that run programs on that time; container.py: what really
                        happened in one is kept apart from what the engine says of it
    stand_in_engine.py  the worker's calls to it
    stand_in_oracle.py  offers, leases, logs, reports, settlements; money in, money out;
                        oracle_files.py: contents, results, checkpoints
    papers.py           keys and signed offers, made once for many histories
    memory.py           the journal's file in memory: what was committed outlives a crash
    disk.py             a disk that can be full, and a process that dies between two writes
    looking.py          a machine that stays as it is
    life.py             one process of the worker, built as `composition.compose` does
    nemeses.py          what breaks: worker, engine and host restart, clocks jump, disks are full,
                        people type `docker`
    world.py            puts these together and lets them live
    checks.py           what must hold in every history; read this first
    history.py          one history from a seed, its files in memory; many.py: thousands of them

A crash is an exception that nothing of ours catches. It is raised before or after a call to engine
or Oracle, a commit or the write of a file; every task stops where it stands, an open transaction is
rolled back, and some time later a new worker is built on the same files. After `calm_s` nothing
goes wrong any more, and then everything has to come to its end.

The stand-ins are held to the real ones by tests/docker/test_stand_in_engine.py and
tests/contract/test_stand_in_oracle.py. That the checks see anything at all is shown by faults that
are planted in the worker, one for each module in mutants/: each must break a history.
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
