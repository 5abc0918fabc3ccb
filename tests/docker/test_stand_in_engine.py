"""The simulation's engine answers as Docker does: each test here asks both the same.

Where they differ, the stand-in is wrong. What a restart of the daemon does to containers is held to
a daemon of its own in tests/faults.
"""

from __future__ import annotations

import io
import tarfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import docker
import pytest

from nunet_dms.errors import NunetError
from nunet_dms.node.engine.docker import DockerEngine
from nunet_dms.node.engine.profile import LABEL_JOB, LABEL_NODE, job_user
from nunet_dms.node.engine.types import ContainerSpec, Engine, Facts, Failure, LogRecord
from nunet_dms.node.folder import JobFolder
from nunet_dms.protocol.report import Reason
from tests.simulation.container import Program
from tests.simulation.faults import QUIET
from tests.simulation.world import World

T = TypeVar("T")
BUSYBOX = Path("/bin/busybox")
NODE = uuid.uuid4().hex
TAG = f"nunet-test-stand-in-{NODE[:8]}"
WAIT_S = 20
PROGRAMS = {
    "exit 7": (Program(0.1, exit_code=7), "exit 7"),
    "ends well": (Program(0.1), "true"),
    "writes": (
        Program(0.5, lines=((0.0, b"a\n"), (0.2, b"b\n"), (0.4, b"c\n"))),
        "echo a; sleep 0.2; echo b; sleep 0.2; echo c",
    ),
    "heeds": (Program(3600.0), "sleep 3600"),
    "is deaf": (Program(3600.0, heeds_term=False), "trap '' TERM; while :; do sleep 1; done"),
    "is hungry": (
        Program(0.1, exit_code=137, oom=True),
        "a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done",
    ),
    "is not there": (Program(0.0, exit_code=127), ""),
    "cannot start": (Program(0.1, starts=False), "true"),
}
"""By name: what the stand-in is told, and the same as a shell's script."""


class Side:
    """One engine, and what a test may do beside asking it."""

    engine: Engine
    image_id: str

    def ask(self, work: Callable[[], T]) -> T:
        """Ask something that may take its time."""
        raise NotImplementedError

    def kill_by_hand(self, name: str) -> None:
        """Do what `docker kill` does."""
        raise NotImplementedError

    def use(self, program: str) -> tuple[str, ...]:
        """Return the command of a program."""
        raise NotImplementedError


class Docker(Side):
    def __init__(self, client: docker.DockerClient, image_id: str) -> None:
        self.engine, self.image_id, self._client = DockerEngine(), image_id, client

    def ask(self, work: Callable[[], T]) -> T:
        return work()

    def kill_by_hand(self, name: str) -> None:
        self._client.api.kill(name)

    def use(self, program: str) -> tuple[str, ...]:
        script = PROGRAMS[program][1]
        return ("sh", "-c", script) if script else ("/no/such/program",)


class StandIn(Side):
    image_id = "sha256:" + "a" * 64

    def __init__(self, world: World) -> None:
        self.engine, self._world = world.engine, world

    def ask(self, work: Callable[[], T]) -> T:
        """Let virtual time pass until there is an answer."""
        answers: list[T] = []
        errors: list[Exception] = []

        def task() -> None:
            try:
                answers.append(work())
            except Exception as error:  # noqa: BLE001 - raised again by whoever asked
                errors.append(error)

        self._world.time.start(task, 0.0)
        while not answers and not errors:
            self._world.time.run_next()
        for error in errors:
            raise error
        return answers[0]

    def kill_by_hand(self, name: str) -> None:
        found = self._world.daemon.find(name)
        assert found is not None
        self._world.daemon.kill(found)

    def use(self, program: str) -> tuple[str, ...]:
        self._world.daemon.programs = {f"x@{self.image_id}": PROGRAMS[program][0]}
        return ("run",)


