"""The proof in .ci that the Docker tests ran: it fails when they are missing or skipped."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "docker_tests_ran.py"
UNIT = '<testcase classname="tests.unit.demo.test_a" name="a"><skipped/></testcase>'
DOCKER = '<testcase classname="tests.docker.test_b" name="b"/>'
E2E = '<testcase classname="tests.e2e.test_c" name="c"/>'
SWEEP = '<testcase classname="tests.sweep.test_e" name="e"/>'
SKIPPED = '<testcase classname="tests.e2e.test_d" name="d"><skipped/></testcase>'


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        ([UNIT, DOCKER, E2E, SWEEP], []),
        ([UNIT, DOCKER, SWEEP], ["no test of tests/e2e ran"]),
        ([UNIT, SWEEP], ["no test of tests/docker ran", "no test of tests/e2e ran"]),
        ([DOCKER, E2E], ["no test of tests/sweep ran"]),
        ([DOCKER, E2E, SWEEP, SKIPPED], ["tests/e2e skipped: d"]),
        ([DOCKER, SWEEP, E2E.replace("tests.e2e", "tests.e2e_old")], ["no test of tests/e2e ran"]),
    ],
)
def test_every_engine_room_must_have_run(
    tmp_path: Path, cases: list[str], expected: list[str]
) -> None:
    spec = importlib.util.spec_from_file_location("docker_tests_ran", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    reports = [tmp_path / "engine.xml", tmp_path / "alone.xml"]
    for report, of_it in zip(reports, (cases[::2], cases[1::2]), strict=True):
        report.write_text(f"<testsuites><testsuite>{''.join(of_it)}</testsuite></testsuites>")

    assert module.problems(*reports) == expected
