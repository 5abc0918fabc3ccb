"""How fast a job's log comes from its container to the node's disk, against the bare Docker SDK.

The daemon hands out some 10,000 records a second, each as a piece of its own, whoever reads; what
our own code can do is told by recorded frames.
"""

from __future__ import annotations

import io
import tempfile
import time
import tracemalloc
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import docker
from docker.models.containers import Container

from bench.figure import Figure
from nunet_dms.node import logs
from nunet_dms.node.engine.docker import DockerEngine
from nunet_dms.node.engine.docker_logs import READ_BYTES, parse, read_records
from nunet_dms.node.engine.profile import job_user
from nunet_dms.node.engine.python_image import build_python_image
from nunet_dms.node.engine.types import ContainerSpec, LogRecord
from nunet_dms.node.folder import JobFolder

MB = 1024 * 1024
LONG_BYTES = 60_000_000
LINE_BYTES = 16_000_000
OUTPUTS = (
    ("log of long lines, container to disk", "x" * 16_383, LONG_BYTES, ">= 100 MB/s"),
    ("log of lines of 80 bytes, container to disk", "x" * 79, LINE_BYTES, "the SDK's rate"),
)
RECORDS = (
    (80, "far above what the daemon hands out"),
    (1024, ">= 100 MB/s"),
    (16_384, ">= 100 MB/s"),
)
PROGRAM = "import sys; [sys.stdout.write(sys.argv[1] + '\\n') for _ in range(int(sys.argv[2]))]"


def measure() -> list[Figure]:
    """Read what a container wrote, with our pump and with `container.logs` of the bare SDK."""
    client, engine = docker.from_env(timeout=60), DockerEngine()
    image = str(engine.find_image(build_python_image(client)))
    found = [
        Figure(f"our own CPU, records of {size} bytes", _own_rate(size), None, "MB/s", target)
        for size, target in RECORDS
    ]
    with tempfile.TemporaryDirectory() as place:
        for what, line, size, target in OUTPUTS:
            folder = JobFolder(Path(place) / uuid.uuid4().hex)
            folder.make(job_user())
            name = _written(engine, image, folder, (line, str(size // (len(line) + 1))))
            bare = _rate(_bare(client.containers.get(name), folder.path / "bare"))
            ours = _rate(_ours(engine, name, folder.log))
            found.append(Figure(what, ours, bare, "MB/s", target))
            if size == LONG_BYTES:
                memory = _peak_mb(engine, name, folder.path / "again")
                found.append(
                    Figure("memory of the pump at its most", memory, None, "MB", "bounded")
                )
            engine.remove(name)
    engine.close()
    client.close()
    return found


class _RecordedLog:
    """A container's whole log as Docker's frames, without Docker."""

    def __init__(self, size: int, count: int) -> None:
        frames = []
        for number in range(count):
            text = b"2026-01-02T03:04:05.%09dZ " % number + b"x" * (size - 1) + b"\n"
            frames.append(b"\x01\0\0\0" + len(text).to_bytes(4, "big") + text)
        self._frames = b"".join(frames)

    def bell(self) -> AbstractContextManager[None]:
        return nullcontext()

    def is_over(self) -> bool:
        return True

    def read(self, _tail: int) -> Iterator[LogRecord]:
        answer = io.BytesIO(self._frames)
        return parse(iter(lambda: answer.read(READ_BYTES), b""))


def _own_rate(size: int) -> float:
    """Return what the pump does in a second of its CPU, the best of three."""
    log, spent_s = _RecordedLog(size, LINE_BYTES // size), []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as place:
            began_s = time.process_time()
            records = partial(read_records, log)  # type: ignore[arg-type]
            length = logs.pump(records, Path(place) / "log", lambda: None).length
            spent_s.append(time.process_time() - began_s)
    return length / MB / min(spent_s)


def _written(
    engine: DockerEngine, image: str, folder: JobFolder, arguments: tuple[str, str]
) -> str:
    """Run a container that writes to its end; return its name."""
    name = f"nunet-bench-{uuid.uuid4().hex[:8]}"
    spec = ContainerSpec(
        name=name, labels=(), image_id=image, command=("python3", "-c", PROGRAM, *arguments),
        env=(), nano_cpus=1_000_000_000, ram_mb=64, disk_mb=16, user=job_user(),
        inputs=folder.inputs, outputs=folder.outputs, output_folder="/nunet/out",
    )  # fmt: skip
    engine.start(str(engine.create(spec)))
    while not engine.wait(name, 30):
        pass
    return name


def _ours(engine: DockerEngine, name: str, path: Path) -> tuple[int, float]:
    began = time.perf_counter()
    end = logs.pump(partial(engine.records, name), path, lambda: None)
    spent_s = time.perf_counter() - began
    if not end.complete:
        raise RuntimeError("the log is not complete: the figure would be of another output")
    return end.length, spent_s


def _bare(container: Container, path: Path) -> tuple[int, float]:
    began = time.perf_counter()
    with path.open("wb") as file:
        for part in container.logs(stream=True, follow=False):
            file.write(part)
        size = file.tell()
    return size, time.perf_counter() - began


def _rate(measured: tuple[int, float]) -> float:
    size, spent_s = measured
    return size / MB / spent_s


def _peak_mb(engine: DockerEngine, name: str, path: Path) -> float:
    tracemalloc.start()
    _ours(engine, name, path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / MB
