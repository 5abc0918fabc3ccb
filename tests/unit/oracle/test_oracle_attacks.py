"""The attacks that the first NuNet listed and did not test, each against a real Oracle and ledger.

Names follow `facts/nunet_v04.md`, 4.5: what a provider must refuse, what the Oracle must refuse,
what it must allow.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from money_history import foreign_tokens, plan_of
from money_world import SPEC, TIME_LIMIT_S, Node, Requester, World

from nunet_dms.cardano.agreement import escrow_terms, settlement_terms
from nunet_dms.cardano.builder import build_payment, build_refund, build_settlement
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.signing import sign, witness_for
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.errors import CapacityError, MalformedError, VerificationError
from nunet_dms.node.admission import verify_offer
from nunet_dms.oracle import admitting, offering, quoting, settling, views, watching
from nunet_dms.oracle.auth import Caller
from nunet_dms.oracle.registering import LEASE_S
from nunet_dms.oracle.terms import payment_output
from nunet_dms.protocol import strict
from nunet_dms.protocol.job import FileEntry, JobSpec, Manifest
from nunet_dms.protocol.node import Acceptance, Cosignature, Offer
from nunet_dms.protocol.report import Reason, Verdict
from nunet_dms.protocol.signing import Domain, open_sealed
from nunet_dms.protocol.submission import JobState, QuoteRequest
from nunet_dms.requester import pay


@pytest.fixture
def running(world: World, node: Node, requester: Requester) -> str:
    """A job that has run for 50 of its 100 seconds."""
    job_id = requester.order()
    world.step()
    node.accept(job_id)
    world.clock.now_s += 50
    return job_id


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(VerificationError) as caught:
        action()
    return caught.value.code


def plain(spec: JobSpec) -> dict[str, object]:
    """Return a spec as JSON values."""
    tree = strict.parse(strict.encode(spec))
    assert isinstance(tree, dict)
    return tree


def offer_of(world: World, node: Node, requester: Requester) -> Offer:
    requester.order()
    world.step()
    (offer,) = node.poll().offers
    return offer


def taken(world: World, node: Node, offer: Offer) -> str:
    """Return why a node does not take an offer."""
    info = views.info(world.oracle)
    return code_of(lambda: verify_offer(offer, info, node.identity, world.clock()))


def full_refund(world: World, requester: Requester, job_id: str) -> bytes:
    """Return a transaction that gives a job's whole price back, signed by its requester alone."""
    record = requester.records[job_id]
    job = world.job(job_id)
    verdict = Verdict(
        job_id=job_id, report_hash=None, reason=Reason.NODE_FAULT, price=job.price, ran_ms=0,
        provider_amount=0, requester_amount=job.price, issued_s=0,
    )  # fmt: skip
    escrow = world.ledger.utxo(payment_output(job))
    assert escrow is not None
    terms = settlement_terms(record.request, payment_output(job), verdict)
    return sign(build_settlement(escrow, terms).raw, requester.key)


def on_chain(world: World, raw: bytes) -> str:
    """Return why the ledger itself refuses a transaction."""
    return code_of(lambda: world.ledger.submit(raw))


# The provider must refuse; here the Oracle does it for it, and the node once more.


def test_an_unknown_tx_hash(world: World, node: Node, requester: Requester) -> None:
    def from_nowhere(checked: pay.CheckedQuote, utxos: tuple[pay.Utxo, ...]) -> bytes:
        unknown = tuple(replace(utxo, ref=TxInput(os.urandom(32), 0)) for utxo in utxos)
        return sign(build_payment(plan_of(requester, checked, unknown)).raw, requester.key)

    record = requester.signed(requester.quote(), from_nowhere)
    assert code_of(lambda: requester.submit(record)) == "unknown_input"
    world.step()
    assert code_of(lambda: world_job(world, requester, record.job_id)) == "unknown_job"
    assert node.poll().offers == ()


def world_job(world: World, requester: Requester, job_id: str) -> object:
    return views.job_view(world.oracle, requester.address.bech32, job_id)


def test_the_same_tx_hash_twice(world: World, node: Node, requester: Requester) -> None:
    first, second = requester.signed(requester.quote()), requester.quote()
    requester.submit(first)
    again = requester.signed(
        second, lambda _checked, _utxos: bytes.fromhex(first.submission.payment_tx)
    )
    assert code_of(lambda: requester.submit(again)) == "wrong_job"
    admitting.submit(world.oracle, requester.address.bech32, first.submission)  # the same job
    stolen = replace(first.submission, quote_id=second.quote_id)
    assert (
        code_of(lambda: admitting.submit(world.oracle, requester.address.bech32, stolen))
        == "request_mismatch"
    )
    world.step()
    assert len(node.poll().offers) == 1


