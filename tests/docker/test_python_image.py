"""The Python image under a real engine, with the limits that a job gets."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
import pytest

from nunet_dms.node.engine.python_image import build_python_image

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits"
JOB: dict[str, Any] = {
    "user": "10001:10001",
    "read_only": True,
    "network_mode": "none",
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "nano_cpus": 500_000_000,
    "mem_limit": "512m",
    "memswap_limit": "512m",
    "pids_limit": 256,
}


@pytest.fixture(scope="module")
def image_id(docker_client: docker.DockerClient) -> str:
    """The local id behind the reference; only the node's image resolver reads the whole of it."""
    name, _, digest = build_python_image(docker_client).partition("@")
    assert name == "nunet-python"
    return digest


def output(client: docker.DockerClient, image: str, code: str) -> str:
    """What `python3 -c code` prints in a job's container."""
    return client.containers.run(image, ["python3", "-c", code], remove=True, **JOB).decode()


def test_the_same_python_gives_the_same_image(
    docker_client: docker.DockerClient, image_id: str
) -> None:
    assert build_python_image(docker_client).endswith(image_id)


def test_a_virtual_environment_gives_the_image_of_its_base(
    docker_client: docker.DockerClient, image_id: str, tmp_path: Path
) -> None:
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", tmp_path], check=True, timeout=60
    )
    assert build_python_image(docker_client, tmp_path / "bin" / "python").endswith(image_id)


def test_the_image_is_this_python(docker_client: docker.DockerClient, image_id: str) -> None:
    code = "import sys; print(sys.version, sys.base_prefix, sep='|')"
    assert output(docker_client, image_id, code) == f"{sys.version}|{sys.base_prefix}\n"


def test_what_needs_a_shared_library_works(
    docker_client: docker.DockerClient, image_id: str
) -> None:
    code = (
        "import asyncio, bz2, ctypes, decimal, hashlib, lzma, multiprocessing, sqlite3, ssl, zlib\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as pool: print(sum(pool.map(abs, range(100))))\n"
        "print(sqlite3.connect(':memory:').execute('select 6 * 7').fetchone()[0])\n"
        "print(hashlib.sha256().hexdigest()[:8], ctypes.CDLL(None).getuid())\n"
    )
    lines = output(docker_client, image_id, code).splitlines()
    assert lines == ["4950", "42", "e3b0c442 10001"]


def test_the_job_user_has_a_name_and_may_not_write_the_image(
    docker_client: docker.DockerClient, image_id: str
) -> None:
    code = (
        "import os, pwd\n"
        "print(pwd.getpwuid(os.getuid()).pw_name, os.access('/', os.W_OK))\n"
        "print(os.path.exists('/nunet/in'), os.path.exists('/nunet/out'))\n"
    )
    assert output(docker_client, image_id, code) == "job False\nTrue True\n"


def test_the_digits_job_learns_to_read(
    docker_client: docker.DockerClient, image_id: str, tmp_path: Path
) -> None:
    """The whole example as a node runs it: inputs read-only, half a core, no network."""
    inputs, outputs = tmp_path / "in", tmp_path / "out"
    inputs.mkdir(mode=0o755)
    outputs.mkdir()
    outputs.chmod(0o777)  # the container's user has no name here
    for name in ("train.py", "digits.csv.gz"):
        shutil.copy(EXAMPLE / name, inputs)

    log = docker_client.containers.run(
        image_id,
        ["python3", "/nunet/in/train.py"],
        remove=True,
        environment={"NUNET_INPUT_DIR": "/nunet/in", "NUNET_OUTPUT_DIR": "/nunet/out"},
        volumes=[f"{inputs}:/nunet/in:ro", f"{outputs}:/nunet/out:rw"],
        **JOB,
    ).decode()

    metrics = json.loads((outputs / "metrics.json").read_text())
    assert metrics["accuracy"] >= 0.95
    assert metrics["test_images"] == 359
    assert log.count("epoch ") == len(metrics["epochs"]) == 20
    assert "held-out accuracy" in log.splitlines()[-1]
    assert len(json.loads((outputs / "model.json").read_text())["hidden"]) == 40
    assert (outputs / "confusion.png").read_bytes().startswith(b"\x89PNG")
