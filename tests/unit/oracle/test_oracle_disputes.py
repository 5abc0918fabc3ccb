"""The window between a verdict and its settlement: who may object, what holds, who may revise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from money_world import Node, Requester, World, objection_of

from nunet_dms.cardano.cip8 import sign_message
from nunet_dms.errors import RefusedError, VerificationError
from nunet_dms.oracle import disputing, receipts
from nunet_dms.oracle.auth import Caller
from nunet_dms.oracle.config import DEFAULT_DEADLINE_MARGIN_S, OracleConfig
from nunet_dms.oracle.terms import DISPUTE_HOLD_S, SETTLEMENT_SLOTS
from nunet_dms.oracle.views import job_view
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import Done
from nunet_dms.protocol.dispute import SignedObjection, WalletSigned, objection_payload
from nunet_dms.protocol.keys import SigningKey
from nunet_dms.protocol.receipt import Receipt
from nunet_dms.protocol.report import Reason, Verdict
from nunet_dms.protocol.signing import Domain, open_sealed, seal
from nunet_dms.protocol.submission import JobState

WINDOW_S = 3600


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An Oracle whose verdicts may be objected to for an hour."""
    made = World(tmp_path / "oracle", window_s=WINDOW_S)
    yield made
    made.close()


@pytest.fixture
def decided(world: World, node: Node, requester: Requester) -> str:
    """A job that ran half of its time, with its verdict."""
    job_id = requester.order()
    world.step()
    node.accept(job_id)
    world.clock.now_s += 50
    node.report(job_id)
    assert world.state(job_id) is JobState.DECIDED
    return job_id


def refusal(action: object, *given: object) -> str:
    with pytest.raises(VerificationError) as caught:
        action(*given)  # type: ignore[operator]
    return caught.value.code


def receipt_of(world: World, node: Node, job_id: str) -> Receipt:
    sealed = receipts.receipt_of(world.oracle, node.caller, job_id)
    return open_sealed(sealed, Receipt, Domain.RECEIPT, world.ticket_key)


def settle(world: World, node: Node, job_id: str) -> None:
    node.cosign(job_id)
    world.step()
    world.step()
    assert world.state(job_id) is JobState.SETTLED


def test_without_an_objection_the_settlement_is_signed_when_the_window_ends(
    world: World, node: Node, decided: str
) -> None:
    world.step(WINDOW_S - 1)
    assert world.state(decided) is JobState.DECIDED
    assert refusal(node.settlement, decided) == "no_settlement"
    world.step(1)
    assert world.state(decided) is JobState.SETTLING
    settle(world, node, decided)
    assert receipt_of(world, node, decided).objections == ()


def test_a_job_that_the_node_never_took_has_no_window(
    world: World, node: Node, requester: Requester
) -> None:
    job_id = requester.order()
    world.step()
    node.refuse(job_id)
    assert world.state(job_id) is JobState.SETTLING


def test_an_objection_holds_the_settlement_until_the_operator_upholds(
    world: World, node: Node, requester: Requester, decided: str
) -> None:
    assert requester.objects(decided) == Done()
    world.step(WINDOW_S)
    assert world.state(decided) is JobState.DECIDED
    (dispute,) = disputing.disputes(world.oracle, 10)
    assert (dispute.job.job_id, dispute.is_held) == (decided, True)
    assert dispute.objections[0].statement == "it did nothing"
    assert disputing.uphold(world.oracle, decided) == 1
    world.step()
    settle(world, node, decided)
    receipt = receipt_of(world, node, decided)
    assert (len(receipt.objections), receipt.first_verdict) == (1, None)
    assert world.tokens(node.wallet) == world.job(decided).price // 2


def test_an_objection_never_holds_longer_than_its_bound(
    world: World, node: Node, decided: str
) -> None:
    node.objects(decided)
    world.step(WINDOW_S + DISPUTE_HOLD_S - 1)
    assert world.state(decided) is JobState.DECIDED
    world.step(1)
    assert world.state(decided) is JobState.SETTLING


def test_near_the_deadline_an_objection_leaves_time_for_the_settlement(
    world: World, node: Node, requester: Requester
) -> None:
    job_id = requester.order()
    world.step()
    node.accept(job_id)
    left_s = world.job(job_id).deadline_slot - world.ledger.slot_at(world.clock())
    while left_s > SETTLEMENT_SLOTS + WINDOW_S + 500:
        world.step(500)
        node.beat()
        left_s -= 500
    node.report(job_id)
    requester.objects(job_id)
    world.step(left_s - SETTLEMENT_SLOTS - 1)
    assert world.state(job_id) is JobState.DECIDED
    world.step(1)
    assert world.state(job_id) is JobState.SETTLING
    settle(world, node, job_id)


