"""What the job profile costs: our create and start, against the bare Docker SDK's."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path

import docker

from bench.figure import Figure, median_ms
from nunet_dms.node.engine.docker import DockerEngine
from nunet_dms.node.engine.profile import job_user
from nunet_dms.node.engine.python_image import build_python_image
from nunet_dms.node.engine.types import ContainerSpec
from nunet_dms.node.folder import JobFolder

TIMES = 10


def measure() -> list[Figure]:
    """Create, start and remove a container that does nothing, both ways, turn by turn."""
    client, engine = docker.from_env(timeout=60), DockerEngine()
    reference = build_python_image(client)
    image = str(engine.find_image(reference))
    with tempfile.TemporaryDirectory() as place:
        folder = JobFolder(Path(place) / "job")
        folder.make(job_user())
        ours = median_ms(lambda: _ours(engine, image, folder), TIMES)
        bare = median_ms(lambda: _bare(client, image), TIMES)
    engine.close()
    client.close()
    return [Figure("container created, started, removed", ours, bare, "ms", "bare + 50 ms")]


def _ours(engine: DockerEngine, image: str, folder: JobFolder) -> None:
    name = f"nunet-bench-{uuid.uuid4().hex[:8]}"
    spec = ContainerSpec(
        name=name, labels=(), image_id=image, command=("python3", "-c", ""), env=(),
        nano_cpus=500_000_000, ram_mb=64, disk_mb=16, user=job_user(), inputs=folder.inputs,
        outputs=folder.outputs, output_folder="/nunet/out",
    )  # fmt: skip
    engine.start(str(engine.create(spec)))
    engine.remove(name)


def _bare(client: docker.DockerClient, image: str) -> None:
    container = client.containers.create(image, ["python3", "-c", ""])
    container.start()
    container.remove(force=True, v=True)
