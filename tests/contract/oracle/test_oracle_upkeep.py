"""Long polls, held capacity, logs, sweeping, health: what goes on beside the life of a job."""

from __future__ import annotations

import threading

import pytest
from oracle_world import Node, Requester, World, spec

from nunet_dms.errors import RefusedError
from nunet_dms.protocol.api import (
    LOG_LENGTH_HEADER,
    Health,
    OracleInfo,
)
from nunet_dms.protocol.job import Resources
from nunet_dms.protocol.node import Inbox
from nunet_dms.protocol.submission import JobState

LOG = b"epoch 1\nepoch 2\n"


def test_a_long_poll_answers_as_soon_as_there_is_news(
    world: World, node: Node, requester: Requester
) -> None:
    job = requester.order()
    found: list[Inbox] = []
    thread = threading.Thread(target=lambda: found.append(node.poll(wait_s=25)))
    thread.start()
    while not world.oracle.notifier.waiters:
        thread.join(0.01)
    world.step()
    thread.join(10)
    assert [offer.request for inbox in found for offer in inbox.offers]
    assert requester.job(job.job_id).state is JobState.OFFERED


def test_a_log_reader_is_woken_by_the_next_bytes(
    world: World, node: Node, requester: Requester
) -> None:
    job = requester.order()
    world.step()
    node.take(job.job_id)
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(requester.log(job.job_id, 0, 25)[0]))
    thread.start()
    while not world.oracle.notifier.waiters:
        thread.join(0.01)
    node.http.put_log(job.job_id, 0, LOG)
    thread.join(10)
    assert found == [LOG]


def test_quotes_hold_capacity_until_they_expire(
    world: World, node: Node, requester: Requester
) -> None:
    big = spec(resources=Resources(cpu_mhz=3000, ram_mb=500, disk_mb=1))
    requester.quote(big)
    with pytest.raises(RefusedError) as refused:
        requester.quote(big)
    assert refused.value.code == "no_capacity"
    assert "3000 MHz" in str(refused.value)
    assert "1000 MHz" in str(refused.value)
    world.clock.now_s += 301
    node.heartbeat()
    requester.quote(big)


def test_jobs_hold_capacity_until_they_are_reported(
    world: World, node: Node, requester: Requester
) -> None:
    big = spec(resources=Resources(cpu_mhz=3000, ram_mb=500, disk_mb=1))
    job = requester.order(big)
    world.step(301)
    node.heartbeat()
    with pytest.raises(RefusedError, match="cannot quote"):
        requester.quote(big)
    ticket_id = node.take(job.job_id)
    node.send_report(node.report(job.job_id, ticket_id))
    requester.quote(big)


def test_the_cheapest_node_with_room_is_chosen_and_silent_ones_are_not(
    world: World, requester: Requester
) -> None:
    dear, cheap = Node(world).online(), Node(world, per_ghz_hour=1_800_000).online()
    assert requester.quote().request.node_id == cheap.node_id
    assert requester.quote(node_id=dear.node_id).request.node_id == dear.node_id
    world.clock.now_s += 46
    dear.heartbeat()
    assert requester.quote().request.node_id == dear.node_id
    dear.heartbeat(accepting=False)
    with pytest.raises(RefusedError) as refused:
        requester.quote()
    assert refused.value.code == "no_capacity"


def test_log_offsets_are_answered_with_the_right_one(
    world: World, node: Node, requester: Requester
) -> None:
    job = requester.order()
    world.step()
    node.take(job.job_id)
    node.http.put_log(job.job_id, 0, LOG)
    for wrong in (0, 3, 1000):
        assert node.http.put_log(job.job_id, wrong, b"again") == len(LOG)
    part, headers = requester.log(job.job_id)
    assert (part, headers[LOG_LENGTH_HEADER.lower()]) == (LOG, str(len(LOG)))


def test_a_log_that_differs_from_the_report_is_not_complete(
    world: World, node: Node, requester: Requester
) -> None:
    job = requester.order()
    world.step()
    ticket_id = node.take(job.job_id)
    node.http.put_log(job.job_id, 0, LOG)
    node.send_report(node.report(job.job_id, ticket_id, log_bytes=len(LOG)))  # hash of nothing
    assert requester.job(job.job_id).log_complete is False


def test_swept_uploads_leave_nothing_and_a_job_s_inputs_stay(
    world: World, node: Node, requester: Requester
) -> None:
    requester.upload(requester.quote())
    assert len(world.blob_files()) == 1
    world.step(90_000)
    assert world.blob_files() == []
    assert world.rows()["grants"] == 0
    node.heartbeat()
    requester.order()
    world.step(90_000)
    assert len(world.blob_files()) == 1


def test_health_tells_when_the_clockwork_stops(world: World, requester: Requester) -> None:
    health = requester.http.call("GET", "/v1/health", None, Health)
    assert (health.status, health.chain) == ("ok", "devnet")
    world.clock.now_s += 60
    assert requester.http.call("GET", "/v1/health", None, Health).status == "degraded"
    info = requester.http.call("GET", "/v1/oracle", None, OracleInfo)
    assert "no value" in info.warning
