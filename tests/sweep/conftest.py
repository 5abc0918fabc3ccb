"""One house for all sweeps, and the table that they print at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from tests.sweep.house import House, open_house
from tests.sweep.table import Table

TABLE = "crash sweep"
"""Name of the property that a test's line has."""
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


@pytest.fixture
def table(record_property: Callable[[str, object], None]) -> Iterator[Table]:
    """What a test has killed where; told with its line, so that it crosses processes."""
    made = Table()
    yield made
    record_property(TABLE, made.as_text())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was killed and what was lost, and keep it point by point."""
    after_tests = terminalreporter.getreports("")
    told = (text for each in after_tests for name, text in each.user_properties if name == TABLE)
    whole = Table.sum_of(Table.of_text(str(text)) for text in told)
    if not whole.rows:
        return
    terminalreporter.section("crash sweep")
    for line in whole.short():
        terminalreporter.write_line(line)
    KEPT_AT.parent.mkdir(exist_ok=True)
    KEPT_AT.write_text("\n".join((*whole.short(), "", *whole.whole())) + "\n")
