"""A job that is ended in the middle goes on from its last checkpoint, as a new paid attempt."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import pytest

from nunet_dms.demo.story import wait_until
from tests.e2e.conftest import Stage

pytestmark = [pytest.mark.docker, pytest.mark.timeout(400)]

COUNTS_TO = 150
COUNTER = f"""
import os, pathlib, signal, sys, time
folder = pathlib.Path(os.environ["NUNET_CHECKPOINT_DIR"])
state = folder / "state" / "count"
state.parent.mkdir(exist_ok=True)
begin = int(state.read_text()) if state.exists() else 0
print("begins at", begin, flush=True)
if not (folder / "table").exists():
    (folder / "table").write_bytes(bytes(100_000))
(folder / "empty").touch()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
for n in range(begin + 1, {COUNTS_TO} + 1):
    time.sleep(0.1)
    (folder / "next").write_text(str(n))
    (folder / "next").replace(state)
print("ends at", n, flush=True)
pathlib.Path("counted").write_text(f"{{begin}} {{n}}")
"""
WAITS = """
import os, time
open(os.environ["NUNET_CHECKPOINT_DIR"] + "/state", "w").write("mine")
print("saved", flush=True)
time.sleep(55)
"""


def saving(stage: Stage, name: str, program: str, interval_s: int, **changes: object) -> Path:
    """Write a job that saves itself."""
    path = stage.job_file(name, program, **changes)
    table = f'[checkpoint]\nfolder = "/nunet/ckpt"\ninterval_s = {interval_s}\n'
    path.write_text(path.read_text() + table)
    return path


def log_of(stage: Stage, job_id: str) -> str:
    return stage.nunet(stage.requester, "request", "logs", job_id).stdout


def resume(stage: Stage, job_id: str, results: str) -> dict[str, object]:
    done = stage.nunet(
        stage.requester, "request", "resume", job_id, "--time-limit", "60", "--follow", "--yes",
        "--json", "--results", str(stage.folder / results),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def check_both(stage: Stage, old: str, new: str) -> None:
    """Both attempts were paid for by themselves, and both receipts hold."""
    for job_id in (old, new):
        stage.wait_settled(job_id)
        stage.requester.nunet("request", "receipt", job_id)
        for home in (stage.provider, stage.requester):
            found = home.nunet("receipt", "verify", job_id)
            assert (found["holds"], found["oracle_key_checked"]) == (True, True)


def test_a_job_at_its_time_limit_goes_on_where_it_stood_after_its_worker_was_killed_too(
    stage: Stage,
) -> None:
    path = saving(stage, "limited", COUNTER, 600, time_limit_s=4)
    job_id = stage.submit(path)
    wait_until("the job's first line", lambda: log_of(stage, job_id))
    stage.kill_worker()
    stage.provider.nunet("worker", "start")
    old = stage.wait_settled(job_id)
    assert (old["reason"], old["state"]) == ("time_limit", "settled")
    saved = old["checkpoint"]
    assert isinstance(saved, dict)
    assert (saved["number"], saved["size_bytes"]) == (1, 100_002)
    path.unlink()  # nothing of the job is needed any more
    new = resume(stage, job_id, "limited")
    assert (new["reason"], new["job_id"] != job_id) == ("succeeded", True)
    begin, end = map(int, (stage.folder / "limited" / "counted").read_text().split())
    assert 0 < begin < end == COUNTS_TO
    assert log_of(stage, str(new["job_id"])) == f"begins at {begin}\nends at {end}\n"
    assert str(new["price"]) != str(old["price"])
    check_both(stage, job_id, str(new["job_id"]))


def test_a_running_job_is_saved_at_its_interval(stage: Stage) -> None:
    job_id = stage.submit(saving(stage, "waiting", WAITS, 10))
    wait_until("the job's first line", lambda: log_of(stage, job_id))
    found = wait_until("a checkpoint", lambda: checkpoint_of(stage, job_id, "running"))
    assert found["size_bytes"] == 4
    stage.requester.nunet("request", "cancel", job_id)
    assert stage.wait_settled(job_id)["reason"] == "cancelled"
    shown = stage.nunet(stage.requester, "request", "show", job_id).stdout
    assert f"nunet request resume {job_id[:12]}" in shown


def test_a_drained_worker_saves_its_job_which_runs_on(stage: Stage) -> None:
    job_id = stage.submit(saving(stage, "drained", WAITS, 86_400))
    wait_until("the job's first line", lambda: log_of(stage, job_id))
    assert checkpoint_of(stage, job_id, "running") == {}
    stage.provider.nunet("worker", "stop")
    try:
        assert checkpoint_of(stage, job_id, "running")["number"] == 1
        assert len(stage.containers(job_id)) == 1
    finally:
        stage.provider.nunet("worker", "start")
    stage.requester.nunet("request", "cancel", job_id)
    assert stage.wait_settled(job_id)["reason"] == "cancelled"


def checkpoint_of(stage: Stage, job_id: str, state: str) -> dict[str, object]:
    """Return a job's last checkpoint, empty if it has none; it must be in this state."""
    job = stage.requester.nunet("request", "show", job_id)
    assert job["state"] == state
    found = job["checkpoint"]
    return found if isinstance(found, dict) else {}


def test_only_what_changed_lies_at_the_oracle_twice(stage: Stage) -> None:
    """The same table of both attempts is one file there; so is what the second one started from."""
    table = hashlib.sha256(bytes(100_000)).hexdigest()
    blobs = list((stage.folder / "oracle").rglob(table))
    assert len(blobs) == 1


def test_a_checkpoint_that_rotted_at_the_oracle_is_not_used_and_costs_nothing(
    stage: Stage,
) -> None:
    began_s = time.time()
    job_id = stage.submit(saving(stage, "rotten", COUNTER, 600, time_limit_s=3))
    wait_until("the job's first line", lambda: log_of(stage, job_id))
    assert stage.wait_settled(job_id)["reason"] == "time_limit"
    counts = {hashlib.sha256(str(n).encode()).hexdigest(): n for n in range(COUNTS_TO)}
    (blob,) = [
        path
        for path in (stage.folder / "oracle").rglob("*")
        if path.name in counts and path.stat().st_mtime > began_s
    ]
    blob.write_bytes(b"9" * blob.stat().st_size)
    done = stage.nunet(stage.requester, "request", "resume", job_id, "--follow", "--yes", "--json")
    new = json.loads(done.stdout.splitlines()[-1])
    assert (new["reason"], new["provider_amount"]) == ("node_fault", 0)
    assert "these are other bytes" in new["detail"]
