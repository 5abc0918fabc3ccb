"""Images of busybox alone, and a node's runner, on the engine of this machine."""

from __future__ import annotations

import io
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.docker.node_world import Node
from tests.unit.node.conftest import World, world

__all__ = ["world"]
APPLETS = (
    *(
        "sh",
        "cat",
        "sleep",
        "id",
        "dd",
        "mkdir",
        "grep",
        "head",
        "yes",
        "ls",
        "ps",
        "echo",
        "env",
        "true",
    ),
)


def busybox_archive(payload: bytes = b"") -> bytes:
    """Return a root file system with busybox, and a file of given bytes."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        for name in APPLETS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        entry = tarfile.TarInfo("payload")
        entry.size = len(payload)
        tar.addfile(entry, io.BytesIO(payload))
    return archive.getvalue()


def import_image(client: docker.DockerClient, archive: bytes, repository: str, *says: str) -> str:
    """Make an image of a root file system and return its id; `says` are Dockerfile lines."""
    made = client.api.import_image_from_data(
        archive, repository=repository, tag="test", changes=list(says)
    )
    return str(made.split('"status":"')[1].split('"')[0])


@pytest.fixture(scope="session")
def box(docker_client: docker.DockerClient) -> Iterator[str]:
    """A reference to an image of busybox alone, which is here already."""
    name = f"nunet-test-box-{uuid.uuid4().hex[:8]}"
    image_id = import_image(docker_client, busybox_archive(), name)
    yield f"{name}@{image_id}"
    docker_client.images.remove(image_id, force=True)


@pytest.fixture
def node(world: World, tmp_path: Path) -> Iterator[Node]:
    """A node with an empty journal."""
    made = Node(world, tmp_path)
    yield made
    made.close()
