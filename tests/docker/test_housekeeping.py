"""Housekeeping on a real engine: what is ours goes, and everything beside it stays."""

from __future__ import annotations

import hashlib
import io
import json
import random
import subprocess
import tarfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import docker
import pytest

from nunet_dms.machine.disk import DiskFacts
from nunet_dms.node.backoff import Backoff
from nunet_dms.node.clock import Clock
from nunet_dms.node.deps import Deps
from nunet_dms.node.engine.docker import DockerEngine
from nunet_dms.node.engine.profile import LABEL_JOB, LABEL_NODE, job_user
from nunet_dms.node.engine.types import ContainerSpec, Failure
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.housekeeping import LOGS_KEPT_MIN, LOOK_EVERY_S, Housekeeping
from nunet_dms.node.identity import Identity
from nunet_dms.node.journal import Journal
from nunet_dms.node.oracle_client import OracleClient
from nunet_dms.node.pool import Pool
from nunet_dms.protocol.report import Reason

REGISTRY_WAIT_S = 30
FULL, ROOMY = DiskFacts(100_000, 1), DiskFacts(100_000, 90_000)
NODE = uuid.uuid4().hex * 2
MARK = f"nunet-test-{NODE[:8]}"
OTHER_NODE = NODE[:-1] + ("0" if NODE[-1] != "0" else "1")


def image_archive(text: str, tag: str) -> bytes:
    """Return an image of one file, as `docker load` takes it."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.addfile(_member("content", len(text)), io.BytesIO(text.encode()))
    config = json.dumps(
        {
            "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/content"]},
            "rootfs": {
                "type": "layers",
                "diff_ids": ["sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()],
            },
        }
    ).encode()  # fmt: skip
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": [tag], "Layers": ["layer.tar"]}]).encode()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for part, content in (
            (name, config), ("layer.tar", layer.getvalue()), ("manifest.json", manifest),
        ):  # fmt: skip
            tar.addfile(_member(part, len(content)), io.BytesIO(content))
    return archive.getvalue()


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o755
    return member


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry on loopback, with a folder of its own; yields host:port."""
    folder = tmp_path_factory.mktemp("registry")
    log = folder / "log"
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: info, formatter: json}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n"
    )
    with (
        log.open("wb") as out,
        subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL, stderr=out
        ) as process,
    ):
        try:
            yield _address(log, process)
        finally:
            process.terminate()


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    ends_s = time.monotonic() + REGISTRY_WAIT_S
    while time.monotonic() < ends_s and process.poll() is None:
        _, found, rest = log.read_text().partition("listening on ")
        if found and '"' in rest:
            address = rest.partition('"')[0]
            urllib.request.urlopen(f"http://{address}/v2/", timeout=5).close()
            return address
    raise AssertionError(f"no registry: {log.read_text()}")


@dataclass
class Neighbours:
    """A machine with things of ours and of others; what a test makes is removed afterwards."""

    client: docker.DockerClient
    registry: str
    keeping: list[str] = field(default_factory=list)
    containers: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)

    def pushed(self, text: str) -> str:
        """Return the reference by digest of an image that only the registry has."""
        repository = f"{self.registry}/{MARK}/{text}"
        self.client.images.load(image_archive(text + NODE, f"{repository}:1"))
        self.client.api.push(repository, tag="1")
        (pushed,) = [
            each
            for each in self.client.images.get(f"{repository}:1").attrs["RepoDigests"]
            if each.startswith(repository)
        ]
        self.client.images.remove(f"{repository}:1")
        self.images.append(pushed)
        return str(pushed)

    def has(self, reference: str) -> bool:
        """Whether an image is here."""
        try:
            self.client.images.get(reference)
        except docker.errors.ImageNotFound:
            return False
        return True

    def container(self, image: str, labels: dict[str, str]) -> str:
        """Make a container with these labels, and return its id."""
        made = self.client.api.create_container(image, labels=labels)
        self.containers.append(made["Id"])
        return str(made["Id"])


