"""Where a job's life could come apart: restarts, a chain that is away, nodes that misbehave."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from oracle_world import (
    PROGRAM,
    ManualClock,
    Node,
    Requester,
    World,
    cosignature,
    entry,
    running,
    spec,
)

from nunet_dms.cardano.builder import build_payment, sign
from nunet_dms.errors import CapacityError, OracleUnreachableError, RefusedError, UnreachableError
from nunet_dms.oracle.offering import PAYMENT_WAIT_S
from nunet_dms.oracle.quoting import SPEC_MAX_BYTES
from nunet_dms.oracle.terms import SETTLEMENT_SLOTS
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import Done
from nunet_dms.protocol.job import Manifest
from nunet_dms.protocol.node import Inbox, MissingBlobs, Settlement
from nunet_dms.protocol.report import Reason
from nunet_dms.protocol.submission import JobState


def refusal(call: object, *arguments: object, **named: object) -> str:
    """Return the code with which the call is refused."""
    assert callable(call)
    with pytest.raises(RefusedError) as refused:
        call(*arguments, **named)
    return refused.value.code


@pytest.mark.parametrize(
    "crash_after", ["submitted", "offered", "running", "reported", "settling", "cosigned"]
)
def test_a_restart_anywhere_loses_nothing(tmp_path: Path, crash_after: str) -> None:
    clock = ManualClock()
    with ExitStack() as stack:
        world = stack.enter_context(running(tmp_path / "oracle", clock))
        node, requester = Node(world).online(), Requester(world)
        job_id, ticket_id = "", ""

        def passed(what: str) -> None:
            nonlocal world, stack
            if what == crash_after:
                stack.close()
                world = stack.enter_context(running(tmp_path / "oracle", clock))
                for party in (node, requester):
                    party.world = world
                    party.http = world.client(party.http._proof)  # type: ignore[arg-type]

        job_id = requester.order().job_id
        passed("submitted")
        world.step(1)
        passed("offered")
        ticket_id = node.take(job_id)
        passed("running")
        world.clock.now_s += 60
        report = node.report(job_id, ticket_id)
        node.send_report(report)
        passed("reported")
        assert node.send_report(report) == Done(duplicate=True)
        (settlement,) = node.poll().settlements
        passed("settling")
        node.cosign(settlement)
        passed("cosigned")
        world.step(1)
        view = requester.job(job_id)
        assert (view.state, view.provider_amount) == (JobState.SETTLED, view.price // 2)
        assert node.tokens() == view.provider_amount


def test_a_payment_that_the_chain_could_not_take_is_handed_in_again(
    world: World, node: Node, requester: Requester, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_away(raw: bytes) -> bytes:
        raise UnreachableError("cannot reach the chain: it is away")

    with monkeypatch.context() as patch:
        patch.setattr(world.oracle.chain, "submit", is_away)
        job_id = requester.order().job_id
    world.step(1)
    assert requester.job(job_id).state is JobState.SUBMITTED
    world.step(1)
    assert requester.job(job_id).state is JobState.OFFERED


def test_a_payment_that_never_comes_is_given_up_after_an_hour(
    world: World, node: Node, requester: Requester, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(raw: bytes) -> bytes:
        raise CapacityError("cannot take the transaction: the mempool is full")

    monkeypatch.setattr(world.oracle.chain, "submit", is_full)
    job_id = requester.order().job_id
    world.step(PAYMENT_WAIT_S)
    assert requester.job(job_id).state is JobState.SUBMITTED
    world.step(1)
    assert requester.job(job_id).state is JobState.VOID


def test_a_settlement_that_the_chain_could_not_take_is_handed_in_again(
    world: World, node: Node, requester: Requester, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(raw: bytes) -> bytes:
        raise CapacityError("cannot take the transaction: the mempool is full")

    job_id = requester.order().job_id
    world.step(1)
    node.send_report(node.report(job_id, node.take(job_id)))
    (settlement,) = node.poll().settlements
    with monkeypatch.context() as patch:
        patch.setattr(world.oracle.chain, "submit", is_full)
        node.cosign(settlement)
        assert node.poll() == Inbox(), "what is signed is not asked for again"
    world.step(1)
    assert requester.job(job_id).state is JobState.SETTLING
    world.step(1)
    assert requester.job(job_id).state is JobState.SETTLED


def test_a_job_that_its_node_never_ends_is_refunded_before_the_deadline(
    world: World, node: Node, requester: Requester
) -> None:
    job = requester.order()
    world.step(1)
    node.take(job.job_id)
    left = job.deadline_slot - world.oracle.chain.slot_at(world.clock())
    world.clock.now_s += left - SETTLEMENT_SLOTS - 1
    node.heartbeat(job.job_id)
    world.step()
    assert requester.job(job.job_id).state is JobState.RUNNING
    world.step(1)
    view = requester.job(job.job_id)
    assert (view.reason, view.provider_amount) == (Reason.NODE_FAULT, 0)
    assert node.heartbeat(job.job_id).lost == (job.job_id,)


def test_a_payment_confirmed_too_late_for_its_deadline_goes_back(
    world: World, node: Node, requester: Requester
) -> None:
    quote = requester.quote()
    requester.upload(quote)
    payment = sign(build_payment(replace(requester.plan(quote), ttl=None)).raw, requester.key)
    job = requester.submit(requester.submission(quote, payment))
    slot = world.oracle.chain.slot_at(world.clock())
    world.step(job.deadline_slot - slot - SETTLEMENT_SLOTS)  # the next block comes only now
    view = requester.job(job.job_id)
    assert (view.state, view.reason) == (JobState.SETTLING, Reason.NOT_ACCEPTED)
    assert view.provider_amount == 0
    assert node.poll().offers == ()


def test_a_report_is_refused_while_results_are_missing(
    world: World, node: Node, requester: Requester
) -> None:
    job_id = requester.order().job_id
    world.step(1)
    ticket_id = node.take(job_id)
    results = Manifest(files=(entry("a", b"a"), entry("b", b"b")))
    path = f"/v1/jobs/{job_id}/results"
    missing = node.http.call("POST", path, results, MissingBlobs).missing
    assert len(missing) == 2
    report = node.report(job_id, ticket_id, results_hash=results.digest)
    node.http.put_bytes(f"/v1/blobs/{entry('a', b'a').sha256}", b"a")
    assert refusal(node.send_report, report) == "results_missing"
    assert refusal(requester.http.call, "GET", path, None, Manifest) == "not_reported"
    node.http.put_bytes(f"/v1/blobs/{entry('b', b'b').sha256}", b"b")
    assert node.send_report(report) == Done()


def test_a_settlement_signed_by_a_stranger_or_over_other_bytes_is_refused(
    world: World, node: Node, requester: Requester
) -> None:
    job_id = requester.order().job_id
    path = f"/v1/jobs/{job_id}/settlement"
    world.step(1)
    ticket_id = node.take(job_id)
    assert refusal(requester.http.call, "GET", path, None, Settlement) == "no_settlement"
    node.send_report(node.report(job_id, ticket_id))
    (settlement,) = node.poll().settlements
    raw = bytes.fromhex(settlement.tx)
    payment = bytes.fromhex(requester.submission(requester.quote()).payment_tx)
    stranger = Node(world).settlement_key
    for key, signed, code in (
        (stranger, raw, "foreign_key"),
        (world.oracle.keys.escrow, raw, "foreign_key"),
        (node.settlement_key, payment, "bad_signature"),
    ):
        given = cosignature(signed, key)
        assert refusal(node.http.call, "POST", path, given, Done) == code
    assert node.poll().settlements == (settlement,)
    node.cosign(settlement)
    world.step(1)
    assert requester.job(job_id).state is JobState.SETTLED


def test_one_broken_job_leaves_the_others_alone(
    world: World, node: Node, requester: Requester
) -> None:
    broken = requester.order().job_id
    world.step(1)
    ticket_id = node.take(broken)
    with world.oracle.store.writing() as db:
        db.exec_driver_sql("DELETE FROM papers WHERE job_id = ? AND kind = 'request'", (broken,))
    with pytest.raises(OracleUnreachableError, match="something went wrong here"):
        node.send_report(node.report(broken, ticket_id))
    world.step(1)
    good = requester.order().job_id
    world.step(1)
    assert requester.job(good).state is JobState.OFFERED
    assert requester.job(broken).state is JobState.DECIDED  # there is nothing to settle it by


def test_what_others_uploaded_cannot_be_read_by_naming_its_hash(
    world: World, node: Node, requester: Requester
) -> None:
    secret = b"a stranger's own data"
    stranger = Requester(world)
    theirs = spec(inputs=Manifest(files=(entry("secret", secret),)))
    quote = stranger.quote(theirs)
    stranger.upload(quote, secret, manifest=theirs.inputs)
    path = f"/v1/blobs/{entry('secret', secret).sha256}"

    mine = requester.quote(theirs)
    inputs = f"/v1/quotes/{mine.quote_id}/inputs"
    missing = requester.http.call("POST", inputs, theirs.inputs, MissingBlobs).missing
    assert len(missing) == 1, "to have it is to be able to upload it"
    assert refusal(requester.submit, requester.submission(mine)) == "inputs_missing"

    job_id = requester.order().job_id
    world.step(1)
    node.take(job_id)
    results = f"/v1/jobs/{job_id}/results"
    assert node.http.call("POST", results, theirs.inputs, MissingBlobs).missing
    for party in (node, requester):
        assert refusal(party.http.call, "GET", path, None, Done) == "unknown_blob"


def test_a_node_reads_the_inputs_of_the_job_that_it_was_offered_until_it_ends(
    world: World, node: Node, requester: Requester, tmp_path: Path
) -> None:
    path = f"/v1/blobs/{entry('job.py', PROGRAM).sha256}"
    job_id = requester.order().job_id
    assert refusal(node.http.call, "GET", path, None, Done) == "unknown_blob"
    world.step(1)
    ticket_id = node.take(job_id)
    with (tmp_path / "got").open("wb") as to:
        node.http.get_bytes(path, to=to, limit=len(PROGRAM))
    assert (tmp_path / "got").read_bytes() == PROGRAM
    node.send_report(node.report(job_id, ticket_id))
    assert refusal(node.http.call, "GET", path, None, Done) == "unknown_blob"


def test_a_spec_that_could_not_travel_on_is_refused(
    world: World, node: Node, requester: Requester
) -> None:
    names = ["/".join('"' * 200 for _ in range(5)) + str(number) for number in range(1500)]
    large = spec(inputs=Manifest(files=tuple([entry(name, PROGRAM) for name in names])))
    assert len(strict.encode(large)) > SPEC_MAX_BYTES
    rows = world.rows()
    assert refusal(requester.quote, large) == "spec_too_large"
    assert world.rows() == rows


def test_many_offers_come_in_parts_that_the_node_can_read(
    world: World, node: Node, requester: Requester
) -> None:
    names = ["/".join('"' * 200 for _ in range(5)) + str(number) for number in range(500)]
    large = spec(inputs=Manifest(files=tuple([entry(name, PROGRAM) for name in names])))
    assert SPEC_MAX_BYTES // 2 < len(strict.encode(large)) < SPEC_MAX_BYTES
    for _ in range(2):
        quote = requester.quote(large)
        requester.upload(quote, manifest=large.inputs)
        requester.submit(requester.submission(quote))
        world.step(1)
    heard: list[str] = []
    while offers := node.poll(known_offers=tuple(heard)).offers:
        assert len(offers) == 1
        heard += [strict.parse(offer.ticket.payload)["job_id"] for offer in offers]  # type: ignore[index]
    assert len(set(heard)) == 2
