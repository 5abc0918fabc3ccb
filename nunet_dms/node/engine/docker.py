"""The Docker engine, by the Docker SDK (Docker Engine API 1.41 and later)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import docker
import docker.errors
import requests.exceptions

from nunet_dms.errors import EngineUnreachableError, NunetError
from nunet_dms.machine.docker_errors import DOCKER_ERRORS, docker_address, docker_problem
from nunet_dms.node.engine import docker_stock
from nunet_dms.node.engine.docker_logs import ContainerLog, read_records
from nunet_dms.node.engine.history import read_history
from nunet_dms.node.engine.profile import LABEL_JOB, LABEL_NODE, ImageDefaults, create_arguments
from nunet_dms.node.engine.pulling import PULL_SILENCE_S, pull
from nunet_dms.node.engine.types import (
    ContainerSpec,
    Facts,
    Failure,
    History,
    Labelled,
    LogRecord,
    Owned,
    PullProgress,
    StoredImage,
    Usage,
)
from nunet_dms.protocol.job import MB
from nunet_dms.protocol.report import Reason

CALL_TIMEOUT_S = 60
"""Of one API call; creating a container on a busy disk takes seconds."""
DETAIL_MAX = 300
DOCKER_INIT = "docker-init"
"""The init that Docker comes with (tini): the deadline inside counts on its options."""

log = logging.getLogger(__name__)

_NONSENSE = (ValueError, KeyError, IndexError, TypeError, AttributeError)
"""What reading an answer raises that is not what the API promises, such as half a body."""

Call = TypeVar("Call", bound=Callable[..., Any])


def _engine_call(method: Call) -> Call:
    """Turn every way in which the daemon can be away, or mad, into EngineUnreachableError."""

    @wraps(method)
    def guarded(*args: object, **kwargs: object) -> object:
        try:
            return method(*args, **kwargs)
        except docker.errors.APIError as error:
            if error.status_code is not None and error.status_code < 500:
                raise NunetError(f"cannot use Docker: {_say(error)}") from error
            raise EngineUnreachableError(f"cannot use Docker: {_say(error)}") from error
        except DOCKER_ERRORS as error:
            problem, cure = docker_problem(error, docker_address(), CALL_TIMEOUT_S)
            raise EngineUnreachableError(problem, hint=cure) from error
        except _NONSENSE as error:
            raise EngineUnreachableError(
                f"cannot use Docker: its answer makes no sense: {error!r:.{DETAIL_MAX}}",
                hint="see what it says: docker info",
            ) from error

    return cast("Call", guarded)


class DockerEngine:
    """Docker as an Engine; connects at the first call, so that it may start after the worker."""

    def __init__(self) -> None:
        """Take the daemon's address from DOCKER_HOST, like every Docker program."""
        self._cached: docker.DockerClient | None = None
        self._init_binary: str | None = None

    @property
    def _docker(self) -> docker.DockerClient:
        if self._cached is None:
            self._cached = docker.from_env(timeout=CALL_TIMEOUT_S)
        return self._cached

    def close(self) -> None:
        """Close the connections to the daemon; the next call opens new ones."""
        if self._cached is not None:
            self._cached.close()
            self._cached = None

    @_engine_call
    def ping(self) -> None:
        """Return if the daemon answers."""
        self._docker.ping()

    @_engine_call
    def keeps_running(self) -> bool:
        """Ask the daemon for its live-restore."""
        return bool(self._docker.api.info().get("LiveRestoreEnabled", False))

    @_engine_call
    def find_image(self, reference: str) -> str | None:
        """Look for the repo digest, and for the digest as an image id."""
        for name in (reference, reference.rpartition("@")[2]):
            try:
                return str(self._docker.images.get(name).id)
            except docker.errors.NotFound:
                continue
        return None

    @_engine_call
    def pull_image(self, reference: str, heard: Callable[[PullProgress], None]) -> str | Failure:
        """Pull over a connection of its own, which may be silent for longer."""
        with closing(docker.from_env(timeout=PULL_SILENCE_S)) as patient:
            if (failure := pull(patient, reference, heard)) is not None:
                return failure
        image_id = self.find_image(reference)
        if image_id is None:
            raise EngineUnreachableError(f"cannot pull {reference}: the engine broke off")
        return image_id

    @_engine_call
    def create(self, spec: ContainerSpec) -> str | Failure:
        """Create with the job profile; an existing container of that name and job is adopted."""
        try:
            image = self._defaults(spec.image_id)
            if image is None:
                return Failure(Reason.IMAGE_UNAVAILABLE, "its image is not here any more")
            arguments = create_arguments(self._with_our_init(spec), image)
            return str(self._docker.containers.create(**arguments).id)
        except docker.errors.ImageNotFound:  # removed just now: as above
            return Failure(Reason.IMAGE_UNAVAILABLE, "its image is not here any more")
        except docker.errors.APIError as error:
            if error.status_code == 409 and (facts := self.facts(spec.name)) is not None:
                return facts.container_id
            if error.status_code is not None and error.status_code < 500:
                return Failure(Reason.START_ERROR, f"cannot create the container: {_say(error)}")
            raise

    def _defaults(self, image_id: str) -> ImageDefaults | None:
        try:
            config = self._docker.images.get(image_id).attrs["Config"]
        except docker.errors.NotFound:
            return None
        return ImageDefaults(
            entrypoint=tuple(config.get("Entrypoint") or ()),
            command=tuple(config.get("Cmd") or ()),
            volumes=tuple(config.get("Volumes") or ()),
        )

    def _with_our_init(self, spec: ContainerSpec) -> ContainerSpec:
        """Leave the deadline out where the engine has another init than Docker's own."""
        if spec.deadline is None:
            return spec
        if self._init_binary is None:
            self._init_binary = str(self._docker.api.info().get("InitBinary", ""))
        if self._init_binary == DOCKER_INIT:
            return spec
        log.warning("no_deadline_inside container=%s init=%s", spec.name, self._init_binary)
        return replace(spec, deadline=None)

    @_engine_call
    def start(self, container_id: str) -> Failure | None:
        """Start a `created` container; starting an exited one would run the job twice."""
        container = self._docker.containers.get(container_id)
        if container.attrs["State"]["Status"] != "created":
            return None
        try:
            container.start()
        except docker.errors.APIError as error:
            return Failure(Reason.START_ERROR, f"cannot start the job: {_say(error)}")
        return None

    @_engine_call
    def facts(self, name: str) -> Facts | None:
        """Inspect."""
        try:
            known = self._docker.api.inspect_container(name)
        except docker.errors.NotFound:
            return None
        state = known["State"]
        started_ms, finished_ms = run_times(state["StartedAt"], state["FinishedAt"])
        return Facts(
            container_id=known["Id"],
            status=state["Status"],
            started_ms=started_ms,
            finished_ms=finished_ms,
            exit_code=state["ExitCode"],
            oom_killed=state["OOMKilled"],
            error=state["Error"][:DETAIL_MAX],
        )

    @_engine_call
    def wait(self, name: str, timeout_s: int) -> bool:
        """Wait for the end; the API answers at once for one that never started, so look too."""
        try:
            self._docker.api.wait(name, timeout=timeout_s)
        except docker.errors.NotFound:
            return True
        except (requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError) as error:
            if "timed out" in str(error).lower():
                return False
            raise
        facts = self.facts(name)
        return facts is None or not (facts.is_alive or facts.status == "created")

    @_engine_call
    def stop(self, name: str, grace_s: int) -> None:
        """SIGTERM, then SIGKILL after the grace."""
        try:
            facts = self.facts(name)
            if facts is not None and facts.status == "paused":  # by somebody's hand: it is deaf
                self._docker.api.unpause(name)
            self._docker.api.stop(name, timeout=grace_s)
        except docker.errors.NotFound:
            return

    @_engine_call
    def history(self, name: str) -> History:
        """Read the daemon's events up to now."""
        return read_history(self._docker, name)

    @_engine_call
    def remove(self, name: str) -> None:
        """Remove with its anonymous volumes."""
        try:
            self._docker.api.remove_container(name, v=True, force=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if error.status_code != 409:  # its removal is already under way
                raise

    def records(self, name: str, since_ns: int) -> Iterator[LogRecord]:
        """Read what the engine keeps of the output, and what comes until the end."""
        source = ContainerLog(self._docker, name, lambda: self.facts(name))
        try:
            yield from read_records(source, since_ns)
        except DOCKER_ERRORS as error:
            problem, cure = docker_problem(error, docker_address(), CALL_TIMEOUT_S)
            raise EngineUnreachableError(problem, hint=cure) from error

    @_engine_call
    def usage(self, name: str) -> Usage | None:
        """Take one sample of the statistics, without the second's wait for a CPU percentage."""
        try:
            sample = self._docker.api.stats(name, stream=False, one_shot=True)
        except docker.errors.NotFound:
            return None
        memory = sample.get("memory_stats") or {}
        if not memory:
            return None
        peak = memory.get("max_usage", memory.get("usage", 0))  # cgroup v2 has no max_usage
        return Usage(
            cpu_ms=sample["cpu_stats"]["cpu_usage"]["total_usage"] // 1_000_000,
            ram_peak_mb=-(-peak // MB),
        )

    @_engine_call
    def owned(self, node_id: str) -> tuple[Owned, ...]:
        """List by label; the labels come with the list, so no container can vanish between."""
        found = self._docker.api.containers(all=True, filters={"label": f"{LABEL_NODE}={node_id}"})
        return tuple(
            Owned(
                each["Id"],
                (each["Names"] or [each["Id"]])[0].lstrip(
                    "/"
                ),  # one that is being removed has none
                each["Labels"].get(LABEL_JOB, ""),
            )
            for each in found
        )

    @_engine_call
    def labelled(self, node_id: str) -> tuple[Labelled, ...]:
        """List volumes and networks by label."""
        return docker_stock.labelled(self._docker, node_id)

    @_engine_call
    def remove_labelled(self, thing: Labelled) -> bool:
        """Remove what nothing uses."""
        return docker_stock.remove_labelled(self._docker, thing)

    @_engine_call
    def images(self) -> tuple[StoredImage, ...]:
        """List every image, whoever's."""
        return docker_stock.images(self._docker)

    @_engine_call
    def remove_image(self, image_id: str) -> bool:
        """Remove an image that nothing uses and nobody tagged."""
        return docker_stock.remove_image(self._docker, image_id)

    @_engine_call
    def data_root(self) -> Path:
        """Return the daemon's folder."""
        return docker_stock.data_root(self._docker)


def _say(error: docker.errors.APIError) -> str:
    return str(error.explanation or error)[:DETAIL_MAX]


def run_times(started_at: str, finished_at: str) -> tuple[int | None, int | None]:
    """Read a container's start and end, as Docker writes them, in Unix milliseconds.

    The end is timed by the process that saw it; the start is noted by the daemon once it has heard
    of it. A program that ends at once is thus often said to have ended before it started
    (34 of 80 runs of `true`; 8 ms were seen): its start is then its end. A container is never
    started twice, so an end is always that of the same run.
    """
    started_ms, finished_ms = _unix_ms(started_at), _unix_ms(finished_at)
    if started_ms is not None and finished_ms is not None:
        started_ms = min(started_ms, finished_ms)
    return started_ms, finished_ms


def _unix_ms(text: str) -> int | None:
    """Read Docker's RFC 3339 time; the zero time of year 1 means never."""
    if text.startswith("0001-"):
        return None
    seconds, _, fraction = text.rstrip("Z").partition(".")
    whole = datetime.fromisoformat(f"{seconds}+00:00").timestamp()
    return int(whole) * 1000 + int((fraction or "0").ljust(3, "0")[:3])
