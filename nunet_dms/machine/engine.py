"""The Docker engine: which one answers, and what it can hold a job to."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace

from nunet_dms.machine.nvidia_toolkit import read_toolkit

TIMEOUT_S = 5
"""Of all questions to the daemon together; one takes about 10 ms, on a busy disk a second."""
TEXT_MAX_CHARACTERS = 300
"""Of one text of the daemon's."""
LIST_MAX = 50
"""Of one list of the daemon's; a large machine has 10 runtimes."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What the Docker engine says of itself; None and empty mean: could not be found out.

    `problem` tells why it does not answer, `cure` what to do. `nvidia_toolkit` is the version of
    the NVIDIA container toolkit: empty when it tells none, None where there is none.
    """

    answers: bool
    problem: str = ""
    cure: str = ""
    version: str = ""
    api_version: str = ""
    cgroup_version: int | None = None
    cgroup_driver: str = ""
    storage_driver: str = ""
    root_dir: str = ""
    runtimes: tuple[str, ...] = ()
    default_runtime: str = ""
    nvidia_toolkit: str | None = None
    live_restore: bool | None = None
    security_options: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    rootless: bool = False


def read_engine(timeout_s: int = TIMEOUT_S) -> EngineFacts:
    """Ask the daemon that DOCKER_HOST or Docker's context names, for about `timeout_s` at most.

    Raises nothing: an engine that is away or talks nonsense is a fact. Source: Docker Engine API
    1.41 and later, `GET /version` and `GET /info`.
    """
    facts = _ask(timeout_s)
    return replace(facts, nvidia_toolkit=read_toolkit(facts.runtimes))


def _ask(timeout_s: int) -> EngineFacts:
    import docker  # noqa: PLC0415 - 100 ms that a command without need of the engine does not pay

    from nunet_dms.machine.docker_errors import (  # noqa: PLC0415 - same
        DOCKER_ERRORS,
        docker_address,
        docker_problem,
    )

    ends_s = time.monotonic() + timeout_s
    try:
        with closing(docker.from_env(timeout=timeout_s)) as client:
            client.api.timeout = _left_s(ends_s)
            version = client.version()
            client.api.timeout = _left_s(ends_s)
            return facts_of(client.info(), version)
    except (*DOCKER_ERRORS, ValueError, TypeError) as error:  # the last two: nonsense in an answer
        problem, cure = docker_problem(error, docker_address(), timeout_s)
        return EngineFacts(answers=False, problem=problem, cure=cure)


def _left_s(ends_s: float) -> int:
    return max(math.ceil(ends_s - time.monotonic()), 1)


def facts_of(info: object, version: object) -> EngineFacts:
    """Return what `GET /info` and `GET /version` answered, however odd; raises nothing."""
    if not isinstance(info, dict) or not (name := _text(info, "ServerVersion")):
        problem = "cannot use Docker: it does not say which version it is"
        return EngineFacts(answers=False, problem=problem, cure="see what it says: docker info")
    runtimes = info.get("Runtimes")
    security = _texts(info.get("SecurityOptions"))
    cgroup = _text(info, "CgroupVersion")
    live_restore = info.get("LiveRestoreEnabled")
    return EngineFacts(
        answers=True,
        version=name,
        api_version=_text(version, "ApiVersion"),
        cgroup_version=int(cgroup) if cgroup in {"1", "2"} else None,
        cgroup_driver=_text(info, "CgroupDriver"),
        storage_driver=_text(info, "Driver"),
        root_dir=_text(info, "DockerRootDir"),
        runtimes=tuple(sorted(_texts(runtimes))),
        default_runtime=_text(info, "DefaultRuntime"),
        live_restore=live_restore if isinstance(live_restore, bool) else None,
        security_options=security,
        warnings=_texts(info.get("Warnings")),
        rootless=any(option.split(",")[0] == "name=rootless" for option in security),
    )


def _text(answer: object, key: str) -> str:
    value = answer.get(key) if isinstance(answer, dict) else None
    return value[:TEXT_MAX_CHARACTERS] if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    """Return the texts of a list, or the keys of an object."""
    items: Iterable[object] = value if isinstance(value, (list, dict)) else ()
    texts = [item[:TEXT_MAX_CHARACTERS] for item in items if isinstance(item, str)]
    return tuple(texts[:LIST_MAX])
