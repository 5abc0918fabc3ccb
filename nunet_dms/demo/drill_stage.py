"""What a drill plays on: an Oracle, a node and a requester of its own; made, and cleared away.

Of this machine it uses Docker; an image or container that it made there it removes.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import docker
from docker.errors import APIError, NotFound

from nunet_dms import paths
from nunet_dms.demo.canary import ENDS, STARTS, Canary, Found
from nunet_dms.demo.stage import (
    CORE_MHZ_IF_UNKNOWN,
    LOOK_EVERY_S,
    Home,
    cheap_wallet,
    free_port,
    onboard,
    start_oracle,
    stop_oracle,
    tokens_of,
    url_of,
    wait_until,
)
from nunet_dms.errors import EngineUnreachableError, NunetError, UsageError
from nunet_dms.machine.cpu import read_cpu
from nunet_dms.machine.docker_errors import DOCKER_ERRORS, docker_address, docker_problem
from nunet_dms.node.engine.profile import LABEL_JOB
from nunet_dms.node.engine.python_image import REPOSITORY, build_python_image
from nunet_dms.node.journal_reader import JournalReader
from nunet_dms.node.lock import holder
from nunet_dms.node.rows import JobRow
from nunet_dms.node.states import State

ENGINE_TIMEOUT_S = 60
STEP_WAIT_S = 120.0
"""For one step of a trial; the longest waits out a back-off, of 75 s at most."""
OFFERED_PERCENT = 20
"""Of this machine, by the drill's own node: the canary needs next to nothing."""
ORACLE_PARTS = ("fastapi", "sqlalchemy", "uvicorn")
LOGS = ("oracle/oracle.log", "provider/state/worker.log")
QUIET_LOOKS = 2
"""In which no container of ours is seen, before there is none: one may just be being made."""

StartWorker = Callable[[Home], object]


def start_as_usual(provider: Home) -> None:
    """Start a worker as its owner does; raises NunetError if that does not work."""
    provider.nunet("worker", "start")


@dataclass(frozen=True, slots=True)
class Container:
    """One of the drill's own."""

    container_id: str
    state: str


@dataclass(slots=True)
class Stage:
    """The parts that a drill plays with."""

    folder: Path
    provider: Home
    requester: Home
    image: str
    cpu_mhz: int
    client: docker.DockerClient
    listen: str
    oracle: subprocess.Popen[bytes]
    start_worker: StartWorker
    node: paths.Paths = field(init=False)

    def __post_init__(self) -> None:
        """Find the node's own folders."""
        self.node = paths.resolve(environ=self.provider.environment)

    def submit(self, name: str, canary: Canary) -> str:
        """Pay for a canary, and return its id once it runs and its first line has come."""
        file = self.folder / f"{name}.toml"
        file.write_text(canary.job_file(self.image, self.cpu_mhz))
        job_id = str(self.requester.nunet("request", "submit", str(file), "--yes")["job_id"])
        log = self.node.jobs_dir / job_id / "log"
        self.wait("the canary's first line", lambda: log.exists() and log.stat().st_size)
        return job_id

    def wait(self, what: str, look: Callable[[], object]) -> None:
        """Return once something is so; raises NunetError when it does not come."""
        wait_until(what, look, STEP_WAIT_S)

    def job(self, job_id: str) -> JobRow:
        """Return a job as the node's journal has it."""
        with JournalReader(self.node.journal) as journal:
            return journal.job(job_id)

    def kill_worker(self) -> None:
        """SIGKILL the worker, and return when its lock is free."""
        pid = holder(self.node.lock_file)
        if not pid:
            raise NunetError("cannot kill the worker: it is not running")
        os.kill(pid, signal.SIGKILL)
        self.wait("the worker's end", lambda: holder(self.node.lock_file) is None)

    def revive_worker(self) -> None:
        """Start the worker again, and return once it is ready."""
        self.start_worker(self.provider)
        self.wait("a worker that is ready", self._is_ready)

    def _is_ready(self) -> bool:
        with JournalReader(self.node.journal) as journal:
            row = journal.worker()
        return row is not None and row.ready and row.pid == holder(self.node.lock_file)

    def containers(self, job_id: str) -> tuple[Container, ...]:
        """Return the containers of a job, in whatever state."""
        found = self.client.api.containers(all=True, filters={"label": f"{LABEL_JOB}={job_id}"})
        return tuple(Container(each["Id"], each["State"]) for each in found)

    def has_container_ended(self, job_id: str) -> bool:
        """Whether a job's container has run to its end."""
        return all(each.state == "exited" for each in self.containers(job_id))

    def found(self, job_id: str, before: int) -> Found:
        """Return what both sides have of a settled job; `before` is what the provider had."""
        job = self.requester.nunet("request", "show", job_id)
        results = self.folder / f"results-{job_id[:8]}"
        self.requester.nunet("request", "results", job_id, "--to", str(results))
        with JournalReader(self.node.journal) as journal:
            story = journal.events(job_id)
        return Found(
            reason=str(job["reason"]),
            log=self.requester.output("request", "logs", job_id),
            log_complete=job["log_complete"] is True,
            starts=_text(results / STARTS),
            ends=_text(results / ENDS),
            settlements=sum(event.what == State.SETTLED.value for event in story),
            due=int(str(job["provider_amount"])),
            paid=tokens_of(self.provider, "provider") - before,
            receipt_holds=self.provider.nunet("receipt", "verify", job_id)["holds"] is True,
            containers=len(self.containers(job_id)),
        )


