"""The test container on a real engine: it proves what is there and notices what is not."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.types import Mount, Ulimit

from nunet_dms.machine.engine import read_engine
from nunet_dms.node import proof
from nunet_dms.node.clock import Clock
from nunet_dms.node.engine import docker as engine_module
from nunet_dms.node.engine.docker import DockerEngine
from nunet_dms.node.engine.profile import LABEL_JOB, LABEL_NODE, create_arguments, job_user
from nunet_dms.node.proof import LEFTOVER_AFTER_S, Proof, prove_engine

Arguments = dict[str, Any]
Weaken = Callable[[Arguments], Arguments]
LATER = Clock(wall_s=lambda: Clock().wall_s() + LEFTOVER_AFTER_S + 60)


@pytest.fixture
def node_id() -> str:
    """A node of this test alone: other tests may use the same engine."""
    return uuid.uuid4().hex


@pytest.fixture
def prove(
    tmp_path: Path, node_id: str, docker_client: docker.DockerClient
) -> Iterator[Callable[..., Proof]]:
    """Return what runs a proof; whatever it showed, nothing of it may be left afterwards."""
    place = tmp_path / "jobs"
    yield lambda **options: prove_engine(place, node_id=node_id, **options)
    filters = {"label": f"{LABEL_NODE}={node_id}"}
    assert docker_client.api.containers(all=True, filters=filters) == []
    assert not place.exists() or list(place.iterdir()) == []


def failing(shown: Proof) -> dict[str, str]:
    return {check.id: check.seen for check in shown.checks if not check.holds}


def test_this_engine_is_proved(prove: Callable[..., Proof]) -> None:
    shown = prove()
    assert failing(shown) == {}
    assert shown.holds
    assert len(shown.checks) == 18
    assert 0.5 < shown.seconds < 60


def without(*names: str) -> Weaken:
    return lambda arguments: {k: v for k, v in arguments.items() if k not in names}


def with_(**changes: Any) -> Weaken:
    return lambda arguments: arguments | changes


def with_limit(name: str, limit: int) -> Weaken:
    """Raise one hard limit."""

    def weaken(arguments: Arguments) -> Arguments:
        kept = [each for each in arguments["ulimits"] if each.name != name]
        soft = next(each.soft for each in arguments["ulimits"] if each.name == name)
        return arguments | {"ulimits": [*kept, Ulimit(name=name, soft=soft, hard=limit)]}

    return weaken


def with_other_outputs(arguments: Arguments) -> Arguments:
    """Mount another folder than the job's."""
    inputs, outputs = arguments["mounts"]
    other = Path(outputs["Source"]).parent / "other"
    other.mkdir()
    other.chmod(0o777)
    return arguments | {"mounts": [inputs, Mount(outputs["Target"], str(other), type="bind")]}


def with_writable_inputs(arguments: Arguments) -> Arguments:
    inputs, outputs = arguments["mounts"]
    return arguments | {"mounts": [Mount(inputs["Target"], inputs["Source"], type="bind"), outputs]}


NO_NEW_PRIVILEGES = "no-new-privileges:true"
WEAKENED: dict[str, tuple[Weaken, set[str]]] = {
    "no memory limit": (without("mem_limit", "memswap_limit"), {"memory", "swap"}),
    "swap as large as the memory": (with_(memswap_limit=128 << 20), {"swap"}),
    "no cpu quota": (without("nano_cpus"), {"cpu"}),
    "twice the cpu": (with_(nano_cpus=1_000_000_000), {"cpu"}),
    "no pids limit": (without("pids_limit"), {"processes"}),
    "a pids limit one too high": (with_(pids_limit=257), {"processes"}),
    "root, who cannot write the outputs": (with_(user="0:0"), {"user", "outputs"}),
    "the group root": (with_(user=f"{job_user().partition(':')[0]}:0"), {"user"}),
    "one more group": (with_(group_add=[0]), {"user"}),
    "a writable root": (with_(read_only=False), {"read-only-root"}),
    "a bridge network": (with_(network_mode="bridge"), {"network"}),
    "a capability": (with_(cap_add=["NET_ADMIN"]), {"capabilities"}),
    "new privileges": (with_(security_opt=[]), {"no-new-privileges"}),
    "no system call filter": (
        with_(security_opt=[NO_NEW_PRIVILEGES, "seccomp=unconfined"]), {"seccomp"},
    ),
    "a device": (with_(devices=["/dev/full:/dev/nunet-extra"]), {"devices"}),
    "a larger /tmp": (with_(tmpfs={"/tmp": "size=17m,nr_inodes=4096,mode=1777"}), {"tmp"}),  # noqa: S108
    "no bound on files in /tmp": (with_(tmpfs={"/tmp": "size=16m,mode=1777"}), {"tmp"}),  # noqa: S108
    "larger files": (with_limit("fsize", 1 << 30), {"file-size"}),
    "more open files": (with_limit("nofile", 8192), {"open-files"}),
    "core dumps": (with_limit("core", 1 << 20), {"core-dumps"}),
    "inputs that can be written": (with_writable_inputs, {"read-only-inputs"}),
    "outputs that lead elsewhere": (with_other_outputs, {"outputs"}),
}  # fmt: skip


