"""A running job's log, from the container to the requester's screen."""

from __future__ import annotations

import subprocess

import pytest

from nunet_dms.demo.story import wait_until
from tests.e2e.conftest import NUNET, Stage

pytestmark = [pytest.mark.docker, pytest.mark.timeout(170)]

PROGRAM = """
import os, time
print("first", flush=True)
while not os.path.exists("/nunet/out/go"):
    time.sleep(0.05)
print("second", flush=True)
"""


def test_a_line_is_on_the_requester_s_screen_while_the_job_runs(stage: Stage) -> None:
    """The job ends only after its first line was read, far away."""
    job_id = stage.submit(stage.job_file("live", PROGRAM))
    with subprocess.Popen(
        [NUNET, *stage.requester.typed("request", "logs", "--follow", job_id)],
        env=stage.requester.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        text=True,
    ) as follower:  # fmt: skip
        assert follower.stdout is not None
        assert follower.stdout.readline() == "first\n"
        assert stage.requester.nunet("request", "show", job_id)["state"] == "running"
        wait_until("the container", lambda: stage.containers(job_id))
        for container in stage.engine.containers.list(filters={"name": job_id}):
            container.exec_run(["python3", "-c", "open('/nunet/out/go', 'w')"])
        assert follower.stdout.read() == "second\n"
        assert follower.wait() == 0
    job = stage.wait_settled(job_id)
    assert (job["reason"], job["log_complete"]) == ("succeeded", True)
