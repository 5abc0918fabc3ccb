"""Says at the end of a run how many histories were lived, and which mutant was found when."""

from __future__ import annotations

import pytest

STORY = "simulation"
"""Name of the property that a test's line has."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests here noted; with xdist, too."""
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.getreports(kind)]
    lines = sorted(
        {str(line) for each in reports for name, line in each.user_properties if name == STORY}
    )
    if lines:
        terminalreporter.section("simulation")
    for line in lines:
        terminalreporter.write_line(line)
