"""The Docker engine as the runner sees it, held to what a real engine does."""

from __future__ import annotations

import gc
import io
import tarfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import docker
import pytest

from nunet_dms.errors import EngineUnreachableError, UnreachableError
from nunet_dms.node.engine.docker import DockerEngine
from nunet_dms.node.engine.profile import LABEL_JOB, LABEL_NODE, job_user
from nunet_dms.node.engine.types import ContainerSpec, Facts, PullProgress
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.logs import pump

BUSYBOX = Path("/bin/busybox")
NODE = uuid.uuid4().hex
Spec = Callable[..., ContainerSpec]


@pytest.fixture(scope="session")
def busybox(docker_client: docker.DockerClient) -> Iterator[str]:
    """Import an image of busybox alone, with a declared volume, and return its id."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(BUSYBOX, "bin/busybox")
        for name in ("sh", "cat", "sleep", "id", "dd", "mkdir", "grep", "head", "yes", "ls"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for folder in ("tmp", "proc", "sys", "dev", "data"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
    made = docker_client.api.import_image_from_data(
        archive.getvalue(), repository=f"nunet-test-busybox-{NODE[:8]}", changes=["VOLUME /data"]
    )
    image_id = made.split('"status":"')[1].split('"')[0]
    yield image_id
    docker_client.images.remove(image_id, force=True)


@pytest.fixture
def engine() -> Iterator[DockerEngine]:
    made = DockerEngine()
    yield made
    made.close()


@pytest.fixture
def spec(busybox: str, tmp_path: Path, engine: DockerEngine) -> Iterator[Spec]:
    """Return a maker of container specs; what it made is removed afterwards."""
    names = []
    folder = JobFolder(tmp_path / "job")
    folder.make(job_user())

    def make(script: str, **changes: object) -> ContainerSpec:
        name = f"nunet-test-{uuid.uuid4().hex[:12]}"
        names.append(name)
        made = ContainerSpec(
            name=name, labels=((LABEL_NODE, NODE), (LABEL_JOB, "j" * 32)), image_id=busybox,
            command=("sh", "-c", script), env=(("A", "b"),), nano_cpus=500_000_000, ram_mb=32,
            disk_mb=2, user=job_user(), inputs=folder.inputs, outputs=folder.outputs,
            output_folder="/nunet/out",
        )  # fmt: skip
        return replace(made, **changes)

    yield make
    for name in names:
        engine.remove(name)


def run(engine: DockerEngine, spec: ContainerSpec, log: Path) -> tuple[Facts, str]:
    """Run a container to its end; return its facts and its log."""
    container_id = engine.create(spec)
    assert isinstance(container_id, str), container_id
    assert engine.start(container_id) is None
    while not engine.wait(spec.name, 20):
        pass
    pump(partial(engine.records, spec.name), log, lambda: None)
    facts = engine.facts(spec.name)
    assert facts is not None
    return facts, log.read_text()


def test_the_end_of_a_container_is_data(engine: DockerEngine, spec: Spec, tmp_path: Path) -> None:
    facts, log = run(engine, spec("echo out; echo err >&2; exit 7"), tmp_path / "log")
    assert (facts.exit_code, facts.has_ended, facts.oom_killed) == (7, True, False)
    assert facts.started_ms is not None
    assert facts.finished_ms is not None
    assert 0 <= facts.finished_ms - facts.started_ms < 20_000
    assert sorted(log.split()) == ["err", "out"]


def test_the_profile_is_what_the_engine_applied(
    engine: DockerEngine, spec: Spec, tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    """What is not named in the profile stays at the engine's default."""
    wanted = spec("true")
    run(engine, wanted, tmp_path / "log")
    known = docker_client.api.inspect_container(wanted.name)
    host, config = known["HostConfig"], known["Config"]
    expected = {
        "NanoCpus": 500_000_000, "Memory": 32 << 20, "MemorySwap": 32 << 20, "PidsLimit": 256,
        "ReadonlyRootfs": True, "Init": True, "Privileged": False, "CapAdd": None,
        "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges:true"], "IpcMode": "private",
        "NetworkMode": "none", "OomScoreAdj": 500, "AutoRemove": False, "PidMode": "",
        "Binds": None, "OomKillDisable": False, "ShmSize": 8 << 20,
        "LogConfig": {
            "Type": "local", "Config": {"max-size": "32m", "max-file": "3", "compress": "false"},
        },
    }  # fmt: skip
    assert {name: host[name] for name in expected} == expected
    assert not host["Devices"]
    assert host["RestartPolicy"]["Name"] in {"", "no"}
    assert set(host["Tmpfs"]) == {"/tmp", "/data"}  # noqa: S108 - the image's volume is shadowed
    assert {(m["Target"], m.get("ReadOnly", False)) for m in host["Mounts"]} == {
        ("/nunet/in", True),
        ("/nunet/out", False),
    }
    assert (config["User"], config["StopSignal"]) == (job_user(), "SIGTERM")
    assert config["Healthcheck"] == {"Test": ["NONE"]}