@pytest.mark.parametrize("declared", [1, 2, 1000])
def test_a_declared_amount_above_the_paid_one(
    world: World, node: Node, requester: Requester, declared: int
) -> None:
    def less(checked: pay.CheckedQuote, utxos: tuple[pay.Utxo, ...]) -> bytes:
        plan = plan_of(requester, checked, utxos)
        return sign(build_payment(replace(plan, price=plan.price - declared)).raw, requester.key)

    record = requester.signed(requester.quote(), less)
    assert code_of(lambda: requester.submit(record)) == "underpaid"
    offer = offer_of(world, node, requester)
    request = strict.decode(pay.JobRequest, offer.request)
    dearer = replace(request, price=request.price + declared)
    assert taken(world, node, replace(offer, request=strict.encode(dearer).decode())) == (
        "wrong_request"
    )


def test_a_payment_in_tokens_of_the_requester_s_own_making(
    world: World, requester: Requester, node: Node
) -> None:
    def minted(checked: pay.CheckedQuote, utxos: tuple[pay.Utxo, ...]) -> bytes:
        return foreign_tokens(requester, plan_of(requester, checked, utxos))

    record = requester.signed(requester.quote(), minted)
    assert code_of(lambda: requester.submit(record)) in {"wrong_policy", "metadata_missing"}


def test_requirements_too_large_for_the_payment(
    world: World, node: Node, requester: Requester
) -> None:
    offer = offer_of(world, node, requester)
    larger = replace(SPEC, resources=replace(SPEC.resources, cpu_mhz=2000))
    assert taken(world, node, replace(offer, spec=strict.encode(larger).decode())) == "wrong_spec"
    longer = replace(SPEC, time_limit_s=2 * TIME_LIMIT_S)
    assert taken(world, node, replace(offer, spec=strict.encode(longer).decode())) == "wrong_spec"


def test_a_requester_key_that_is_not_the_sender_s(
    world: World, node: Node, requester: Requester
) -> None:
    thief = Requester(world).fund()
    record = requester.signed(requester.quote())
    assert (
        code_of(lambda: admitting.submit(world.oracle, thief.address.bech32, record.submission))
        == "unknown_quote"
    )
    theirs = thief.signed(thief.quote())
    forged = replace(
        record.submission,
        cose_sign1=theirs.submission.cose_sign1,
        cose_key=theirs.submission.cose_key,
    )
    assert (
        code_of(lambda: admitting.submit(world.oracle, requester.address.bech32, forged))
        == "wrong_address"
    )
    asked = QuoteRequest(spec=SPEC, requester=requester.address.bech32)
    assert (
        code_of(lambda: quoting.make_quote(world.oracle, thief.address.bech32, asked))
        == "foreign_requester"
    )


def test_a_node_id_that_is_not_the_sender_s(world: World, node: Node, requester: Requester) -> None:
    offer = offer_of(world, node, requester)
    (job_id,) = requester.records
    stranger = Node(world).register()
    stranger.tickets = dict(node.tickets)
    acceptance = Acceptance(ticket_id=world.job(job_id).ticket_id or "")
    assert (
        code_of(lambda: offering.accept(world.oracle, stranger.node_id, job_id, acceptance))
        == "unknown_job"
    )
    assert taken(world, stranger, offer) == "foreign_ticket"


def test_a_provider_key_that_is_not_ours(world: World, node: Node, requester: Requester) -> None:
    offer = offer_of(world, node, requester)
    us = replace(node.identity, settlement_key=PaymentKey.generate())
    info = views.info(world.oracle)
    assert code_of(lambda: verify_offer(offer, info, us, world.clock())) == "foreign_request"
    elsewhere = replace(node.identity, wallet=requester.address.bech32)
    assert code_of(lambda: verify_offer(offer, info, elsewhere, world.clock())) == "foreign_wallet"


@pytest.mark.parametrize("image", ["python", "python:3.11", "python@sha256:12", "a b@sha256:0"])
def test_an_image_that_is_not_named_by_its_digest(image: str) -> None:
    tree = plain(SPEC) | {"image": image}
    with pytest.raises(MalformedError) as caught:
        strict.structure(JobSpec, tree)
    assert caught.value.where == "$.image"


def test_a_hostile_program_url(world: World, node: Node, requester: Requester) -> None:
    """A job names no program to download: files travel by their hashes, and paths stay inside."""
    tree = plain(SPEC)
    with pytest.raises(MalformedError, match="unknown key"):
        strict.structure(JobSpec, tree | {"program_url": "http://evil.example/fork-bomb.py"})
    hostile = {"path": "../../etc/cron.d/evil", "size": 1, "sha256": "0" * 64}
    with pytest.raises(MalformedError, match=r"\.\."):
        strict.structure(JobSpec, tree | {"inputs": {"files": [hostile]}})