@pytest.fixture(scope="session")
def shell_image(docker_client: docker.DockerClient) -> Iterator[str]:
    """Import an image of a shell and little else, and return its id."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(BUSYBOX, "bin/busybox")
        for name in ("sh", "sleep"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for folder in ("tmp", "proc", "sys", "dev"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
    made = docker_client.api.import_image_from_data(archive.getvalue(), repository=TAG)
    image_id = made.split('"status":"')[1].split('"')[0]
    yield image_id
    docker_client.images.remove(image_id, force=True)


@pytest.fixture(params=["docker", "stand-in"])
def side(
    request: pytest.FixtureRequest, docker_client: docker.DockerClient, tmp_path: Path
) -> Iterator[Side]:
    """Give the one engine, then the other."""
    if request.param == "stand-in":
        yield StandIn(World(0, tmp_path, QUIET))
        return
    found = Docker(docker_client, request.getfixturevalue("shell_image"))
    yield found
    found.engine.close()  # type: ignore[attr-defined]


@pytest.fixture
def spec(side: Side, tmp_path: Path) -> Iterator[Callable[[str], ContainerSpec]]:
    """Return a maker of containers' specs by the name of a program; they are removed afterwards."""
    names = []
    folder = JobFolder(tmp_path / "job")
    folder.make(job_user())

    def make(program: str) -> ContainerSpec:
        names.append(f"{TAG}-{uuid.uuid4().hex[:12]}")
        return ContainerSpec(
            name=names[-1], labels=((LABEL_NODE, NODE), (LABEL_JOB, "j" * 32)),
            image_id=side.image_id, command=side.use(program), env=(), nano_cpus=500_000_000,
            ram_mb=16, disk_mb=2, user=job_user(), inputs=folder.inputs, outputs=folder.outputs,
            output_folder="/nunet/out",
        )  # fmt: skip

    yield make
    for name in names:
        side.ask(lambda name=name: side.engine.remove(name))


Spec = Callable[[str], ContainerSpec]


def created(side: Side, wanted: ContainerSpec) -> str:
    found = side.ask(lambda: side.engine.create(wanted))
    assert isinstance(found, str), found
    return found


def started(side: Side, wanted: ContainerSpec) -> str:
    container_id = created(side, wanted)
    assert side.ask(lambda: side.engine.start(container_id)) is None
    return container_id


def facts(side: Side, name: str) -> Facts:
    found = side.ask(lambda: side.engine.facts(name))
    assert found is not None
    return found


def ended(side: Side, wanted: ContainerSpec) -> Facts:
    started(side, wanted)
    assert side.ask(lambda: side.engine.wait(wanted.name, WAIT_S))
    return facts(side, wanted.name)


def actions(side: Side, name: str) -> list[tuple[str, int | None]]:
    """Return what the engine remembers of the container's life, since its start."""
    told = side.ask(lambda: side.engine.history(name))
    assert told.is_whole
    lives = {"start", "kill", "oom", "die", "stop"}
    return [(each.action, each.signal) for each in told.events if each.action in lives]


def test_what_is_created_has_not_ended_and_its_wait_says_so_at_once(side: Side, spec: Spec) -> None:
    wanted = spec("ends well")
    created(side, wanted)
    assert not side.ask(lambda: side.engine.wait(wanted.name, WAIT_S))
    found = facts(side, wanted.name)
    assert (found.status, found.exit_code, found.has_ended) == ("created", 0, False)
    assert (found.started_ms, found.finished_ms) == (None, None)


def test_a_second_create_answers_the_first_container(side: Side, spec: Spec) -> None:
    wanted = spec("ends well")
    assert created(side, wanted) == created(side, wanted)
    assert facts(side, wanted.name).container_id == created(side, wanted)


def test_names_and_ids_are_alike(side: Side, spec: Spec) -> None:
    wanted = spec("ends well")
    assert facts(side, created(side, wanted)) == facts(side, wanted.name)


