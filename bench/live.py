"""How long a printed line takes to its requester's screen, against `docker logs` on the same host.

The job prints the time, which its container has from this machine; whoever reads a line compares.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median

import docker

from bench.commands import NUNET
from bench.figure import Figure
from nunet_dms.demo.stage import Home, cheap_wallet, onboard, oracle_at, wait_until
from nunet_dms.node.engine.profile import LABEL_JOB
from nunet_dms.node.engine.python_image import build_python_image

LINES = 40
EVERY_S = 0.25
PROGRAM = f"""
import time
for _ in range({LINES}):
    print(time.time_ns(), flush=True)
    time.sleep({EVERY_S})
"""


def measure() -> list[Figure]:
    """Follow one job on the requester's side and, beside it, on the engine's."""
    client = docker.from_env(timeout=60)
    image = build_python_image(client)
    with tempfile.TemporaryDirectory() as place, oracle_at(Path(place) / "oracle") as url:
        provider, requester = Home(Path(place) / "provider", url), Home(Path(place) / "req", url)
        try:
            onboard(provider)
            ours, bare = _followed(client, requester, _job_file(Path(place), image))
        finally:
            provider.nunet("worker", "stop")
    client.close()
    return [
        Figure("a line, from print to requester, median", median(ours), median(bare), "ms", "none"),
        Figure(f"the same, the slowest of {LINES}", max(ours), max(bare), "ms", "<= 1000 ms"),
    ]


def _job_file(place: Path, image: str) -> Path:
    path = place / "job.toml"
    path.write_text(
        f"image = {json.dumps(image)}\n"
        f"command = {json.dumps(['python3', '-c', PROGRAM])}\n"
        "time_limit_s = 60\n[resources]\ncpu_mhz = 500\nram_mb = 64\ndisk_mb = 16\n"
    )
    return path


def _followed(
    client: docker.DockerClient, requester: Home, job: Path
) -> tuple[list[float], list[float]]:
    """Return the milliseconds of each line: at the requester, and from the bare engine."""
    cheap_wallet(requester)
    requester.nunet("wallet", "faucet")
    wait_until("the faucet", lambda: requester.nunet("wallet", "balance")["tokens"])
    job_id = str(requester.nunet("request", "submit", str(job), "--yes")["job_id"])
    wanted = {"label": f"{LABEL_JOB}={job_id}"}
    with subprocess.Popen(
        [NUNET, *requester.typed("request", "logs", "--follow", job_id)],
        env=requester.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    ) as follower:  # fmt: skip
        found = wait_until("the container", lambda: client.containers.list(filters=wanted))
        bare: list[float] = []
        reader = threading.Thread(
            target=lambda: bare.extend(_late(found[0].logs(stream=True, follow=True)))
        )
        reader.start()
        ours = _late(follower.stdout or ())
        reader.join()
    if (len(ours), len(bare)) != (LINES, LINES):
        raise RuntimeError(f"of {LINES} lines {len(ours)} and {len(bare)} came")
    return ours, bare


def _late(lines: Iterable[bytes]) -> list[float]:
    """Return how many milliseconds after its printing each line was read."""
    return [(time.time_ns() - int(line)) / 1e6 for line in lines]
