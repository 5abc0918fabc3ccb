"""A container's output, from a real engine to the node's disk: all of it, or it is said."""

from __future__ import annotations

import hashlib
import io
import random
import re
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

import docker
import pytest

from nunet_dms.errors import EngineUnreachableError
from nunet_dms.node import logs
from nunet_dms.node.engine import docker_logs, profile
from nunet_dms.node.engine.docker import DockerEngine
from nunet_dms.node.engine.docker_logs import ContainerLog
from nunet_dms.node.engine.profile import LABEL_NODE, job_user
from nunet_dms.node.engine.types import ContainerSpec, LogRecord
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.logs import GAP_MARK, LogEnd, pump

NODE = uuid.uuid4().hex
SEED = random.randrange(2**32)
PATIENCE_S = 60
MB = 1024 * 1024


@pytest.fixture(scope="module")
def busybox(docker_client: docker.DockerClient) -> Iterator[str]:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        for name in ("sh", "cat", "sleep", "head", "yes", "seq", "tr", "printf"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for folder in ("tmp", "proc", "sys", "dev"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
    made = docker_client.api.import_image_from_data(
        archive.getvalue(), repository=f"nunet-test-logs-{NODE[:8]}"
    )
    image_id = made.split('"status":"')[1].split('"')[0]
    yield image_id
    docker_client.images.remove(image_id, force=True)


class Job:
    """A container that writes, and the log that is made of it."""

    def __init__(self, engine: DockerEngine, name: str, folder: JobFolder) -> None:
        self._engine = engine
        self._name = name
        self._folder = folder
        self.log = folder.log

    def go(self) -> None:
        """Let a script go on that waits for /nunet/in/go."""
        (self._folder.inputs / "go").touch()

    def records(self, since_ns: int) -> Iterator[LogRecord]:
        return self._engine.records(self._name, since_ns)

    def pump(self) -> LogEnd:
        return pump(self.records, self.log, lambda: None)

    def pump_aside(self) -> threading.Thread:
        thread = threading.Thread(target=self.pump, daemon=True)
        thread.start()
        return thread

    def ends(self) -> None:
        while not self._engine.wait(self._name, 20):
            pass


Start = Callable[[str], Job]
WAIT = "while ! [ -e /nunet/in/go ]; do sleep 0.05; done;"


@pytest.fixture
def start(busybox: str, tmp_path: Path) -> Iterator[Start]:
    """Return what starts a script in the job profile; its container is removed afterwards."""
    engine, names = DockerEngine(), list[str]()

    def started(script: str) -> Job:
        names.append(f"nunet-test-{uuid.uuid4().hex[:12]}")
        folder = JobFolder(tmp_path / names[-1])
        folder.make(job_user())
        created = engine.create(
            ContainerSpec(
                name=names[-1], labels=((LABEL_NODE, NODE),), image_id=busybox,
                command=("sh", "-c", script), env=(), nano_cpus=1_000_000_000, ram_mb=64,
                disk_mb=2, user=job_user(), inputs=folder.inputs, outputs=folder.outputs,
                output_folder="/nunet/out",
            )
        )  # fmt: skip
        assert isinstance(created, str), created
        assert engine.start(created) is None
        return Job(engine, names[-1], folder)

    yield started
    for name in names:
        engine.remove(name)
    engine.close()


def until(what: Callable[[], bool]) -> None:
    ends, tick = time.monotonic() + PATIENCE_S, threading.Event()
    while not what():
        assert time.monotonic() < ends, "it did not come"
        tick.wait(0.02)


def whole(said: bytes) -> LogEnd:
    return LogEnd(len(said), hashlib.sha256(said).hexdigest(), complete=True)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (r"printf 'a\nno newline'", b"a\nno newline"),
        (r"printf 'a\000\377\376\033[1m\r\n\n'", b"a\x00\xff\xfe\x1b[1m\r\n\n"),
        ("yes '' | head -c 30000", b"\n" * 30_000),
        ("head -c 20000000 /dev/zero", bytes(20_000_000)),
        ("head -c 3000000 /dev/zero | tr '\\0' a; echo; printf z", b"a" * 3_000_000 + b"\nz"),
        ("head -c 40000 /dev/zero; echo; echo; echo y", bytes(40_000) + b"\n\ny\n"),
        ("true", b""),
    ],
)
def test_every_byte_comes_as_it_was_written(start: Start, script: str, said: bytes) -> None:
    job = start(script)
    assert job.pump() == whole(said)
    assert job.log.read_bytes() == said