def test_from_inside_there_is_nothing_to_hold_on_to(
    engine: DockerEngine, spec: Spec, tmp_path: Path
) -> None:
    script = (
        "id -u; grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status;"
        " ls /sys/class/net; echo x > /root-write || echo read-only;"
        " echo x > /nunet/in/a || echo inputs-read-only; echo x > /nunet/out/a && echo ok"
    )
    _, log = run(engine, spec(script), tmp_path / "log")
    said = log.split()
    # The engine hears two streams by two ears: which of two lines came first, it cannot tell.
    for word in (
        job_user().split(":")[0],
        "0000000000000000",
        "read-only",
        "inputs-read-only",
        "ok",
        "lo",
    ):
        assert word in said
    assert "eth0" not in said


def test_memory_is_a_hard_limit_and_its_kill_is_seen(
    engine: DockerEngine, spec: Spec, tmp_path: Path
) -> None:
    """A variable that doubles until the kernel says no; swap would have let it grow."""
    hungry = spec("a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done", ram_mb=16)
    facts, _ = run(engine, hungry, tmp_path / "log")
    assert (facts.exit_code, facts.oom_killed) == (137, True)


def test_one_file_cannot_outgrow_the_disk_promised(
    engine: DockerEngine, spec: Spec, tmp_path: Path
) -> None:
    run(engine, spec("dd if=/dev/zero of=/nunet/out/big bs=1M count=50"), tmp_path / "log")
    assert (tmp_path / "job" / "out" / "big").stat().st_size <= 2 << 20


def test_a_container_that_never_started_is_no_success(engine: DockerEngine, spec: Spec) -> None:
    wanted = spec("true")
    engine.create(wanted)
    facts = engine.facts(wanted.name)
    assert facts is not None
    assert (facts.status, facts.exit_code, facts.has_ended) == ("created", 0, False)
    assert engine.wait(wanted.name, 5) is False


def test_the_same_name_again_is_the_same_container(engine: DockerEngine, spec: Spec) -> None:
    wanted = spec("true")
    assert engine.create(wanted) == engine.create(wanted)


def test_a_container_that_ran_is_never_started_again(
    engine: DockerEngine, spec: Spec, tmp_path: Path
) -> None:
    wanted = spec("echo once >> /nunet/out/times")
    facts, _ = run(engine, wanted, tmp_path / "log")
    assert engine.start(facts.container_id) is None
    assert engine.facts(wanted.name) == facts
    assert (tmp_path / "job" / "out" / "times").read_text() == "once\n"


def test_a_container_that_ignores_sigterm_is_killed(engine: DockerEngine, spec: Spec) -> None:
    wanted = spec("trap '' TERM; while :; do sleep 1; done")
    container_id = engine.create(wanted)
    assert isinstance(container_id, str)
    engine.start(container_id)
    engine.stop(wanted.name, 1)
    facts = engine.facts(wanted.name)
    assert facts is not None
    assert (facts.has_ended, facts.exit_code) == (True, 137)


def test_waiting_ends_with_its_time(engine: DockerEngine, spec: Spec) -> None:
    wanted = spec("sleep 30")
    container_id = engine.create(wanted)
    assert isinstance(container_id, str)
    engine.start(container_id)
    assert engine.wait(wanted.name, 1) is False
    assert (engine.usage(wanted.name) or pytest.fail("no usage")).ram_peak_mb >= 0


def test_what_is_ours_is_found_by_its_label(engine: DockerEngine, spec: Spec) -> None:
    wanted = spec("true")
    engine.create(wanted)
    owned = [each for each in engine.owned(NODE) if each.name == wanted.name]
    assert [each.job_id for each in owned] == ["j" * 32]
    engine.remove(wanted.name)
    engine.remove(wanted.name)  # gone is fine
    assert all(each.name != wanted.name for each in engine.owned(NODE))
    assert engine.facts(wanted.name) is None
    assert list(engine.records(wanted.name, 0)) == []


def test_an_image_is_found_by_its_id_and_a_missing_one_is_data(
    engine: DockerEngine, busybox: str
) -> None:
    assert engine.find_image(f"nunet-test-busybox@{busybox}") == busybox
    assert engine.find_image(f"127.0.0.1:1/none@sha256:{'0' * 64}") is None


def test_a_registry_that_is_down_is_silence(engine: DockerEngine) -> None:
    heard: list[PullProgress] = []
    with pytest.raises(UnreachableError, match="connection refused"):
        engine.pull_image(f"127.0.0.1:1/none@sha256:{'0' * 64}", heard.append)
    assert heard == []


def test_an_engine_that_is_away_is_unreachable_not_failed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    away = DockerEngine()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # docker-py drops its socket when refused
        _expect_unreachable(away)
        gc.collect()


def _expect_unreachable(away: DockerEngine) -> None:
    for call in (away.ping, lambda: away.facts("x"), lambda: away.owned("x")):
        with pytest.raises(EngineUnreachableError, match="cannot reach Docker"):
            call()