def test_an_unknown_service_type(world: World, node: Node, requester: Requester) -> None:
    with pytest.raises(MalformedError) as caught:
        strict.structure(JobSpec, plain(SPEC) | {"kind": "ml-on-gpu"})
    assert caught.value.where == "$.kind"
    asked = QuoteRequest(spec=replace(SPEC, kind="service"), requester=requester.address.bech32)
    assert (
        code_of(lambda: quoting.make_quote(world.oracle, requester.address.bech32, asked))
        == "unsupported"
    )


def test_an_invalid_resume(world: World, node: Node, requester: Requester) -> None:
    """A checkpoint to go on from is an input like any other: what was not uploaded is not taken."""
    entry = FileEntry(path="checkpoint.bin", size=3, sha256="ab" * 32)
    resumed = replace(SPEC, inputs=Manifest(files=(entry,)))
    asked = QuoteRequest(spec=resumed, requester=requester.address.bech32)
    quote = quoting.make_quote(world.oracle, requester.address.bech32, asked)
    other = Manifest(files=(replace(entry, sha256="cd" * 32),))
    assert (
        code_of(
            lambda: admitting.announce_inputs(
                world.oracle, requester.address.bech32, quote.quote_id, other
            )
        )
        == "not_quoted"
    )
    record = requester.signed(quote, spec=resumed)
    assert code_of(lambda: requester.submit(record)) == "inputs_missing"


# The Oracle must refuse.


def test_refund_while_the_job_runs(world: World, requester: Requester, running: str) -> None:
    assert code_of(lambda: requester.cosign(running)) == "no_settlement"
    assert code_of(lambda: requester.refund(running)) == "deadline_not_reached"
    assert on_chain(world, full_refund(world, requester, running)) == "script_not_satisfied"
    assert on_chain(world, early_refund(world, requester, running)) == "not_yet_valid"
    assert world.state(running) is JobState.RUNNING


def early_refund(world: World, requester: Requester, job_id: str) -> bytes:
    """Return the deadline's refund, handed in before the deadline."""
    escrow = world.ledger.utxo(payment_output(world.job(job_id)))
    assert escrow is not None
    terms = escrow_terms(requester.records[job_id].request)
    return sign(build_refund(escrow, terms, requester.address).raw, requester.key)


def test_refund_before_the_limit_when_the_provider_goes_offline(
    world: World, requester: Requester, running: str
) -> None:
    world.step(LEASE_S - 51)  # silent, and its lease still holds
    assert world.state(running) is JobState.RUNNING
    assert code_of(lambda: requester.cosign(running)) == "no_settlement"
    assert on_chain(world, full_refund(world, requester, running)) == "script_not_satisfied"


def test_refund_after_success(world: World, node: Node, requester: Requester, running: str) -> None:
    node.report(running)
    whole = full_refund(world, requester, running)
    stolen = witness_for(whole, requester.key)
    given = Cosignature(public_key=stolen.public.hex(), signature=stolen.signature.hex())
    assert (
        code_of(lambda: settling.cosign(world.oracle, requester.caller, running, given))
        == "bad_signature"
    )
    assert on_chain(world, whole) == "script_not_satisfied"
    assert code_of(lambda: requester.refund(running)) == "deadline_not_reached"
    node.cosign(running)
    world.step()
    assert code_of(lambda: world.ledger.submit(whole)) == "spent_input"
    assert world.tokens(node.wallet) == world.job(running).price // 2


def test_withdraw_without_having_run_the_job(
    world: World, node: Node, requester: Requester
) -> None:
    job_id = requester.order()
    world.step()
    (offer,) = node.poll().offers
    assert offer
    node.tickets[job_id] = world.job(job_id).ticket_id or ""
    assert code_of(lambda: node.report(job_id)) == "not_running"
    assert code_of(lambda: node.cosign(job_id)) == "no_settlement"
    world.step(601)
    assert world.job(job_id).reason is Reason.NOT_ACCEPTED
    assert code_of(lambda: node.report(job_id)) == "not_running"


def test_withdraw_of_more_time_than_passed(world: World, node: Node, running: str) -> None:
    node.report(running, ran_ms=100_000)
    assert world.job(running).provider_amount == world.job(running).price // 2