def test_what_has_ended_does_not_start_again(side: Side, spec: Spec) -> None:
    wanted = spec("exit 7")
    before = ended(side, wanted)
    assert side.ask(lambda: side.engine.start(before.container_id)) is None
    assert facts(side, wanted.name) == before


def test_what_runs_does_not_start_again(side: Side, spec: Spec) -> None:
    wanted = spec("heeds")
    container_id = started(side, wanted)
    before = facts(side, wanted.name)
    assert side.ask(lambda: side.engine.start(container_id)) is None
    assert facts(side, wanted.name) == before


@pytest.mark.parametrize(("program", "code"), [("exit 7", 7), ("ends well", 0)])
def test_a_job_that_ends_by_itself(side: Side, spec: Spec, program: str, code: int) -> None:
    wanted = spec(program)
    found = ended(side, wanted)
    assert (found.status, found.exit_code, found.oom_killed) == ("exited", code, False)
    assert found.has_ended
    assert actions(side, wanted.name) == [("start", None), ("die", None)]


def test_a_job_that_takes_too_much_memory(side: Side, spec: Spec) -> None:
    wanted = spec("is hungry")
    found = ended(side, wanted)
    assert (found.exit_code, found.oom_killed, found.has_ended) == (137, True, True)
    told = [action for action, _ in actions(side, wanted.name)]
    assert told[0] == "start"
    assert set(told) == {"start", "oom", "die"}


def test_a_program_that_is_not_there_ends_like_any_other(side: Side, spec: Spec) -> None:
    """It is the init in the container that does not find it."""
    found = ended(side, spec("is not there"))
    assert (found.exit_code, found.has_ended) == (127, True)


def test_a_container_that_cannot_start_has_not_run(side: Side, spec: Spec) -> None:
    wanted = spec("cannot start")
    container_id = created(side, wanted)
    wanted.inputs.rmdir()  # of which only Docker takes note
    failure = side.ask(lambda: side.engine.start(container_id))
    assert isinstance(failure, Failure)
    assert failure.reason is Reason.START_ERROR
    found = facts(side, wanted.name)
    assert (found.status, found.started_ms, found.has_ended) == ("created", None, False)


def test_a_start_of_what_is_gone_is_an_error(side: Side, spec: Spec) -> None:
    container_id = created(side, spec("ends well"))
    side.ask(lambda: side.engine.remove(container_id))
    with pytest.raises(NunetError):
        side.ask(lambda: side.engine.start(container_id))


@pytest.mark.parametrize(
    ("program", "code", "signals"),
    [("heeds", 143, [15]), ("is deaf", 137, [15, 9])],
)
def test_a_stop_asks_then_kills(
    side: Side, spec: Spec, program: str, code: int, signals: list[int]
) -> None:
    wanted = spec(program)
    started(side, wanted)
    side.ask(lambda: side.engine.stop(wanted.name, 1))
    found = facts(side, wanted.name)
    assert (found.exit_code, found.oom_killed, found.has_ended) == (code, False, True)
    told = actions(side, wanted.name)
    assert [signal for action, signal in told if action == "kill"] == signals
    assert [action for action, _ in told] == ["start", *["kill"] * len(signals), "die", "stop"]


def test_a_kill_by_hand_tells(side: Side, spec: Spec) -> None:
    wanted = spec("heeds")
    started(side, wanted)
    side.kill_by_hand(wanted.name)
    assert side.ask(lambda: side.engine.wait(wanted.name, WAIT_S))
    found = facts(side, wanted.name)
    assert (found.exit_code, found.oom_killed, found.has_ended) == (137, False, True)
    assert actions(side, wanted.name) == [("start", None), ("kill", 9), ("die", None)]


def test_a_stop_of_what_does_not_run_changes_nothing(side: Side, spec: Spec) -> None:
    wanted = spec("exit 7")
    before = ended(side, wanted)
    side.ask(lambda: side.engine.stop(wanted.name, 1))
    assert facts(side, wanted.name) == before
    side.ask(lambda: side.engine.stop(f"{TAG}-nobody", 1))