def test_the_usual_margin_has_room_for_window_hold_and_settlement() -> None:
    window_s = OracleConfig(folder=Path(), network="preprod").window_s
    assert window_s == WINDOW_S
    assert window_s + DISPUTE_HOLD_S + SETTLEMENT_SLOTS < DEFAULT_DEADLINE_MARGIN_S
    assert OracleConfig(folder=Path()).window_s == 0


def test_an_objection_is_taken_once_a_side_and_verdict(
    world: World, node: Node, requester: Requester, decided: str
) -> None:
    assert (node.objects(decided), node.objects(decided)) == (Done(), Done(duplicate=True))
    assert refusal(node.objects, decided, "and another thing") == "objected_already"
    assert requester.objects(decided) == Done()
    assert world.clock() + WINDOW_S == world.job(decided).window_ends_s


def test_after_the_window_no_objection_is_taken(world: World, node: Node, decided: str) -> None:
    objection = objection_of(world, node.caller, decided, "too little")
    signed = SignedObjection(node=seal(objection, Domain.OBJECTION, node.key))
    given = (world.oracle, node.caller, decided, signed)
    assert disputing.object_to(*given) == Done()
    world.clock.now_s += WINDOW_S
    assert disputing.object_to(*given) == Done(duplicate=True)  # what was taken stays taken
    other = Requester(world)
    assert refusal(other.objects, decided) == "unknown_job"


def test_the_window_is_closed_for_the_other_side_too(
    world: World, requester: Requester, decided: str
) -> None:
    world.clock.now_s += WINDOW_S
    assert refusal(requester.objects, decided) == "window_closed"
    world.step()
    assert refusal(requester.objects, decided) == "not_decided"


def test_an_objection_must_be_signed_by_the_side_that_brings_it(
    world: World, node: Node, requester: Requester, decided: str
) -> None:
    ours = objection_of(world, node.caller, decided, "no")

    def bring(caller: Caller, objection: object, key: SigningKey) -> str:
        signed = SignedObjection(node=seal(objection, Domain.OBJECTION, key))
        return refusal(disputing.object_to, world.oracle, caller, decided, signed)

    assert bring(node.caller, ours, SigningKey.generate()) == "foreign_key"
    assert bring(requester.caller, ours, node.key) == "foreign_objection"
    assert bring(node.caller, replace(ours, party="requester"), node.key) == "foreign_objection"
    assert bring(node.caller, replace(ours, job_id="0" * 32), node.key) == "foreign_objection"
    assert bring(node.caller, replace(ours, verdict_hash="0" * 64), node.key) == "other_verdict"
    stranger = Node(world).register()
    assert bring(stranger.caller, ours, stranger.key) == "unknown_job"


def test_another_wallet_s_signature_under_an_objection_is_refused(
    world: World, requester: Requester, decided: str
) -> None:
    text = strict.encode(objection_of(world, requester.caller, decided, "no")).decode()
    thief = Requester(world)
    for payload, code in (
        (objection_payload(text), "wrong_address"),
        (text.encode(), "foreign_objection"),
    ):
        signer = thief if code == "wrong_address" else requester
        found = sign_message(signer.key, signer.address, payload)
        signed = WalletSigned(
            text=text, cose_sign1=found.cose_sign1.hex(), cose_key=found.cose_key.hex()
        )
        given = SignedObjection(requester=signed)
        assert refusal(disputing.object_to, world.oracle, requester.caller, decided, given) == code