def test_what_is_written_at_full_speed_is_all_there(start: Start) -> None:
    end = start("seq -w 1 100000").pump()
    assert end == whole(b"".join(b"%06d\n" % number for number in range(1, 100_001)))


def test_a_line_is_in_the_log_while_the_job_runs(start: Start) -> None:
    job = start(f"echo first; {WAIT} echo second")
    thread = job.pump_aside()
    until(lambda: job.log.exists() and job.log.read_bytes() == b"first\n")
    job.go()
    thread.join(PATIENCE_S)
    assert job.log.read_bytes() == b"first\nsecond\n"


def test_a_job_that_is_silent_for_longer_than_a_read_may_take_is_still_listened_to(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung, bell = list[float](), ContainerLog.bell

    def counted(self: ContainerLog) -> object:
        rung.append(time.monotonic())
        return bell(self)

    monkeypatch.setattr(docker_logs, "BELL_TIMEOUT_S", 1)
    monkeypatch.setattr(ContainerLog, "bell", counted)
    job = start(f"{WAIT} echo at last")
    thread = job.pump_aside()
    until(lambda: len(rung) >= 4)
    quiet = [later - sooner for sooner, later in pairwise(rung[:4])]
    assert min(quiet) >= 1, "it does not wait, it spins"
    job.go()
    thread.join(PATIENCE_S)
    assert job.log.read_bytes() == b"at last\n"


def test_a_pump_that_is_killed_again_and_again_leaves_no_gap_and_no_repeat(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "INDEX_EVERY_RECORDS", 300)
    dice = random.Random(SEED)
    deaths, read_max = 6, 8000
    script = "seq 1 10000; head -c 1000000 /dev/zero; seq 1 10000 >&2; head -c 300000 /dev/zero"
    rest = f"seq 1 {deaths * read_max - 20_000}"  # more than all who die read: none waits for ever
    job = start(f"{script}; {rest}; {WAIT} seq 1 1000")

    def dying(since_ns: int) -> Iterator[LogRecord]:
        yield from islice(job.records(since_ns), dice.randrange(1, read_max))
        raise EngineUnreachableError("cannot reach Docker")

    for _ in range(deaths):
        with pytest.raises(EngineUnreachableError):
            pump(dying, job.log, lambda: None)
        with job.log.open("r+b") as file:
            file.truncate(max(0, job.log.stat().st_size - dice.choice([0, 0, 1, 5000])))
    job.go()
    job.ends()
    end, again = job.pump(), job.log.with_name("again")
    assert end == pump(job.records, again, lambda: None), f"seed {SEED}"
    assert end.complete, f"seed {SEED}"


def test_what_docker_rotated_away_unread_is_marked(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files so small that a fast writer outruns us: what is there joins up, or a mark says so."""
    monkeypatch.setattr(profile, "LOG_FILE_MB", 1)
    monkeypatch.setattr(docker_logs, "SURELY_KEPT_BYTES", 2 * MB)
    end_of = start("seq -w 1 400000")
    end = end_of.pump()
    said = end_of.log.read_bytes()
    parts = said.split(GAP_MARK)
    assert end.complete is False
    assert len(parts) > 1
    for part in parts:
        numbers = [int(line) for line in re.findall(rb"\d{6}", part)]
        assert all(later == sooner + 1 for sooner, later in pairwise(numbers))
    assert said.endswith(b"400000\n")


def test_the_end_of_a_log_that_docker_rotated_while_nobody_read_is_not_called_whole(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile, "LOG_FILE_MB", 1)
    monkeypatch.setattr(docker_logs, "SURELY_KEPT_BYTES", 2 * MB)
    job = start("seq -w 1 200000")
    job.ends()
    assert job.pump().complete is False
    assert not job.log.read_bytes().startswith(b"000001\n")


def test_a_container_that_is_gone_has_no_records(start: Start) -> None:
    job = start("echo a")
    job.ends()
    gone = partial(DockerEngine().records, f"nunet-test-{uuid.uuid4().hex}")
    assert list(gone(0)) == []