@pytest.fixture
def machine(docker_client: docker.DockerClient, registry: str) -> Iterator[Neighbours]:
    made = Neighbours(docker_client, registry)
    yield made
    for container in made.containers:
        _quietly(lambda each=container: docker_client.api.remove_container(each, force=True))
    for image in made.images:
        _quietly(lambda each=image: docker_client.images.remove(each, force=True))
    for volume in docker_client.volumes.list(filters={"name": MARK}):
        volume.remove()
    for network in docker_client.networks.list(names=[MARK]):
        network.remove()


def _quietly(remove: object) -> None:
    try:
        remove()  # type: ignore[operator]
    except docker.errors.NotFound:
        return


@dataclass
class Node:
    """Our housekeeping, on a disk of which a test says how full it is."""

    house: Housekeeping
    engine: DockerEngine
    journal: Journal
    now: list[float]
    disk: list[DiskFacts]
    jobs_dir: Path

    def pull(self, reference: str) -> str:
        """Pull as a job does, and note it."""
        assert self.engine.find_image(reference) is None
        self.journal.pulled_image(reference)
        image_id = self.engine.pull_image(reference, lambda _seen: None)
        assert isinstance(image_id, str), image_id
        self.journal.used_image(reference, image_id)
        return image_id

    def turn(self) -> None:
        """Do what is to be done, twice: a leftover goes at the second look."""
        for _ in range(2):
            self.now[0] += LOOK_EVERY_S
            while (work := self.house.next_work()) is not None:
                self.house.take(work())


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    now, disk = [0.0], [ROOMY]
    engine = DockerEngine()
    clock = Clock(lambda: 1_800_000_000 + now[0], lambda: now[0])
    journal = Journal(tmp_path / "journal.db", clock.now_ms)
    identity = cast("Identity", type("Us", (), {"node_id": NODE}))
    deps = Deps(
        journal=journal, engine=engine, oracle=cast("OracleClient", None), pool=Pool(),
        identity=identity, clock=clock, backoff=Backoff(random.Random(1)),
        jobs_dir=tmp_path / "jobs", core_mhz=1000, user=job_user(), boot_id="boot",
    )  # fmt: skip
    house = Housekeeping(deps, lambda _path: disk[0])
    yield Node(house, engine, journal, now, disk, deps.jobs_dir)
    journal.close()
    engine.close()


def test_what_we_pulled_goes_and_every_image_of_others_stays(
    node: Node, machine: Neighbours
) -> None:
    client = machine.client
    ours, tagged, used, twice, theirs = map(machine.pushed, ("a", "b", "c", "d", "e"))
    for reference in (ours, tagged, used, twice):
        node.pull(reference)
    client.images.pull(theirs)  # by another hand: the journal has no row of it
    client.images.get(tagged).tag(f"{MARK}-theirs", "1")
    machine.images.append(f"{MARK}-theirs:1")
    machine.container(used, {LABEL_NODE: OTHER_NODE})
    copy = f"{machine.registry}/{MARK}/copy"
    client.images.get(twice).tag(copy, "1")
    client.api.push(copy, tag="1")
    client.images.remove(f"{copy}:1")
    machine.images.append(f"{copy}@{twice.rpartition('@')[2]}")
    client.images.pull(machine.images[-1])  # by another hand, from where it also is
    built = f"{MARK}-built:1"  # never was in a registry
    client.images.load(image_archive("f" + NODE, built))
    machine.images.append(built)
    everything = list(machine.images)
    node.turn()
    assert all(map(machine.has, everything))  # there is room
    ours_id = client.images.get(ours).id
    node.disk[0] = FULL
    node.turn()
    assert [each for each in everything if not machine.has(each)] == [ours]
    assert ours_id not in {row.image_id for row in node.journal.images()}


def test_docker_keeps_what_is_tagged_between_our_look_and_the_removal(
    node: Node, machine: Neighbours
) -> None:
    reference = machine.pushed("raced")
    image_id = node.pull(reference)
    node.disk[0] = FULL
    node.now[0] += LOOK_EVERY_S
    look = node.house.next_work()
    assert look is not None
    node.house.take(look())
    machine.client.images.get(image_id).tag(f"{MARK}-late", "1")
    machine.images.append(f"{MARK}-late:1")
    tidy = node.house.next_work()
    assert tidy is not None
    node.house.take(tidy())
    assert machine.has(f"{MARK}-late:1")
    assert machine.has(reference)


