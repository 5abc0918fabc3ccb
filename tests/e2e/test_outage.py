"""The Oracle goes away while a job runs, and comes back: nothing is lost, nothing is paid twice."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from nunet_dms.demo.stage import cheap_wallet, free_port
from nunet_dms.demo.story import Home, is_settled, onboard, oracle_at, wait_until
from nunet_dms.node.engine.python_image import build_python_image
from tests.e2e.conftest import Stage

pytestmark = [pytest.mark.docker, pytest.mark.timeout(170)]

PROGRAM = """
import time
for n in range(50):
    print("line", n, flush=True)
    time.sleep(0.1)
open("/nunet/out/done", "w").write("yes")
"""


def test_a_job_outlives_its_oracle(tmp_path: Path, docker_client: docker.DockerClient) -> None:
    listen, oracle = f"127.0.0.1:{free_port()}", tmp_path / "oracle"
    image = build_python_image(docker_client)
    provider = Home(tmp_path / "provider", f"http://{listen}")
    requester = Home(tmp_path / "requester", f"http://{listen}")
    stage = Stage(tmp_path, provider.oracle_url, provider, requester, image, docker_client)
    try:
        with oracle_at(oracle, listen):
            onboard(provider)
            cheap_wallet(requester)
            requester.nunet("wallet", "faucet")
            wait_until("the faucet", lambda: requester.nunet("wallet", "balance")["tokens"])
            job_id = stage.submit(stage.job_file("outlives", PROGRAM))
            wait_until("the start", lambda: _state(provider, job_id) == "running")
        wait_until("the job's end", lambda: _state(provider, job_id) == "exited")
        status = stage.nunet(provider, "status", "--check")
        assert (status.returncode, "Oracle" in status.stdout) == (6, True)
        with oracle_at(oracle, listen):
            wait_until("the receipt", lambda: is_settled(provider, job_id))
            job = requester.nunet("request", "show", job_id)
            log = stage.nunet(requester, "request", "logs", job_id).stdout
            requester.nunet("request", "results", job_id, "--to", str(tmp_path / "results"))
    finally:
        provider.nunet("worker", "stop")
    assert (job["reason"], job["state"], job["log_complete"]) == ("succeeded", "settled", True)
    assert log == "".join(f"line {n}\n" for n in range(50))
    assert (tmp_path / "results" / "done").read_text() == "yes"


def _state(provider: Home, job_id: str) -> str:
    """Return a job's state on the node; empty while the node does not know it."""
    jobs = provider.nunet("jobs", "list")["jobs"]
    assert isinstance(jobs, list)
    return next((str(job["state"]) for job in jobs if job["job_id"] == job_id), "")
