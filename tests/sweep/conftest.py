"""One house for all sweeps, and the table that they print at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.sweep.house import House, open_house
from tests.sweep.table import Table

TABLE = pytest.StashKey[Table]()
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a folder of its own
"""A kill takes nothing from what was written, synced or not; so let syncing cost nothing."""
KEPT_AT = Path(__file__).parents[2] / ".dev" / "crash-sweep.txt"
"""Where the whole table is kept, point by point."""


@pytest.fixture(scope="session")
def house(docker_client: docker.DockerClient) -> Iterator[House]:
    """One Oracle, one image, one engine, and the forge of workers."""
    with (
        tempfile.TemporaryDirectory(prefix="nunet-sweep-", dir=IN_MEMORY) as folder,
        open_house(Path(folder), docker_client) as built,
    ):
        yield built


@pytest.fixture(scope="session")
def table(request: pytest.FixtureRequest) -> Table:
    """What was killed where, of all sweeps of this run."""
    return request.config.stash.setdefault(TABLE, Table())


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what was killed and what was lost, and keep it point by point."""
    found = config.stash.get(TABLE, None)
    if found is None or not found.rows:
        return
    terminalreporter.section("crash sweep")
    for line in found.short():
        terminalreporter.write_line(line)
    KEPT_AT.parent.mkdir(exist_ok=True)
    KEPT_AT.write_text("\n".join((*found.short(), "", *found.whole())) + "\n")
