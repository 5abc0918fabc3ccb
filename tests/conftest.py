"""What every test obeys: where sockets are shut, and when an engine is needed.

`--run-docker` asks for the tests that need a Docker engine. Without it they are skipped, by name
and counted; with it they fail where no engine answers, so that a green run means that they ran.
"""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException
from hypothesis import settings
from requests.exceptions import RequestException

TESTS = Path(__file__).parent
ENGINE_ROOMS = ("docker", "e2e", "sweep")  # all their tests need an engine; .ci counts them
REFUSED = "unclosed <socket.socket fd=[0-9]+, family=1, type=1"
"""docker-py drops its socket when a dockerd is gone, and what one test leaves so may be collected
while a later one runs, of another room too, or once all have run."""
ENGINE_TIMEOUT_S = 60  # one call to the engine on a busy machine; loading an image is the slowest

# Cores are shared where these tests run, so no example has a deadline. CI repeats its examples.
settings.register_profile("nunet", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("nunet")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --run-docker."""
    parser.addoption(
        "--run-docker",
        action="store_true",
        help="run the tests that need a Docker engine, and fail where none answers",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by their folder, shut sockets in tests/unit, skip what was not asked for."""
    for item in items:
        room = item.path.relative_to(TESTS).parts[0]
        if room in ENGINE_ROOMS:
            item.add_marker("docker")
            item.add_marker(pytest.mark.filterwarnings(f"ignore:{REFUSED}:ResourceWarning"))
        if room == "docker":
            item.add_marker("alone")
        if room == "unit":
            item.add_marker("disable_socket")
        if item.get_closest_marker("docker") and not config.getoption("--run-docker"):
            item.add_marker(pytest.mark.skip(reason="needs a Docker engine: pytest --run-docker"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a docker test at once where no engine answers."""
    if item.get_closest_marker("docker") and item.config.getoption("--run-docker"):
        problem = engine_problem()
        if problem:
            pytest.fail(f"--run-docker was asked for, but no engine answers: {problem}", False)


def pytest_sessionfinish() -> None:
    """Collect what docker-py dropped in the last tests, while that is no error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", REFUSED, ResourceWarning)
        gc.collect()


@cache
def engine_problem() -> str:
    """Why the engine does not answer; empty when it does. Asked once a run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # docker-py drops its socket when refused
        try:
            docker.from_env(timeout=ENGINE_TIMEOUT_S).close()  # asks for the engine's version
        except (DockerException, RequestException) as error:
            return str(error)
        finally:
            gc.collect()  # while the warning is ignored
    return ""


@pytest.fixture(scope="session")
def docker_client() -> Iterator[docker.DockerClient]:
    """The machine's engine, as the environment names it (DOCKER_HOST)."""
    client = docker.from_env(timeout=ENGINE_TIMEOUT_S)
    yield client
    client.close()