@pytest.mark.parametrize("taken_away", WEAKENED)
def test_a_protection_that_is_taken_away_is_noticed(
    taken_away: str, prove: Callable[..., Proof], monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken, noticed = WEAKENED[taken_away]
    monkeypatch.setattr(
        engine_module,
        "create_arguments",
        lambda spec, image: weaken(create_arguments(spec, image)),
    )
    assert set(failing(prove())) == noticed


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("raise SystemExit(3)", "exit code 3"),
        ("import nowhere", "No module named 'nowhere'"),
        ("print('{')", "not strict JSON"),
        ("pass", "nothing"),
        ("x = bytearray(1 << 28)", "out of memory"),
        ("import os, sys; os.write(1, b'x' * 5_000_000)", "it said: xxx"),
    ],
)
def test_a_probe_that_fails_is_a_proof_that_does_not_hold(
    program: str, says: str, prove: Callable[..., Proof], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "probe_text", lambda: program)
    shown = prove()
    assert not shown.holds
    assert list(failing(shown)) == ["probe"]
    assert says in failing(shown)["probe"]


def test_a_probe_that_hangs_is_killed_in_time(
    prove: Callable[..., Proof], monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = "import signal; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]; signal.pause()"
    monkeypatch.setattr(proof, "probe_text", lambda: hangs)
    assert failing(prove(timeout_s=1)) == {"probe": "it did not end within 1 s"}


def test_a_container_that_the_engine_refuses_is_a_proof_that_does_not_hold(
    prove: Callable[..., Proof], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "NANO_CPUS", 10**15)
    assert "cannot create the container" in failing(prove())["probe"]


def test_nothing_is_left_when_we_fail_in_the_middle(
    prove: Callable[..., Proof], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(proof, "_bounded", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prove()


def test_what_a_killed_proof_left_is_removed_by_a_later_one(
    prove: Callable[..., Proof], tmp_path: Path, node_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proof that runs beside it would be as young: it is left alone."""
    monkeypatch.setattr(DockerEngine, "remove", lambda *_: None)
    monkeypatch.setattr(proof.shutil, "rmtree", lambda *_, **__: None)
    assert prove().holds
    monkeypatch.undo()
    engine = DockerEngine()
    (left,) = engine.owned(node_id)
    assert (tmp_path / "jobs" / left.job_id).is_dir()
    assert prove().holds
    assert engine.owned(node_id) == (left,)
    assert prove(clock=LATER).holds
    assert engine.owned(node_id) == ()
    engine.close()


def test_what_is_no_proof_is_never_cleared_away(
    prove: Callable[..., Proof], node_id: str, docker_client: docker.DockerClient
) -> None:
    image = proof._python_image().partition("@")[2]
    labels = {LABEL_NODE: node_id, LABEL_JOB: "a" * 32}
    job = docker_client.containers.create(image, labels=labels)
    assert prove(clock=LATER).holds
    job.remove()


def test_this_engine_tells_its_facts(docker_client: docker.DockerClient) -> None:
    info = docker_client.info()
    facts = read_engine()
    assert facts.answers
    assert facts.problem == ""
    assert facts.version == info["ServerVersion"]
    assert facts.cgroup_version in {1, 2}
    assert facts.storage_driver == info["Driver"]
    assert facts.root_dir.startswith("/")
    assert facts.default_runtime in facts.runtimes
