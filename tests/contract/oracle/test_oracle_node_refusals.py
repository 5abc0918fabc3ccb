"""What nodes may not say. Each refusal names its rule, and nothing is stored or left behind."""

from __future__ import annotations

from dataclasses import replace

import pytest
from oracle_world import (
    Node,
    Requester,
    World,
    cosignature,
    entry,
    refused,
)

from nunet_dms.cardano.address import script_address
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.errors import RefusedError
from nunet_dms.protocol.api import Done
from nunet_dms.protocol.job import Manifest
from nunet_dms.protocol.keys import SigningKey
from nunet_dms.protocol.node import Cosignature, MissingBlobs, Poll, Settlement
from nunet_dms.protocol.report import Reason
from nunet_dms.protocol.signing import Domain, seal
from nunet_dms.protocol.submission import JobView


def test_registrations_that_do_not_hold_are_refused(world: World) -> None:
    node = Node(world)
    with refused(world, "unknown_node"):
        node.heartbeat()
    with refused(world, "unknown_node"):
        node.poll()
    with refused(world, "foreign_key"):
        node.register(node_id=Node(world).node_id)
    with refused(world, "wrong_network"):
        node.register(network_magic=1)
    with refused(world, "wrong_network"):
        node.register(wallet=PaymentKey.generate().address(1).bech32)
    with refused(world, "script_wallet"):
        node.register(wallet=script_address(bytes(28), 0).bech32)
    with refused(world, "malformed_address"):
        node.register(wallet="addr_test1" + "q" * 50)
    sealed = seal(node.registration, Domain.REPORT, node.key)
    with refused(world, "bad_signature"):
        node.http.call("PUT", f"/v1/nodes/{node.node_id}", sealed, Done)
    node.register()
    with refused(world, "stale_registration"):
        node.register(issued_s=5)


def test_the_settlement_key_stays_while_jobs_are_open(
    world: World, node: Node, running_job: tuple[JobView, str]
) -> None:
    assert running_job
    with refused(world, "jobs_open"):
        node.register(settlement_key_hash="11" * 28)
    node.register(platform="upgraded")
    node.register(wallet=PaymentKey.generate().address(0).bech32)


def test_another_node_s_calls_are_refused(
    world: World, node: Node, running_job: tuple[JobView, str]
) -> None:
    job, ticket_id = running_job
    other = Node(world).online()
    with refused(world, "unknown_job"):
        other.accept(job.job_id, ticket_id)
    with refused(world, "unknown_job"):
        other.http.put_log(job.job_id, 0, b"x")
    with refused(world, "unknown_job"):
        other.put_results(job.job_id, {})
    with refused(world, "unknown_job"):
        other.send_report(other.report(job.job_id, ticket_id))
    with refused(world, "other_node"):
        other.http.call("POST", f"/v1/nodes/{node.node_id}/poll", Poll(), Done)


def test_reports_that_do_not_hold_are_refused(
    world: World, node: Node, running_job: tuple[JobView, str]
) -> None:
    job, ticket_id = running_job
    good = node.report(job.job_id, ticket_id)
    with refused(world, "foreign_key"):
        node.send_report(good, SigningKey.generate())
    with refused(world, "foreign_report"):
        node.send_report(replace(good, ticket_id="0" * 32))
    with refused(world, "results_missing"):
        node.send_report(replace(good, results_hash="0" * 64))
    manifest = Manifest(files=(entry("a", b"never sent"),))
    node.http.call("POST", f"/v1/jobs/{job.job_id}/results", manifest, MissingBlobs)
    with refused(world, "results_missing"):
        node.send_report(replace(good, results_hash=manifest.digest))
    node.put_results(job.job_id, {})
    node.send_report(good)
    with pytest.raises(RefusedError, match="has another one already"):  # it is kept as evidence
        node.send_report(replace(good, ran_ms=1))


def test_results_over_the_job_s_disk_are_refused(
    world: World, node: Node, running_job: tuple[JobView, str]
) -> None:
    job, _ = running_job
    with refused(world, "results_too_large"):
        node.put_results(job.job_id, {"big": b"x" * (1024 * 1024 + 1)})
    twice = Manifest(files=(entry("a", b"1"), entry("a", b"2")))
    with refused(world, "duplicate_path"):
        node.http.call("POST", f"/v1/jobs/{job.job_id}/results", twice, MissingBlobs)


def test_a_node_that_stops_a_job_itself_is_not_paid(
    world: World, node: Node, requester: Requester, running_job: tuple[JobView, str]
) -> None:
    job, ticket_id = running_job
    world.clock.now_s += 50
    node.send_report(node.report(job.job_id, ticket_id, reason=Reason.CANCELLED))
    view = requester.job(job.job_id)
    assert (view.reason, view.provider_amount) == (Reason.NODE_FAULT, 0)


def test_cosignatures_that_do_not_hold_are_refused(
    world: World, node: Node, running_job: tuple[JobView, str]
) -> None:
    job, ticket_id = running_job
    path = f"/v1/jobs/{job.job_id}/settlement"
    with refused(world, "no_settlement"):
        node.http.call("GET", path, None, Settlement)
    with refused(world, "not_settling"):
        node.http.call("POST", path, Cosignature(public_key="0" * 64, signature="0" * 128), Done)
    node.send_report(node.report(job.job_id, ticket_id))
    settlement = node.http.call("GET", path, None, Settlement)
    with refused(world, "foreign_key"):
        node.cosign(settlement, PaymentKey.generate())
    good = cosignature(bytes.fromhex(settlement.tx), node.settlement_key)
    with refused(world, "bad_signature"):
        node.http.call("POST", path, replace(good, signature="0" * 128), Done)
    with refused(world, "no_receipt"):
        node.receipt(job.job_id)


def test_a_full_log_says_so(world: World, node: Node, running_job: tuple[JobView, str]) -> None:
    job, _ = running_job
    object.__setattr__(world.oracle.config, "log_max_bytes", 10)
    node.http.put_log(job.job_id, 0, b"0123456789")
    with refused(world, "log_full"):
        node.http.put_log(job.job_id, 10, b"x")
    with refused(world, "too_large"):
        node.http.put_log(job.job_id, 10, b"x" * (1024 * 1024 + 1))