def test_the_operator_revises_once_and_both_verdicts_are_kept(
    world: World, node: Node, requester: Requester, decided: str
) -> None:
    requester.objects(decided)
    price = world.job(decided).price
    revised = disputing.revise(world.oracle, decided, 10, "the log shows an idle job")
    assert (revised.provider_amount, revised.revised_percent) == (-(-price * 10 // 100), 10)
    assert refusal(disputing.revise, world.oracle, decided, 20, "again") == "revised_already"
    assert refusal(node.objects, decided) == "revised_already"
    world.step(WINDOW_S)
    settle(world, node, decided)
    receipt = receipt_of(world, node, decided)
    assert receipt.first_verdict is not None
    first = open_sealed(receipt.first_verdict, Verdict, Domain.VERDICT, world.ticket_key)
    assert first.provider_amount == price // 2
    assert (revised.revises, len(receipt.objections)) == (receipt.first_verdict.digest, 1)
    assert world.tokens(node.wallet) == revised.provider_amount
    assert refusal(disputing.revise, world.oracle, decided, 20, "late") == "not_decided"


def test_a_revision_answers_what_held_the_settlement(
    world: World, node: Node, requester: Requester, decided: str
) -> None:
    requester.objects(decided)
    world.step(WINDOW_S)
    disputing.revise(world.oracle, decided, 0, "nothing ran")
    world.step()
    assert world.state(decided) is JobState.SETTLING
    requester.cosign(decided)  # in its favour
    world.step()
    world.step()
    assert world.tokens(node.wallet) == 0
    assert world.state(decided) is JobState.SETTLED


def test_a_requester_does_not_sign_a_revision_against_it_and_the_node_does(
    world: World, node: Node, requester: Requester, decided: str
) -> None:
    node.objects(decided)
    disputing.revise(world.oracle, decided, 100, "the clock stood still")
    world.step(WINDOW_S)
    assert refusal(requester.cosign, decided) == "revised_against_us"
    settle(world, node, decided)
    assert world.tokens(node.wallet) == world.job(decided).price


def test_neither_side_signs_a_revision_that_is_not_what_it_says(
    world: World, node: Node, requester: Requester, decided: str
) -> None:
    disputing.revise(world.oracle, decided, 10, "idle")
    world.step(WINDOW_S)
    settlement = node.settlement(decided)
    keys = world.oracle.keys.ticket
    verdict = open_sealed(settlement.verdict, Verdict, Domain.VERDICT, world.ticket_key)
    for wrong in (
        replace(verdict, revised_percent=50),
        replace(verdict, revised_percent=None),
        replace(verdict, revises="0" * 64),
        replace(verdict, ran_ms=1),
    ):
        found = replace(settlement, verdict=seal(wrong, Domain.VERDICT, keys))
        assert refusal(node.sign, found) == "wrong_revision"
        assert refusal(requester.sign, found) == "wrong_revision"
    second = replace(verdict, revises=settlement.verdict.digest)
    twice = replace(
        settlement,
        verdict=seal(second, Domain.VERDICT, keys),
        first_verdict=settlement.verdict,
    )
    assert refusal(node.sign, twice) == "wrong_revision"
    assert refusal(node.sign, replace(settlement, first_verdict=None)) == "wrong_revision"


def test_nobody_is_paid_by_revision_for_a_job_without_a_signed_report(
    world: World, node: Node, requester: Requester
) -> None:
    job_id = requester.order()
    world.step()
    node.accept(job_id)
    world.step(601)  # the lease is lost
    assert world.job(job_id).reason is Reason.NODE_FAULT
    assert world.state(job_id) is JobState.DECIDED
    assert refusal(disputing.revise, world.oracle, job_id, 50, "it did run") == "no_report"
    assert disputing.revise(world.oracle, job_id, 0, "no").provider_amount == 0


def test_there_is_nothing_to_uphold_without_an_objection(world: World, decided: str) -> None:
    assert refusal(disputing.uphold, world.oracle, decided) == "no_objection"
    assert refusal(disputing.uphold, world.oracle, "0" * 32) == "unknown_job"


def test_an_objection_after_the_answer_holds_again(
    world: World, node: Node, requester: Requester, decided: str
) -> None:
    requester.objects(decided)
    disputing.uphold(world.oracle, decided)
    node.objects(decided)
    world.step(WINDOW_S)
    assert world.state(decided) is JobState.DECIDED


def test_objections_and_the_window_survive_a_crash(
    world: World, requester: Requester, decided: str
) -> None:
    requester.objects(decided)
    world.reopen()
    world.step(WINDOW_S)
    assert world.state(decided) is JobState.DECIDED
    world.reopen()
    assert disputing.disputes(world.oracle, 10)[0].is_held


def test_a_requester_s_view_tells_of_window_objections_and_revision(
    world: World, requester: Requester, decided: str
) -> None:
    requester.objects(decided)
    disputing.revise(world.oracle, decided, 0, "nothing ran")
    view = job_view(world.oracle, requester.address.bech32, decided)
    assert (view.objections, view.is_revised) == (("requester",), True)
    assert view.window_ends_s == world.job(decided).window_ends_s


def test_a_stranger_hears_of_no_verdict(world: World, decided: str) -> None:
    with pytest.raises(RefusedError, match="cannot find job"):
        disputing.decision_of(world.oracle, Requester(world).caller, decided)
