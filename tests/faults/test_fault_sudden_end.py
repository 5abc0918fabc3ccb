"""A real worker that ends suddenly, or cannot say anything any more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

from nunet_dms.demo.story import wait_until
from nunet_dms.node.journal_reader import JournalReader
from tests.faults.conftest import END_WAIT_S, PROGRAMS, Home
from tests.unit.node.conftest import World


def test_sudden_ends_are_counted_against_the_jobs_in_hand_and_told(
    home: Home, world: World
) -> None:
    home.give_job(world)
    for _ in range(2):
        home.kill(home.turning())
    home.turning()
    shown = json.loads(home.nunet("jobs", "show", world.request.job_id, "--json").stdout)
    assert (shown["job"]["deaths"], shown["job"]["death_state"]) == (2, "admitted")
    died = [event for event in shown["events"] if event["what"] == "worker_died"]
    assert len(died) == 2
    assert died[0]["detail"].startswith("in state admitted; the worker of ")


def test_a_worker_whose_log_finds_no_room_goes_on_without_it(home: Home) -> None:
    with Path("/dev/full").open("wb") as full:
        worker = subprocess.Popen(
            [PROGRAMS / "nunet-dms"], env=home.environment, stdout=full, stderr=full,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    home.processes.append(worker)

    def has_spoken() -> bool:
        if not home.where.journal.exists():
            return False
        with JournalReader(home.where.journal) as journal:
            row = journal.worker()
        return row is not None and row.pid == worker.pid and row.engine_state != "not yet reached"

    wait_until("its word", has_spoken)
    assert os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(END_WAIT_S) == 0