@dataclass(slots=True)
class Place:
    """A temporary folder of a drill."""

    folder: Path
    logs_stay: bool = False


@contextmanager
def staged(tell: Callable[[str], None], start_worker: StartWorker) -> Iterator[tuple[Stage, Place]]:
    """Set everything up, and clear it away whatever ends the command: each raises in here.

    The logs stay in the folder if the place says so.
    """
    _check_oracle_is_installed()
    place, made = Place(Path(tempfile.mkdtemp(prefix="nunet-drill-"))), ExitStack()
    try:
        yield _set_up(place.folder, made, tell, start_worker), place
    finally:
        tell("clearing away")
        with _no_signals():
            try:
                made.close()
            finally:
                _clear(place)


def _set_up(
    place: Path,
    made: ExitStack,
    tell: Callable[[str], None],
    start_worker: StartWorker,
) -> Stage:
    """Make everything that a drill needs; `made` undoes it."""
    tell("setting up an Oracle of its own, a node and a paying requester")
    client = made.enter_context(closing(_engine()))
    image = _image(client, made)
    listen = f"127.0.0.1:{free_port()}"
    url = f"http://{listen}"
    oracle = start_oracle(place / "oracle", listen)
    cpu = read_cpu()
    cpu_mhz = cpu.cores * (cpu.core_mhz or CORE_MHZ_IF_UNKNOWN) * OFFERED_PERCENT // 100
    stage = Stage(
        place, Home(place / "provider", url), Home(place / "requester", url), image,
        min(cpu_mhz, cpu.core_mhz or CORE_MHZ_IF_UNKNOWN), client, listen, oracle, start_worker,
    )  # fmt: skip
    made.callback(lambda: stop_oracle(stage.oracle))
    url_of(place / "oracle", oracle)
    made.callback(_remove_containers, client, place)
    made.callback(_end_worker, stage)
    onboard(stage.provider, OFFERED_PERCENT)
    cheap_wallet(stage.requester)
    stage.requester.nunet("wallet", "faucet")
    wait_until("the faucet", lambda: tokens_of(stage.requester, "default"))
    return stage


def _engine() -> docker.DockerClient:
    try:
        client = docker.from_env(timeout=ENGINE_TIMEOUT_S)
    except DOCKER_ERRORS as error:
        problem, cure = docker_problem(error, docker_address(), ENGINE_TIMEOUT_S)
        raise EngineUnreachableError(f"cannot drill: {problem}", hint=cure) from error
    return client


def _image(client: docker.DockerClient, made: ExitStack) -> str:
    """Return an image of this machine's Python, to be removed afterwards if it was not here."""
    before = {image.id for image in client.images.list(name=REPOSITORY)}
    reference = build_python_image(client)
    image_id = reference.rpartition("@")[2]
    if image_id not in before:
        made.callback(_remove_image, client, image_id)
    return reference


def _remove_image(client: docker.DockerClient, image_id: str) -> None:
    try:
        client.images.remove(image_id)
    except NotFound:
        return
    except APIError as error:
        if error.status_code != 409:  # a container of others uses it: then it is no longer ours
            raise


def _end_worker(stage: Stage) -> None:
    """End the drill's worker, whatever state it is in."""
    if pid := holder(stage.node.lock_file):
        os.kill(pid, signal.SIGKILL)
        stage.wait("the worker's end", lambda: holder(stage.node.lock_file) is None)


def _remove_containers(client: docker.DockerClient, folder: Path) -> None:
    """Remove what has a folder of ours mounted: jobs of our node, the test container of onboarding.

    After the processes that make them, and until none appears any more.
    """
    below, pause, quiet = f"{folder}/", threading.Event(), 0
    while quiet < QUIET_LOOKS:
        found = [
            each["Id"]
            for each in client.api.containers(all=True)
            if any(mount.get("Source", "").startswith(below) for mount in each["Mounts"])
        ]
        for container_id in found:
            _remove_container(client, container_id)
        quiet = 0 if found else quiet + 1
        pause.wait(LOOK_EVERY_S)


def _remove_container(client: docker.DockerClient, container_id: str) -> None:
    try:
        client.api.remove_container(container_id, v=True, force=True)
    except NotFound:
        return
    except APIError as error:
        if error.status_code != 409:  # its removal is already under way
            raise


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _check_oracle_is_installed() -> None:
    missing = [name for name in ORACLE_PARTS if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"cannot drill: it needs an Oracle of its own, and {', '.join(missing)} is missing",
            hint="type: pip install 'nunet-dms[oracle]'",
        )


def _clear(place: Place) -> None:
    folder, logs_stay = place.folder, place.logs_stay
    for name in LOGS if logs_stay else ():
        if (folder / name).exists():
            shutil.copy(folder / name, folder / Path(name).name)
    for each in folder.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
        elif not logs_stay or each.suffix != ".log":
            each.unlink()
    if not logs_stay:
        folder.rmdir()


@contextmanager
def _no_signals() -> Iterator[None]:
    """Clear away whatever is pressed meanwhile; it takes seconds."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
