"""The errors by which a Docker engine can be away, and what to say of them.

Importing this loads the Docker SDK (about 100 ms): do it where the engine is needed.
"""

from __future__ import annotations

import http.client
import os
import shutil
from collections.abc import Iterator

from docker.errors import DockerException
from requests.exceptions import RequestException, Timeout
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as UrllibTimeoutError

DOCKER_ERRORS = (
    *(DockerException, RequestException, HTTPError),  # the SDK lets its parts' errors through
    *(http.client.HTTPException, OSError),
)
"""Everything that the Docker SDK raises when the daemon is away, hangs up or answers nonsense."""
DETAIL_MAX_CHARACTERS = 300
CHAIN_MAX = 50
"""Errors within errors that are looked at; the SDK's have about 6."""


DEFAULT_ADDRESS = "/var/run/docker.sock"


def docker_address() -> str:
    """Return where the daemon is looked for, as people write it."""
    return (os.environ.get("DOCKER_HOST") or DEFAULT_ADDRESS).removeprefix("unix://")


def docker_problem(error: BaseException, address: str, timeout_s: int) -> tuple[str, str]:
    """Return what keeps us from the daemon at `address`, and the cure."""
    chain = list(_chain(error))
    if any(isinstance(each, PermissionError) for each in chain):
        return (
            f"cannot reach Docker: no permission for {address}",
            "add yourself to the group docker, then log in again: sudo usermod -aG docker $USER",
        )
    if any(isinstance(each, (TimeoutError, Timeout, UrllibTimeoutError)) for each in chain):
        return (
            f"cannot reach Docker: no answer from {address} within {timeout_s} s",
            "restart it: sudo systemctl restart docker",
        )
    if any(isinstance(each, (FileNotFoundError, ConnectionRefusedError)) for each in chain):
        if shutil.which("dockerd") is None and shutil.which("docker") is None:
            return (
                "cannot reach Docker: it is not installed",
                "see docs.docker.com/engine/install",
            )
        return (
            f"cannot reach Docker: nothing listens at {address}",
            "start it: sudo systemctl start docker",
        )
    return (
        f"cannot reach Docker at {address}: {str(error)[:DETAIL_MAX_CHARACTERS]}",
        "see what it says: docker info",
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those it was made of: causes, contexts, and errors among arguments."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting and len(seen) < CHAIN_MAX:
        each = waiting.pop()
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]
