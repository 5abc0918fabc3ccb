"""A Docker engine that is killed, restarted, away or deaf while a job runs on it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from nunet_dms.node.states import State
from nunet_dms.protocol.report import Reason
from tests.docker.conftest import busybox_archive, import_image
from tests.docker.node_world import Node
from tests.sweep.own_engine import OwnEngine
from tests.unit.node.conftest import World, world

__all__ = ["world"]
SIGNALS = [signal.SIGKILL, signal.SIGTERM]
WAITS = ("sh", "-c", "until [ -e /nunet/out/go ]; do sleep 0.1; done; exit 7")
IDS = ["killed", "asked to end"]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a dockerd")


@pytest.fixture(scope="module")
def engine() -> Iterator[OwnEngine]:
    with OwnEngine() as made:
        yield made


@pytest.fixture
def node(
    world: World, tmp_path: Path, engine: OwnEngine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Node]:
    """A node on the engine of our own; whatever became of that, it runs again at the end."""
    monkeypatch.setenv("DOCKER_HOST", engine.address)
    monkeypatch.setattr("nunet_dms.node.backoff.MAX_S", 1.0)
    made = Node(world, tmp_path)
    yield made
    if not engine.answers():
        engine.start(live_restore=False)
    made.close()
    engine.stop()


def box(engine: OwnEngine) -> str:
    """Give the engine an image and return its reference."""
    client = docker.DockerClient(base_url=engine.address)
    reference = f"nunet-test-box@{import_image(client, busybox_archive(), 'nunet-test-box')}"
    client.close()
    return reference


def go(node: Node, job: str) -> None:
    """Let a waiting job end."""
    (node.deps.jobs_dir / job / "out" / "go").touch()


def running(node: Node, engine: OwnEngine, *, live_restore: bool) -> str:
    """Start the engine and a job on it, and return the job."""
    engine.start(live_restore=live_restore)
    job = node.take(box(engine), *WAITS)
    node.run_until(job, State.RUNNING)
    return job


@pytest.mark.parametrize("number", SIGNALS, ids=IDS)
def test_a_job_outlives_an_engine_with_live_restore_and_its_end_is_its_own(
    node: Node, engine: OwnEngine, number: int
) -> None:
    job = running(node, engine, live_restore=True)
    engine.stop(number)
    node.turn(lambda: node.row(job).engine_gone_ms)  # unknown, not failed
    assert node.row(job).state is State.RUNNING
    engine.start(live_restore=True)
    go(node, job)
    report = node.report_of(job)
    assert (report.reason, report.exit_code) == (Reason.FAILED, 7)


def test_an_end_while_the_engine_with_live_restore_was_away_is_the_jobs_own(
    node: Node, engine: OwnEngine
) -> None:
    job = running(node, engine, live_restore=True)
    engine.stop(signal.SIGKILL)
    node.turn(lambda: node.row(job).engine_gone_ms)
    go(node, job)
    wait_for_end(job)
    engine.start(live_restore=True)
    report = node.report_of(job)
    assert (report.reason, report.exit_code) == (Reason.FAILED, 7)


def wait_for_end(job: str) -> None:
    """Return once no process of the job's container is left, with nobody to ask but the kernel."""
    pause, ends_s = threading.Event(), time.monotonic() + 30
    while any(job in command for command in map(environment_of, Path("/proc").iterdir())):
        assert time.monotonic() < ends_s
        pause.wait(0.05)


def environment_of(process: Path) -> str:
    """Return a process's environment, where it is one and is still there."""
    try:
        return (process / "environ").read_text(errors="replace") if process.name.isdigit() else ""
    except OSError:
        return ""


@pytest.mark.parametrize("number", SIGNALS, ids=IDS)
def test_an_engine_that_takes_a_job_with_it_is_the_nodes_fault(
    node: Node, engine: OwnEngine, number: int
) -> None:
    """Killed, it ends the job when it is back and its history says so; asked, it forgets that."""
    job = running(node, engine, live_restore=False)
    engine.stop(number)
    node.turn(lambda: node.row(job).engine_gone_ms)
    engine.start(live_restore=False)
    report = node.report_of(job)
    assert (report.reason, report.exit_code) == (Reason.NODE_FAULT, 143)
    said = "not by its worker" if number == signal.SIGKILL else "nobody saw"
    assert said in report.detail


def test_an_end_that_nobody_saw_is_the_nodes_fault(node: Node, engine: OwnEngine) -> None:
    job = running(node, engine, live_restore=False)
    node.kill()  # the worker too: it cannot know that the engine was away
    engine.stop(signal.SIGKILL)
    go(node, job)
    wait_for_end(job)
    engine.start(live_restore=False)
    node.start()
    report = node.report_of(job)
    assert (report.reason, report.exit_code) == (Reason.NODE_FAULT, 7)
    assert "nobody saw" in report.detail


def test_a_job_waits_for_an_engine_that_is_down_at_the_start(node: Node, engine: OwnEngine) -> None:
    engine.start(live_restore=False)
    reference = box(engine)
    engine.stop()
    job = node.take(reference, "true")
    node.turn(lambda: node.runner._live[job].pull_problem)
    engine.start(live_restore=False)
    assert node.reason_of(job) is Reason.SUCCEEDED


@pytest.mark.alone
def test_an_engine_that_never_answers_holds_up_nobody(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: OwnEngine
) -> None:
    """It accepts and is silent: every call is given up, no step waits, threads do not pile up."""
    job = running(node, engine, live_restore=True)
    node.kill()
    monkeypatch.setattr("nunet_dms.node.limits.CALL_LIMIT_S", 0.3)
    deaf = tmp_path / "deaf.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(deaf))
        server.listen(100)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{deaf}")
        monkeypatch.setattr("nunet_dms.node.engine.docker.CALL_TIMEOUT_S", 4)
        alive, hearing = node.engine, type(node.engine)()
        node.engine = hearing
        node.start()
        before, longest_s, ends_s = threading.active_count(), 0.0, time.monotonic() + 4
        while time.monotonic() < ends_s:
            began_s = time.monotonic()
            for outcome in node.deps.pool.collect():
                node.runner.handle(outcome)
            node.runner.advance()
            longest_s = max(longest_s, time.monotonic() - began_s)
            assert [row.job_id for row in node.runner.rows()] == [job]  # what a heartbeat names
            assert threading.active_count() <= before + 5 * 3
            node.deps.pool.wake.wait(0.05)
        assert longest_s < 2
        assert node.row(job).engine_gone_ms is not None
        node.kill()
    hearing.close()
    monkeypatch.undo()
    monkeypatch.setenv("DOCKER_HOST", engine.address)
    node.engine = alive
    node.start()
    go(node, job)
    assert node.report_of(job).exit_code == 7
