"""Fetching an image, from a real registry on loopback that lies, breaks and goes away."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from nunet_dms.errors import UnreachableError
from nunet_dms.node.engine.types import Failure, PullProgress
from nunet_dms.node.states import State
from nunet_dms.protocol.report import Reason
from tests.docker.conftest import busybox_archive, import_image
from tests.docker.node_world import Node

PAYLOAD_BYTES = 1_000_000
START_TRIES = 200


@dataclass
class Registry:
    """Debian's docker-registry, which may be stopped and started."""

    folder: Path
    port: int
    client: docker.DockerClient
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Serve, and return once it answers."""
        config = self.folder / "config.yml"
        config.write_text(
            f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '127.0.0.1:{self.port}'}}\n"
            f"storage: {{filesystem: {{rootdirectory: '{self.folder}/data'}}}}\n"
        )
        self.process = subprocess.Popen(
            ["docker-registry", "serve", str(config)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        retry = Retry(connect=START_TRIES, backoff_factor=0.02, backoff_max=0.2)
        with requests.Session() as session:
            session.mount("http://", HTTPAdapter(max_retries=retry))
            assert session.get(f"http://127.0.0.1:{self.port}/v2/", timeout=20).ok

    def stop(self) -> None:
        """End it; its data stays."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def push(self) -> str:
        """Make an image, push it, drop it here, and return its reference by digest."""
        name = f"127.0.0.1:{self.port}/{uuid.uuid4().hex[:8]}"
        import_image(self.client, busybox_archive(os.urandom(PAYLOAD_BYTES)), name)
        lines = list(self.client.api.push(name, tag="test", stream=True, decode=True))
        digests = [line["aux"]["Digest"] for line in lines if "aux" in line]
        self.client.images.remove(f"{name}:test", force=True)
        return f"{name}@{digests[0]}"

    def layer(self) -> Path:
        """Return the file of the largest layer."""
        blobs = (self.folder / "data").rglob("data")
        return max(blobs, key=lambda path: path.stat().st_size)


@pytest.fixture
def registry(tmp_path: Path, docker_client: docker.DockerClient) -> Iterator[Registry]:
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Registry(tmp_path, port, docker_client)
    made.start()
    yield made
    made.stop()
    for image in docker_client.images.list():
        if any(f"127.0.0.1:{port}/" in name for name in image.attrs["RepoDigests"] or ()):
            docker_client.images.remove(image.id, force=True)


def test_an_image_is_fetched_with_progress_and_noted_as_ours(
    node: Node, registry: Registry
) -> None:
    reference = registry.push()
    heard: list[PullProgress] = []
    assert node.engine.find_image(reference) is None
    image_id = node.engine.pull_image(reference, heard.append)
    assert node.engine.find_image(reference) == image_id
    assert heard[-1].done_bytes == heard[-1].total_bytes > PAYLOAD_BYTES
    registry.client.images.remove(reference, force=True)
    job = node.take(reference, "true")
    assert node.report_of(job).reason is Reason.SUCCEEDED
    (noted,) = node.journal.images()
    assert (noted.reference, noted.image_id) == (reference, image_id)


def test_another_digest_is_a_final_answer(node: Node, registry: Registry) -> None:
    reference = registry.push()
    job = node.take(f"{reference[:-8]}00000000", "true")
    report = node.report_of(job)
    assert report.reason is Reason.IMAGE_UNAVAILABLE
    assert "manifest unknown" in report.detail
    assert (report.ran_ms, report.started_ms) == (0, None)
    assert node.journal.images() == ()


@pytest.mark.parametrize("how", ["corrupt", "truncated", "missing"])
def test_a_broken_layer_is_a_final_answer(node: Node, registry: Registry, how: str) -> None:
    reference, layer = registry.push(), registry.layer()
    whole = layer.read_bytes()
    if how == "missing":
        layer.unlink()
    else:
        part = whole[: len(whole) // 2]
        layer.write_bytes(part + b"x" * len(part) if how == "corrupt" else part)
    answer = node.engine.pull_image(reference, lambda _: None)
    assert isinstance(answer, Failure)
    assert answer.reason is Reason.IMAGE_UNAVAILABLE
    assert ("unknown blob" if how == "missing" else "verification failed") in answer.detail


def test_a_registry_that_is_down_is_asked_again_until_it_is_back(
    node: Node, registry: Registry
) -> None:
    reference = registry.push()
    registry.stop()
    job = node.take(reference, "true")
    node.turn(lambda: node.runner._live[job].pull_problem)
    assert node.row(job).state is State.ACCEPTED
    assert [each.phase.name for each in node.runner.progress()] == ["pulling"]
    node.kill()  # and a worker that dies meanwhile begins anew
    node.start()
    registry.start()
    assert node.reason_of(job) is Reason.SUCCEEDED
    assert [image.reference for image in node.journal.images()] == [reference]


def test_an_image_that_does_not_come_in_time_ends_the_job_unbilled(
    node: Node, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nunet_dms.node.starting.PULL_LIMIT_S", 1.5)
    reference = registry.push()
    registry.stop()
    report = node.report_of(node.take(reference, "true"))
    assert report.reason is Reason.IMAGE_UNAVAILABLE
    assert "did not come within" in report.detail
    assert "connection refused" in report.detail
    assert report.ran_ms == 0


def test_a_pull_that_nobody_waits_for_is_broken_off(node: Node, registry: Registry) -> None:
    reference = registry.push()

    def stop(_seen: PullProgress) -> None:
        raise UnreachableError("enough")

    with pytest.raises(UnreachableError, match="enough"):
        node.engine.pull_image(reference, stop)
    assert node.engine.find_image(reference) is None


def test_a_job_that_is_cancelled_while_its_image_comes_ends_at_once(
    node: Node, registry: Registry
) -> None:
    reference = registry.push()
    registry.stop()
    job = node.take(reference, "true")
    node.turn(lambda: node.runner._live[job].pull_problem)
    node.runner.stop(job, Reason.CANCELLED)
    assert node.reason_of(job) is Reason.CANCELLED
