"""What must hold in every history holds in all that are lived here; and a seed is a history."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulation.conftest import STORY
from tests.simulation.many import live_through_all
from tests.simulation.nemeses import NEMESES

ROOT = Path(__file__).parents[2]
HISTORIES = int(os.environ.get("NUNET_SIMULATIONS", "20000"))
"""More of them by hand: NUNET_SIMULATIONS=1000000 python -m pytest tests/simulation."""
TOLD_TWICE = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10")


@pytest.mark.timeout(3600)
def test_nothing_is_lost_and_nothing_counts_twice(
    record_property: Callable[[str, object], None],
) -> None:
    began_s = time.monotonic()
    found = live_through_all(HISTORIES)
    took_s = time.monotonic() - began_s
    record_property(
        STORY,
        f"{found.histories} histories in {took_s:.0f} s on {os.cpu_count()} cores:"
        f" {found.crashes} crashes, {found.lives} lives of the worker,"
        f" {len(found.broken)} violations",
    )
    for history in found.broken:
        print(f"\npython -m tests.simulation {history.seed}", *history.story, sep="\n")  # noqa: T201
    assert not found.broken, [(each.seed, each.violations) for each in found.broken]
    assert found.histories == HISTORIES
    if HISTORIES >= 20000:  # else the chance is too small that all of it was met
        assert {name for name in (*NEMESES, "spoiled blob") if not found.met[name]} == set()
        assert {place for place in CRASH_PLACES if not found.met[f"CRASH {place}"]} == set()


def test_a_seed_is_a_history_told_alike_in_every_process() -> None:
    told = [
        subprocess.run(
            [sys.executable, "-m", "tests.simulation", *TOLD_TWICE],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=False,
            capture_output=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert told[0] == told[1]
    assert told[0].count(b"seed ") == len(TOLD_TWICE)


CRASH_PLACES = (
    *(f"before engine {what}" for what in ("facts", "create", "start", "wait", "stop", "remove")),
    *(f"after engine {what}" for what in ("facts", "create", "start", "stop", "remove", "owned")),
    *(
        f"before oracle {what}"
        for what in ("accept", "put_log", "results", "report", "cosign", "checkpoint", "get_blob")
    ),
    *(f"after oracle {what}" for what in ("accept", "put_log", "report", "receipt", "ack")),
    *(
        f"after the commit of {what}"
        for what in ("admit", "move", "created", "started", "ask_stop", "ended", "reported")
    ),
    *(f"after the commit of {what}" for what in ("checkpointed", "checkpoint_stored")),
    "after a snapshot",
    "before a commit",
    "before writing results.json",
    "after writing results.json",
)
"""Where a process must have died at least once."""
