"""Real processes: an Oracle, a worker and the `nunet` command, on a real Docker engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from nunet_dms.demo.stage import cheap_wallet
from nunet_dms.demo.story import Home, is_settled, onboard, oracle_at, wait_until
from nunet_dms.machine.cpu import read_cpu
from nunet_dms.node.engine.profile import LABEL_JOB
from nunet_dms.node.engine.python_image import build_python_image

NUNET = str(Path(sys.prefix, "bin", "nunet"))
COMMAND_TIMEOUT_S = 100


@dataclass(frozen=True)
class Stage:
    """One Oracle, one provider with a worker, one requester with mNTX, and a Python image."""

    folder: Path
    url: str
    provider: Home
    requester: Home
    image: str
    engine: docker.DockerClient

    @property
    def core_mhz(self) -> int:
        """MHz of one core, as onboarding measured it."""
        return read_cpu().core_mhz or 2000

    def job_file(self, name: str, program: str, **changes: object) -> Path:
        """Write a job that runs a Python program; changes are keys of job.toml or resources."""
        resources = {"cpu_mhz": self.core_mhz // 2, "ram_mb": 64, "disk_mb": 16}
        resources |= {key: changes.pop(key) for key in list(changes) if key in resources}
        keys = {"image": self.image, "command": ["python3", "-c", program], "time_limit_s": 60}
        lines = [f"{key} = {json.dumps(value)}" for key, value in (keys | changes).items()]
        lines += ["[resources]", *(f"{key} = {value}" for key, value in resources.items())]
        path = self.folder / f"{name}.toml"
        path.write_text("\n".join(lines) + "\n")
        return path

    def nunet(self, home: Home, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of somebody's, whatever its exit code."""
        return subprocess.run(
            [NUNET, *home.typed(*words)], env=home.environment, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=COMMAND_TIMEOUT_S, check=False,
        )  # fmt: skip

    def run(self, path: Path, results: str) -> tuple[int, dict[str, object], str]:
        """Submit a job and follow it to its end: exit code, the job, what was printed."""
        done = self.nunet(
            self.requester, "request", "submit", str(path), "--follow", "--yes", "--json",
            "--results", str(self.folder / results),
        )  # fmt: skip
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stdout

    def submit(self, path: Path) -> str:
        """Submit a job and return its id at once."""
        words = ("request", "submit", str(path), "--yes")
        return str(self.requester.nunet(*words)["job_id"])

    def worker_pid(self) -> int:
        """Return the worker's process id."""
        return int(str(self.provider.nunet("worker", "start")["pid"]))

    def kill_worker(self) -> None:
        """SIGKILL the worker, and return when its lock is free."""
        os.kill(self.worker_pid(), signal.SIGKILL)
        lock = self.provider.folder / "run" / "worker.lock"
        assert lock.exists()
        wait_until(
            "the worker's end",
            lambda: self.nunet(self.provider, "status", "--check").returncode == 4,
        )

    def containers(self, job_id: str) -> list[object]:
        """Return the containers of a job, in whatever state."""
        return self.engine.containers.list(
            all=True, filters={"label": f"{LABEL_JOB}={job_id}"}, ignore_removed=True
        )

    def wait_settled(self, job_id: str) -> dict[str, object]:
        """Return a job, as the requester sees it, once both sides know that it is settled."""
        wait_until("the node's receipt", lambda: is_settled(self.provider, job_id))
        return self.requester.nunet("request", "show", job_id)


@pytest.fixture(scope="session")
def stage(
    tmp_path_factory: pytest.TempPathFactory, docker_client: docker.DockerClient
) -> Iterator[Stage]:
    """Start everything once for all tests of this folder."""
    folder = tmp_path_factory.mktemp("stage")
    image = build_python_image(docker_client)
    with oracle_at(folder / "oracle") as url:
        provider, requester = Home(folder / "provider", url), Home(folder / "requester", url)
        try:
            onboard(provider)
            cheap_wallet(requester)
            requester.nunet("wallet", "faucet")
            wait_until("the faucet", lambda: requester.nunet("wallet", "balance")["tokens"])
            yield Stage(folder, url, provider, requester, image, docker_client)
        finally:
            provider.nunet("worker", "stop")
