"""Who ended a job: itself, we, somebody else, or the deadline inside while no worker lives."""

from __future__ import annotations

import io
import time

import docker
import pytest

from nunet_dms.node.clock import Clock
from nunet_dms.node.states import State
from nunet_dms.protocol.report import Reason
from tests.docker.node_world import Node

FOREVER = ("sh", "-c", "while :; do sleep 0.2; done")
DEAF = ("sh", "-c", "trap '' TERM; while :; do sleep 0.2; done")


def test_its_own_end_is_its_own(node: Node, box: str) -> None:
    fine, failed = node.take(box, "true"), node.take(box, "sh", "-c", "exit 143")
    assert node.reason_of(fine) is Reason.SUCCEEDED
    report = node.report_of(failed)
    assert (report.reason, report.exit_code) == (Reason.FAILED, 143)
    assert node.journal.images() == ()  # it was here before us


def test_a_job_that_does_not_end_at_its_limit_is_stopped(
    node: Node, box: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nunet_dms.node.running.STOP_GRACE_S", 1)
    job = node.take(box, *DEAF, time_limit_s=1)
    report = node.report_of(job)
    assert (report.reason, report.exit_code) == (Reason.TIME_LIMIT, 137)
    assert 1000 <= report.ran_ms < 30_000


def test_a_cancel_ends_a_job_whatever_signal_its_image_names(
    node: Node, box: str, docker_client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nunet_dms.node.running.STOP_GRACE_S", 1)
    says = f"FROM {box.rpartition(':')[2]}\nSTOPSIGNAL SIGCONT\n"
    image, _ = docker_client.images.build(fileobj=io.BytesIO(says.encode()), rm=True)
    job = node.take(f"nunet-test-cont@{image.id}", *DEAF)
    node.run_until(job, State.RUNNING)
    node.runner.stop(job, Reason.CANCELLED)
    assert node.reason_of(job) is Reason.CANCELLED
    node.turn(lambda: node.runner._live[job].cleaned)
    docker_client.images.remove(image.id, force=True)


@pytest.mark.parametrize("how", ["stop", "kill", "remove"])
def test_somebody_elses_hand_is_the_nodes_fault(
    node: Node, box: str, docker_client: docker.DockerClient, how: str
) -> None:
    job = node.take(box, "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
    node.run_until(job, State.RUNNING)
    container = docker_client.containers.get(node.name(job))
    if how == "remove":
        container.remove(force=True)
    elif how == "stop":
        container.stop(timeout=20)
    else:
        container.kill()
    report = node.report_of(job)
    assert report.reason is Reason.NODE_FAULT
    assert ("vanished" if how == "remove" else "not by its worker") in report.detail


def test_a_container_that_was_renamed_is_found_by_its_label(
    node: Node, box: str, docker_client: docker.DockerClient
) -> None:
    job = node.take(box, "sh", "-c", "until [ -e /nunet/out/go ]; do sleep 0.1; done; exit 9")
    node.run_until(job, State.RUNNING)
    node.kill()
    docker_client.containers.get(node.name(job)).rename(f"renamed-{job[:8]}")
    node.start()
    node.turn(lambda: node.runner._live[job].name != node.name(job))
    (node.deps.jobs_dir / job / "out" / "go").touch()
    report = node.report_of(job)
    assert (report.reason, report.exit_code) == (Reason.FAILED, 9)
    node.turn(lambda: node.runner._live[job].cleaned)
    assert node.engine.owned(node.deps.identity.node_id) == ()


def test_a_container_that_was_paused_can_be_stopped(
    node: Node, box: str, docker_client: docker.DockerClient
) -> None:
    job = node.take(box, *FOREVER)
    node.run_until(job, State.RUNNING)
    docker_client.containers.get(node.name(job)).pause()
    node.runner.stop(job, Reason.CANCELLED)
    assert node.reason_of(job) is Reason.CANCELLED


def test_the_deadline_inside_ends_a_job_that_no_worker_lives_to_stop(node: Node, box: str) -> None:
    node.start(deadline_margin_s=1)
    job = node.take(box, "sleep", "1000", time_limit_s=2)
    node.run_until(job, State.RUNNING)
    node.kill()
    assert node.engine.wait(node.name(job), 50)  # nobody stops it, and it ends
    node.start()
    report = node.report_of(job)
    assert (report.reason, report.exit_code) == (Reason.TIME_LIMIT, 143)
    assert report.ran_ms >= 2000  # the engine notes a start a little late
    assert [event.detail for event in node.journal.events(job) if event.what == "exited"] == [
        "time_limit"
    ]


def test_a_restart_and_a_clock_that_was_set_leave_a_time_limit_as_it_is(
    node: Node, box: str
) -> None:
    """Three days later by the wall, the same boot by the monotonic clock."""
    job = node.take(
        box, "sh", "-c", "until [ -e /nunet/out/go ]; do sleep 0.1; done", time_limit_s=60
    )
    node.run_until(job, State.RUNNING)
    node.kill()
    node.start(clock=Clock(wall_s=lambda: time.time() + 3 * 86_400))
    live = node.runner._live[job]
    node.turn(lambda: live.deadline_s is not None and live.sample_at_s > 0)
    assert live.row.stop_reason == ""
    (node.deps.jobs_dir / job / "out" / "go").touch()
    report = node.report_of(job)
    assert report.reason is Reason.SUCCEEDED
    assert report.ran_ms < 60_000