def test_a_wait_that_takes_too_long_says_so(side: Side, spec: Spec) -> None:
    wanted = spec("heeds")
    started(side, wanted)
    assert not side.ask(lambda: side.engine.wait(wanted.name, 1))


def test_a_wait_for_nothing_is_over(side: Side) -> None:
    assert side.ask(lambda: side.engine.wait(f"{TAG}-nobody", 1))


def test_a_running_container_is_removed_and_removing_it_again_is_fine(
    side: Side, spec: Spec
) -> None:
    wanted = spec("heeds")
    started(side, wanted)
    for _ in range(2):
        side.ask(lambda: side.engine.remove(wanted.name))
        assert side.ask(lambda: side.engine.facts(wanted.name)) is None


def test_only_what_runs_uses_anything(side: Side, spec: Spec) -> None:
    wanted = spec("heeds")
    assert side.ask(lambda: side.engine.usage(wanted.name)) is None
    started(side, wanted)
    assert side.ask(lambda: side.engine.usage(wanted.name)) is not None
    side.ask(lambda: side.engine.stop(wanted.name, 1))
    assert side.ask(lambda: side.engine.usage(wanted.name)) is None


def test_what_is_ours_is_found_by_its_label_running_or_not(side: Side, spec: Spec) -> None:
    here, gone = spec("ends well"), spec("ends well")
    ended(side, here)
    created(side, gone)
    side.ask(lambda: side.engine.remove(gone.name))
    owned = {each.name: each.job_id for each in side.ask(lambda: side.engine.owned(NODE))}
    assert owned.get(here.name) == "j" * 32
    assert gone.name not in owned
    assert side.ask(lambda: side.engine.owned("0" * 32)) == ()


def test_what_is_gone_has_no_history_and_no_log(side: Side, spec: Spec) -> None:
    wanted = spec("ends well")
    assert side.ask(lambda: side.engine.facts(wanted.name)) is None
    assert side.ask(lambda: list(side.engine.records(wanted.name, 0))) == []
    assert side.ask(lambda: side.engine.history(wanted.name)).events == ()


def test_the_records_are_all_that_was_written_with_no_gap(side: Side, spec: Spec) -> None:
    wanted = spec("writes")
    started(side, wanted)
    found = side.ask(lambda: list(side.engine.records(wanted.name, 0)))
    assert b"".join(each.data for each in found) == b"a\nb\nc\n"
    assert [each.at_ns for each in found] == sorted(each.at_ns for each in found)
    assert not any(each.after_gap for each in found)


def test_records_since_a_time_begin_there(side: Side, spec: Spec) -> None:
    wanted = spec("writes")
    ended(side, wanted)
    first, *rest = side.ask(lambda: list(side.engine.records(wanted.name, 0)))
    since_ns = rest[0].at_ns
    assert first.at_ns < since_ns
    again = side.ask(lambda: list(side.engine.records(wanted.name, since_ns)))
    assert [plain(each) for each in again] == [plain(each) for each in rest]


def plain(record: LogRecord) -> LogRecord:
    """Return what every engine says of a record."""
    return LogRecord(record.at_ns, record.data, record.after_gap)


def test_an_image_that_is_here_is_found(side: Side, spec: Spec) -> None:
    spec("ends well")
    assert side.ask(lambda: side.engine.find_image(f"x@{side.image_id}")) == side.image_id


def test_a_container_ends_at_most_once(side: Side, spec: Spec) -> None:
    """Facts of one that has ended never change, whatever is asked of it."""
    wanted = spec("exit 7")
    before = ended(side, wanted)
    side.ask(lambda: side.engine.stop(wanted.name, 1))
    side.ask(lambda: side.engine.create(replace(wanted, env=(("A", "b"),))))
    side.ask(lambda: side.engine.start(wanted.name))
    assert facts(side, wanted.name) == before