def test_an_image_that_goes_before_its_container_is_made_is_not_the_job_s_fault(
    node: Node, machine: Neighbours, tmp_path: Path
) -> None:
    image_id = node.pull(machine.pushed("vanishing"))
    assert node.engine.remove_image(image_id)
    assert not node.engine.remove_image(image_id)
    folder = JobFolder(tmp_path / "job")
    folder.make(job_user())
    spec = ContainerSpec(
        name=f"{MARK}-vanishing", labels=(), image_id=image_id, command=(), env=(),
        nano_cpus=100_000_000, ram_mb=16, disk_mb=1, user=job_user(), inputs=folder.inputs,
        outputs=folder.outputs, output_folder="/nunet/out",
    )  # fmt: skip
    failure = node.engine.create(spec)
    assert isinstance(failure, Failure)
    assert failure.reason is Reason.IMAGE_UNAVAILABLE


def test_leftovers_with_our_label_go_and_those_of_others_stay(
    node: Node, machine: Neighbours
) -> None:
    """With names and labels as like ours as can be."""
    client, image = machine.client, machine.pushed("holder")
    client.images.pull(image)
    ours = {LABEL_NODE: NODE, LABEL_JOB: "d" * 32}
    foreign: list[dict[str, str]] = [
        {LABEL_NODE: OTHER_NODE, LABEL_JOB: "d" * 32},
        {LABEL_NODE: NODE[:12], LABEL_JOB: "d" * 32},
        {LABEL_NODE: NODE + "0"},
        {LABEL_JOB: "d" * 32},
        {f"{LABEL_NODE}.x": NODE},
        {"maintainer": NODE},
        {},
    ]
    stray = machine.container(image, ours)
    others = [machine.container(image, labels) for labels in foreign]
    client.volumes.create(f"{MARK}-ours", labels=ours)
    client.networks.create(f"{MARK}-ours", labels=ours)
    busy = client.volumes.create(f"{MARK}-ours-busy", labels=ours)
    user = client.api.create_container(
        image, host_config=client.api.create_host_config(binds=[f"{busy.name}:/data"])
    )
    machine.containers.append(user["Id"])
    for number, labels in enumerate(foreign):
        client.volumes.create(f"{MARK}-{number}", labels=labels)
        client.networks.create(f"{MARK}-{number}", labels=labels)
    try:
        node.turn()
        here = {each["Id"] for each in client.api.containers(all=True)}
        volumes = {each.name for each in client.volumes.list(filters={"name": MARK})}
        networks = {each.name for each in client.networks.list(names=[MARK])}
    finally:
        for network in client.networks.list(names=[MARK]):
            network.remove()
    assert stray not in here
    assert here >= {*others, user["Id"]}
    numbers = {f"{MARK}-{number}" for number in range(len(foreign))}
    assert volumes == numbers | {busy.name}
    assert networks == numbers


def test_old_logs_go_and_foreign_folders_beside_them_stay(node: Node, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "data").write_text("precious")
    for number in range(LOGS_KEPT_MIN + 2):
        (node.jobs_dir / f"{number:032x}").mkdir(parents=True)
        (node.jobs_dir / f"{number:032x}" / "log").write_text("text")
    for name in ("lost+found", "backup"):
        (node.jobs_dir / name).mkdir()
        (node.jobs_dir / name / "log").write_text("theirs")
    (node.jobs_dir / ("f" * 32)).symlink_to(foreign)
    node.now[0] = 10**9  # every file is old now
    node.turn()
    left = {each.name for each in node.jobs_dir.iterdir()}
    assert len(left & {f"{n:032x}" for n in range(LOGS_KEPT_MIN + 2)}) == LOGS_KEPT_MIN
    assert left >= {"lost+found", "backup", "f" * 32}
    assert (foreign / "data").read_text() == "precious"
