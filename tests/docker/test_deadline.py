"""The deadline inside a container: it ends the job, and changes nothing else."""

from __future__ import annotations

import io
import tarfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from nunet_dms.node.engine.deadline import deadline_program
from nunet_dms.node.engine.docker import DockerEngine
from nunet_dms.node.engine.profile import LABEL_NODE, PIDS_MAX, job_user
from nunet_dms.node.engine.types import ContainerSpec, Facts
from nunet_dms.node.folder import JobFolder

NODE = uuid.uuid4().hex
LONG_S = 600
WORDS = ("sh", "cat", "sleep", "id", "ps", "echo", "env")
Run = Callable[..., tuple[Facts, str]]


def image_of(client: docker.DockerClient, *changes: str) -> str:
    """Import an image of busybox alone, with what a Dockerfile would say of it."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        for name in WORDS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    name = f"nunet-test-deadline-{uuid.uuid4().hex[:8]}"
    made = client.api.import_image_from_data(
        archive.getvalue(), repository=name, changes=list(changes)
    )
    return str(made.split('"status":"')[1].split('"')[0])


@pytest.fixture(scope="module")
def images(docker_client: docker.DockerClient) -> Iterator[dict[str, str]]:
    """Return images by the command that they have of themselves."""
    made = {
        "none": image_of(docker_client),
        "both": image_of(
            docker_client, 'ENTRYPOINT ["sh", "-c", "echo entry $0 $*"]', 'CMD ["a", "b"]'
        ),
    }
    yield made
    for image_id in made.values():
        docker_client.images.remove(image_id, force=True)


@pytest.fixture
def engine() -> Iterator[DockerEngine]:
    made = DockerEngine()
    yield made
    made.close()


@pytest.fixture
def make(
    images: dict[str, str], tmp_path: Path, engine: DockerEngine
) -> Iterator[Callable[..., str]]:
    """Return a function that starts a container and returns its name."""
    folder = JobFolder(tmp_path / "job")
    folder.make(job_user())
    names: list[str] = []

    def made(
        *command: str, image: str = "none", after_s: int | None = LONG_S, grace_s: int = 1
    ) -> str:
        program = None if after_s is None else deadline_program(after_s, grace_s)
        if program is not None:
            folder.deadline.write_bytes(program)
            folder.deadline.chmod(0o755)
        names.append(f"nunet-test-{uuid.uuid4().hex[:12]}")
        spec = ContainerSpec(
            name=names[-1], labels=((LABEL_NODE, NODE),), image_id=images[image], command=command,
            env=(("A", "b"),), nano_cpus=500_000_000, ram_mb=32, disk_mb=2, user=job_user(),
            inputs=folder.inputs, outputs=folder.outputs, output_folder="/nunet/out",
            deadline=folder.deadline if program else None,
        )  # fmt: skip
        created = engine.create(spec)
        assert isinstance(created, str), created
        assert engine.start(created) is None
        return names[-1]

    yield made
    for name in names:
        engine.remove(name)


@pytest.fixture
def run(make: Callable[..., str], engine: DockerEngine, docker_client: docker.DockerClient) -> Run:
    """Return a function that runs a command to its end: its facts, and what it printed."""

    def ran(*command: str, **changes: object) -> tuple[Facts, str]:
        name = make(*command, **changes)
        assert engine.wait(name, 50)
        facts = engine.facts(name)
        assert facts is not None
        return facts, docker_client.api.logs(name).decode()

    return ran


def both_ways(run: Run, *command: str, **changes: object) -> list[tuple[int, str]]:
    """Return exit code and output without the deadline and with it."""
    ends = [run(*command, after_s=after_s, **changes) for after_s in (None, LONG_S)]
    return [(facts.exit_code, said) for facts, said in ends]


@pytest.mark.parametrize(
    "script",
    [
        "exit 0",
        "kill -9 $$",
        "kill -TERM $$; sleep 9",
        "id; env | grep -v -e HOSTNAME -e SHLVL; pwd; cat /proc/self/limits;"
        " grep -E '^(Cap|NoNew|Seccomp:|SigBlk|SigIgn|SigCgt)' /proc/self/status; exit 7",
    ],
)
def test_a_command_is_run_as_without_it(run: Run, script: str) -> None:
    without, with_it = both_ways(run, "sh", "-c", script)
    assert with_it == without


def test_a_command_that_is_not_there_fails_as_without_it(run: Run) -> None:
    (code, said), (code_with, said_with) = both_ways(run, "no-such-program")
    assert (code, code_with) == (127, 127)
    assert "no-such-program" in said
    assert "no-such-program" in said_with


def test_the_job_cannot_write_the_program(run: Run) -> None:
    _, said = run("sh", "-c", "echo x > /dev/nunet-deadline || echo refused")
    assert "refused" in said


def test_what_the_image_runs_of_itself_stays(run: Run) -> None:
    assert both_ways(run, image="both") == [(0, "entry a b\n")] * 2
    assert both_ways(run, "c", image="both") == [(0, "entry c\n")] * 2


def test_a_stop_reaches_the_job(
    make: Callable[..., str], engine: DockerEngine, docker_client: docker.DockerClient
) -> None:
    name = make("sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 1 & wait $!; done")
    while not docker_client.api.logs(name):
        assert engine.wait(name, 1) is False
    engine.stop(name, 20)
    facts = engine.facts(name)
    assert facts is not None
    assert facts.exit_code == 5


def test_the_job_may_have_as_many_processes_as_without_it(run: Run) -> None:
    """The timer and the second init count too; nothing is left of those that have ended."""
    facts, said = run("sh", "-c", "cat /sys/fs/cgroup/pids/pids.max; ps -o comm,stat")
    assert facts.exit_code == 0
    assert said.split()[0] in {str(PIDS_MAX + 2), "cat:"}
    assert "Z" not in {line.split()[-1] for line in said.splitlines()}


def test_orphans_are_reaped(run: Run) -> None:
    script = (
        "i=0; while [ $i -lt 20 ]; do (sleep 0.01 &); i=$((i+1)); done;"
        " while ps -o comm | grep -q '^sleep'; do :; done; ps -o stat | grep -c Z"
    )
    _, said = run("sh", "-c", script)
    assert said.strip() == "0"


def test_at_the_deadline_the_job_is_asked_to_end(run: Run) -> None:
    facts, said = run(
        "sh", "-c", "trap 'echo told; exit 3' TERM; while :; do sleep 0.1; done", after_s=1
    )
    assert facts.exit_code == 3
    assert "told" in said


def test_a_job_that_does_not_end_at_its_deadline_is_killed(run: Run) -> None:
    facts, _ = run("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done", after_s=1)
    assert facts.exit_code == 137
    assert facts.started_ms is not None
    assert facts.finished_ms is not None
    assert 2000 <= facts.finished_ms - facts.started_ms < 20_000


def test_a_job_that_ends_all_it_sees_does_not_end_its_timer(run: Run) -> None:
    script = "trap '' TERM; kill -TERM -1; while :; do sleep 0.1; done"
    facts, _ = run("sh", "-c", script, after_s=1)
    assert facts.exit_code in {137, 143}


def test_the_timer_sleeps(make: Callable[..., str], engine: DockerEngine) -> None:
    name = make("sleep", "60")
    usage = engine.usage(name)
    assert usage is not None
    assert usage.cpu_ms < 1000
