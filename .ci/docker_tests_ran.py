"""Fail unless the tests that need an engine ran, every one: `docker_tests_ran.py JUNIT_XML...`."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

ROOMS = ("docker", "e2e", "sweep")  # folders under tests/ whose tests need a Docker engine


def problems(*reports: Path) -> list[str]:
    """What is wrong, one line each; empty when all is well."""
    cases = [case for report in reports for case in _cases(report)]
    found = []
    for room in ROOMS:
        ours = [case for case in cases if case.get("classname", "").startswith(f"tests.{room}.")]
        skipped = [case.get("name") for case in ours if case.find("skipped") is not None]
        if not ours:
            found.append(f"no test of tests/{room} ran")
        if skipped:
            found.append(f"tests/{room} skipped: {', '.join(map(str, skipped))}")
    return found


def _cases(report: Path) -> list[ET.Element]:
    return list(ET.parse(report).iter("testcase"))  # noqa: S314 -- our own pytest wrote it


if __name__ == "__main__":
    sys.exit("\n".join(problems(*map(Path, sys.argv[1:]))) or None)