def test_a_second_withdrawal_of_the_same_job(world: World, node: Node, running: str) -> None:
    node.report(running)
    node.cosign(running)
    world.step()
    with pytest.raises(VerificationError) as caught:
        node.report(running, ran_ms=40_000)
    assert caught.value.code == "report_conflict"
    assert node.cosign(running).duplicate
    world.step()
    assert world.tokens(node.wallet) == world.job(running).price // 2


@pytest.mark.parametrize("alone", ["requester", "node", "oracle", "stranger"])
def test_each_party_alone_is_refused_by_the_ledger(
    world: World, node: Node, requester: Requester, running: str, alone: str
) -> None:
    node.report(running)
    with world.oracle.store.reading() as db:
        raw = bytes.fromhex(settling.waiting(db, world.job(running)).tx)
    key = {
        "requester": requester.key,
        "node": node.settlement_key,
        "oracle": world.oracle.keys.escrow,
        "stranger": PaymentKey.generate(),
    }[alone]
    verdict = open_sealed(
        node.settlement(running).verdict, Verdict, Domain.VERDICT, world.ticket_key
    )
    job = world.job(running)
    escrow = world.ledger.utxo(payment_output(job))
    assert escrow is not None
    request = requester.records[running].request
    unsigned = build_settlement(escrow, settlement_terms(request, payment_output(job), verdict))
    assert on_chain(world, sign(unsigned.raw, key)) == "script_not_satisfied"
    assert raw


def test_two_of_a_job_s_parties_cannot_make_the_oracle_sign_another_split(
    world: World, node: Node, requester: Requester, running: str
) -> None:
    node.report(running)
    other = witness_for(full_refund(world, requester, running), node.settlement_key)
    given = Cosignature(public_key=other.public.hex(), signature=other.signature.hex())
    assert (
        code_of(lambda: settling.cosign(world.oracle, node.caller, running, given))
        == "bad_signature"
    )
    foreign = PaymentKey.generate()
    settlement = node.settlement(running)
    theirs = witness_for(bytes.fromhex(settlement.tx), foreign)
    given = Cosignature(public_key=theirs.public.hex(), signature=theirs.signature.hex())
    assert (
        code_of(lambda: settling.cosign(world.oracle, node.caller, running, given)) == "foreign_key"
    )
    stranger = Caller(Requester(world).address.bech32, "wallet")
    assert code_of(lambda: settling.cosign(world.oracle, stranger, running, given)) == "unknown_job"


# The Oracle must allow.


def test_withdraw_after_success(
    world: World, node: Node, requester: Requester, running: str
) -> None:
    node.report(running)
    node.cosign(running)
    world.step()
    assert world.state(running) is JobState.SETTLED
    assert world.tokens(node.wallet) == world.job(running).price // 2


@pytest.mark.parametrize(
    "reason", [Reason.NODE_FAULT, Reason.IMAGE_UNAVAILABLE, Reason.START_ERROR]
)
def test_refund_after_a_failure_that_is_not_the_job_s_own(
    world: World, node: Node, requester: Requester, running: str, reason: Reason
) -> None:
    before = world.tokens(requester.address)
    node.report(running, reason)
    requester.cosign(running)
    world.step()
    assert world.state(running) is JobState.SETTLED
    assert world.tokens(requester.address) == before + world.job(running).price


def test_refund_after_the_limit(
    world: World, node: Node, requester: Requester, running: str
) -> None:
    node.report(running)  # and never signs
    before, job = world.tokens(requester.address), world.job(running)
    slots = job.deadline_slot - world.ledger.slot_at(world.clock())
    world.step(slots)
    assert code_of(lambda: requester.refund(running)) == "deadline_not_reached"
    world.step(1)
    requester.refund(running)
    world.step()
    world.step(watching.LOOK_MOST_S)  # what waits for a signature is looked for now and then
    assert world.tokens(requester.address) == before + job.price
    assert world.state(running) is JobState.VOID


def test_refund_with_the_provider_offline(
    world: World, node: Node, requester: Requester, running: str
) -> None:
    before = world.tokens(requester.address)
    world.step(LEASE_S)
    assert world.job(running).reason is Reason.NODE_FAULT
    requester.cosign(running)
    world.step()
    assert world.state(running) is JobState.SETTLED
    assert world.tokens(requester.address) == before + world.job(running).price


def test_a_refund_needs_nobody_after_the_deadline_not_even_the_oracle(
    world: World, requester: Requester, running: str
) -> None:
    before, price = world.tokens(requester.address), world.job(running).price
    world.clock.now_s += 90_000  # the Oracle's clockwork stands still
    requester.refund(running)
    world.block()
    assert world.tokens(requester.address) == before + price


def test_a_wallet_without_tokens_cannot_pay(world: World, node: Node) -> None:
    with pytest.raises(CapacityError):
        Requester(world).order()
