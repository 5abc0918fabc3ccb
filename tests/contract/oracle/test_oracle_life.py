"""The life of a job, over real HTTP, with real transactions on the development ledger."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from oracle_world import ManualClock, Node, Requester, World, cosignature, running

from nunet_dms.cardano.agreement import escrow_terms
from nunet_dms.cardano.builder import build_payment, build_refund
from nunet_dms.cardano.signing import sign
from nunet_dms.cardano.transaction import read_transaction
from nunet_dms.errors import RefusedError
from nunet_dms.oracle import jobs
from nunet_dms.oracle.terms import payment_output
from nunet_dms.protocol.api import (
    LOG_COMPLETE_HEADER,
    Done,
    Empty,
)
from nunet_dms.protocol.chain import TransactionBody, TransactionId
from nunet_dms.protocol.job import Manifest
from nunet_dms.protocol.node import Inbox, Refusal, Settlement
from nunet_dms.protocol.phase import JobProgress, Phase
from nunet_dms.protocol.receipt import Receipt
from nunet_dms.protocol.report import Reason
from nunet_dms.protocol.signing import Domain, open_sealed
from nunet_dms.protocol.submission import JobList, JobState
from nunet_dms.protocol.ticket import open_ticket

LOG = b"epoch 1\nepoch 2\n"
RESULTS = {"metrics.json": b'{"accuracy":97}', "plots/curve.png": b"\x89PNG..."}


def test_a_paid_job_goes_from_quote_to_receipt(
    world: World, node: Node, requester: Requester
) -> None:
    before = requester.tokens()
    job = requester.order()
    assert job.state is JobState.SUBMITTED
    assert node.poll() == Inbox()  # nothing is offered before the payment is in a block
    world.step()

    (offer,) = node.poll().offers
    ticket = open_ticket(offer.ticket, world.oracle.keys.ticket.public)
    assert (ticket.job_id, ticket.node_id, ticket.amount) == (job.job_id, node.node_id, job.price)
    lease = node.accept(job.job_id, ticket.ticket_id)
    assert node.accept(job.job_id, ticket.ticket_id) == lease
    assert requester.job(job.job_id).state is JobState.RUNNING

    assert node.http.put_log(job.job_id, 0, LOG[:8]) == 8
    part, headers = requester.log(job.job_id)
    assert (part, headers[LOG_COMPLETE_HEADER.lower()]) == (LOG[:8], "false")
    assert node.http.put_log(job.job_id, 8, LOG[8:]) == len(LOG)
    assert requester.log(job.job_id, offset=4)[0] == LOG[4:]

    results = node.put_results(job.job_id, RESULTS)
    world.clock.now_s += 50
    report = node.report(
        job.job_id,
        ticket.ticket_id,
        log_bytes=len(LOG),
        log_sha256=hashlib.sha256(LOG).hexdigest(),
        results_hash=results.digest,
    )
    assert node.send_report(report) == Done()
    assert node.send_report(report) == Done(duplicate=True)

    view = requester.job(job.job_id)
    assert view.state is JobState.SETTLING
    assert (view.reason, view.log_complete, view.exit_code) == (Reason.SUCCEEDED, True, 0)
    assert view.provider_amount == job.price // 2  # 50 of 100 s
    assert requester.log(job.job_id)[1][LOG_COMPLETE_HEADER.lower()] == "true"
    path = f"/v1/jobs/{job.job_id}/results"
    assert requester.http.call("GET", path, None, Manifest) == results

    (settlement,) = node.poll().settlements
    assert node.cosign(settlement) == Done()
    assert node.cosign(settlement) == Done(duplicate=True)
    assert node.poll().settlements == ()
    world.step()
    view = requester.job(job.job_id)
    assert view.state is JobState.SETTLED
    assert node.tokens() == view.provider_amount
    assert requester.tokens() == before - node.tokens()

    assert node.poll().receipts == (job.job_id,)
    receipt = open_sealed(
        node.receipt(job.job_id), Receipt, Domain.RECEIPT, world.oracle.keys.ticket.public
    )
    assert receipt.settlement_tx_id == view.settlement_tx_id
    assert read_transaction(bytes.fromhex(receipt.payment_tx)).tx_id.hex() == job.payment_tx_id
    ack = f"/v1/jobs/{job.job_id}/receipt/ack"
    assert node.http.call("POST", ack, Empty(), Done) == Done()
    assert node.http.call("POST", ack, Empty(), Done) == Done(duplicate=True)
    assert node.poll() == Inbox()
    listed = requester.http.call("GET", "/v1/jobs", None, JobList)
    assert [found.job_id for found in listed.jobs] == [job.job_id]


def test_what_is_delivered_twice_after_the_report_finds_everything_there(
    world: World, node: Node, requester: Requester
) -> None:
    job = requester.order()
    world.step()
    ticket_id = node.take(job.job_id)
    node.http.put_log(job.job_id, 0, LOG)
    results = node.put_results(job.job_id, RESULTS)
    report = node.report(job.job_id, ticket_id, results_hash=results.digest)
    node.send_report(report)
    assert node.http.put_log(job.job_id, 0, LOG) == len(LOG)
    assert node.put_results(job.job_id, RESULTS) == results
    assert node.send_report(report) == Done(duplicate=True)


def test_the_requester_can_cosign_a_settlement(
    world: World, node: Node, requester: Requester
) -> None:
    job = requester.order()
    world.step()
    ticket_id = node.take(job.job_id)
    node.send_report(node.report(job.job_id, ticket_id, reason=Reason.NODE_FAULT))
    path = f"/v1/jobs/{job.job_id}/settlement"
    settlement = requester.http.call("GET", path, None, Settlement)
    given = cosignature(bytes.fromhex(settlement.tx), requester.key)
    requester.http.call("POST", path, given, Done)
    world.step()
    view = requester.job(job.job_id)
    assert (view.state, view.provider_amount) == (JobState.SETTLED, 0)
    assert node.tokens() == 0


def settle(world: World, node: Node) -> None:
    (settlement,) = node.poll().settlements
    node.cosign(settlement)
    world.step()


def test_a_refused_offer_is_refunded_whole(world: World, node: Node, requester: Requester) -> None:
    before = requester.tokens()
    job = requester.order()
    world.step()
    (offer,) = node.poll().offers
    refusal = Refusal(ticket_id=node.ticket_id(offer), code="no_capacity", message="full")
    path = f"/v1/jobs/{job.job_id}/refuse"
    assert node.http.call("POST", path, refusal, Done) == Done()
    assert node.http.call("POST", path, refusal, Done) == Done(duplicate=True)
    settle(world, node)
    view = requester.job(job.job_id)
    assert (view.state, view.reason) == (JobState.SETTLED, Reason.NOT_ACCEPTED)
    assert view.detail == "no_capacity: full"
    assert requester.tokens() == before


def test_an_offer_that_nobody_takes_expires_and_is_refunded(
    world: World, node: Node, requester: Requester
) -> None:
    job = requester.order()
    world.step()
    (offer,) = node.poll().offers
    world.clock.now_s += 600
    with pytest.raises(RefusedError) as refused:
        node.accept(job.job_id, node.ticket_id(offer))
    assert refused.value.code == "not_offered"
    world.step()
    assert requester.job(job.job_id).reason is Reason.NOT_ACCEPTED
    settle(world, node)
    assert requester.job(job.job_id).state is JobState.SETTLED


def test_a_heartbeat_keeps_a_lease_and_silence_loses_it(
    world: World, node: Node, requester: Requester
) -> None:
    job = requester.order()
    world.step()
    ticket_id = node.take(job.job_id)
    world.clock.now_s += 500
    assert node.heartbeat(job.job_id).lost == ()
    world.step(500)
    assert requester.job(job.job_id).state is JobState.RUNNING
    world.step(101)
    view = requester.job(job.job_id)
    assert (view.reason, view.provider_amount) == (Reason.NODE_FAULT, 0)
    assert node.heartbeat(job.job_id).lost == (job.job_id,)
    with pytest.raises(RefusedError) as refused:
        node.send_report(node.report(job.job_id, ticket_id))
    assert refused.value.code == "not_running"


def test_a_requester_sees_what_the_node_is_at(
    world: World, node: Node, requester: Requester
) -> None:
    job = requester.order()
    world.step()
    ticket_id = node.take(job.job_id)
    assert requester.job(job.job_id).phase is None
    pulling = Phase(name="pulling", done_bytes=3, total_bytes=9)
    node.heartbeat(job.job_id, progress=(JobProgress(job_id=job.job_id, phase=pulling),))
    assert requester.job(job.job_id).phase == pulling
    node.heartbeat(job.job_id)  # nothing new was said
    assert requester.job(job.job_id).phase == pulling
    node.send_report(node.report(job.job_id, ticket_id))
    assert requester.job(job.job_id).phase is None


def test_leases_start_anew_when_the_oracle_was_down(tmp_path: Path) -> None:
    clock = ManualClock()
    with running(tmp_path / "oracle", clock) as world:
        node, requester = Node(world).online(), Requester(world)
        job = requester.order()
        world.step()
        node.take(job.job_id)
    clock.now_s += 10_000
    with running(tmp_path / "oracle", clock) as again:
        again.step()
        requester.http = again.client(None)
        assert again.rows()["events"] == 3  # submitted, offered, running: not lost
        again.step(601)
        assert again.rows()["events"] == 6  # reported, decided, settling


@pytest.mark.parametrize("when", ["submitted", "offered"])
def test_a_job_cancelled_before_it_runs_is_refunded_whole(
    world: World, node: Node, requester: Requester, when: str
) -> None:
    before = requester.tokens()
    job = requester.order()
    offer = None
    if when == "offered":
        world.step()
        (offer,) = node.poll().offers
    assert requester.cancel(job.job_id).cancel_requested
    world.step()
    if offer is not None:
        with pytest.raises(RefusedError) as refused:
            node.accept(job.job_id, node.ticket_id(offer))
        assert refused.value.code == "not_offered"
    assert node.poll().offers == ()
    settle(world, node)
    view = requester.job(job.job_id)
    assert (view.state, view.reason) == (JobState.SETTLED, Reason.CANCELLED)
    assert requester.tokens() == before


def test_a_running_job_is_cancelled_through_its_node_and_paid_by_the_time_it_ran(
    world: World, node: Node, requester: Requester
) -> None:
    job = requester.order()
    world.step()
    ticket_id = node.take(job.job_id)
    view = requester.cancel(job.job_id)
    assert (view.state, view.cancel_requested) == (JobState.RUNNING, True)
    assert node.poll().cancels == (job.job_id,)
    assert node.poll(known_cancels=(job.job_id,)) == Inbox()
    world.clock.now_s += 10
    node.send_report(
        node.report(job.job_id, ticket_id, reason=Reason.CANCELLED, ran_ms=99_000, exit_code=None)
    )
    view = requester.job(job.job_id)
    assert view.provider_amount == job.price // 10  # our clock says 10 of 100 s
    with pytest.raises(RefusedError) as refused:
        requester.cancel(job.job_id[:-1] + "0" if job.job_id[-1] != "0" else job.job_id[:-1] + "1")
    assert refused.value.code == "unknown_job"


def test_a_payment_that_never_reaches_the_chain_makes_the_job_void(
    world: World, node: Node, requester: Requester
) -> None:
    quote = requester.quote()
    requester.upload(quote)
    plan = requester.plan(quote)
    slot = world.oracle.chain.slot_at(world.clock())
    short = sign(build_payment(replace(plan, ttl=slot + 5)).raw, requester.key)
    job = requester.submit(requester.submission(quote, short))
    world.step(10)
    assert requester.job(job.job_id).state is JobState.VOID
    assert node.poll() == Inbox()


def test_the_same_submission_again_is_the_same_job(
    world: World, node: Node, requester: Requester
) -> None:
    quote = requester.quote()
    requester.upload(quote)
    submission = requester.submission(quote)
    job = requester.submit(submission)
    rows = world.rows()
    assert requester.submit(submission) == job
    assert world.rows() == rows


def test_a_payment_that_was_on_the_chain_already_counts(
    world: World, node: Node, requester: Requester
) -> None:
    quote = requester.quote()
    requester.upload(quote)
    submission = requester.submission(quote)
    body = TransactionBody(tx=submission.payment_tx)
    requester.http.call("POST", "/v1/chain/submit", body, TransactionId)
    world.step()
    job = requester.submit(submission)
    world.step()
    assert requester.job(job.job_id).state is JobState.OFFERED


def test_an_escrow_spent_without_us_makes_the_job_void(
    world: World, node: Node, requester: Requester
) -> None:
    job = requester.order()
    world.step()
    ticket_id = node.take(job.job_id)
    node.send_report(node.report(job.job_id, ticket_id))
    path = f"/v1/jobs/{job.job_id}/settlement"
    settlement = requester.http.call("GET", path, None, Settlement)
    # Another transaction than ours: the requester takes everything back after the deadline.
    with world.oracle.store.reading() as db:
        row = jobs.find(db, job.job_id)
    assert row is not None
    utxo = world.oracle.chain.utxo(payment_output(row))
    assert utxo is not None
    refund = build_refund(utxo, escrow_terms(settlement.request), requester.address)
    world.clock.now_s += job.deadline_slot + 10
    world.oracle.chain.submit(sign(refund.raw, requester.key))
    world.step()
    assert requester.job(job.job_id).state is JobState.VOID
