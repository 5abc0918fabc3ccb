"""What becomes of a job when the chain loses what it had: held, handed in again, or stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest
from money_world import Node, Requester, World

from nunet_dms.cardano.builder import build_transfer
from nunet_dms.cardano.chain.backend import ChainTransaction
from nunet_dms.cardano.output import new_output
from nunet_dms.cardano.signing import sign
from nunet_dms.cardano.value import Value
from nunet_dms.errors import RefusedError, UnreachableError
from nunet_dms.oracle import receipts, watching
from nunet_dms.oracle.settling import FINAL_AFTER_S
from nunet_dms.protocol.report import Reason
from nunet_dms.protocol.submission import JobState


@pytest.fixture
def offered(world: World, node: Node, requester: Requester) -> tuple[str, int]:
    """A job on offer, and the height before its payment's block."""
    height = world.ledger.tip().height
    job_id = requester.order()
    world.step()
    assert world.state(job_id) is JobState.OFFERED
    return job_id, height


@pytest.fixture
def running(world: World, offered: tuple[str, int], node: Node) -> tuple[str, int]:
    """A job that runs, and the height before its payment's block."""
    node.accept(offered[0])
    world.clock.now_s += 10
    return offered


def double_spend(world: World, requester: Requester) -> None:
    """Spend what the payment was made of, in a block of its own."""
    utxos = world.ledger.unspent_outputs(requester.address)
    elsewhere = Requester(world).address
    spend = build_transfer(utxos, (new_output(elsewhere, Value(2_000_000)),), requester.address)
    world.ledger.submit(sign(spend.raw, requester.key))
    world.block()


def test_a_job_is_not_given_away_while_the_chain_lacks_its_payment(
    world: World, node: Node, offered: tuple[str, int]
) -> None:
    job_id, height = offered
    node.poll()
    world.ledger.rollback(height)
    with pytest.raises(UnreachableError, match="does not have its payment"):
        node.accept(job_id)
    assert world.job(job_id).payment_missing_s is not None
    assert node.poll().offers == ()
    assert world.state(job_id) is JobState.OFFERED
    world.block()  # the payment came back with the next block
    node.accept(job_id)
    assert world.state(job_id) is JobState.RUNNING
    assert world.job(job_id).payment_missing_s is None


def test_an_offer_that_ends_without_its_payment_ends_as_payment_lost(
    world: World, node: Node, offered: tuple[str, int], requester: Requester
) -> None:
    job_id, height = offered
    world.ledger.rollback(height, drop=True)
    double_spend(world, requester)
    with pytest.raises(RefusedError) as refused:
        node.accept(job_id)
    assert refused.value.code == "not_offered"
    world.step()
    job = world.job(job_id)
    assert (job.state, job.reason) == (JobState.VOID, Reason.PAYMENT_LOST)


def test_a_payment_on_its_way_is_not_missing_and_one_double_spent_makes_the_job_void(
    world: World, node: Node, requester: Requester
) -> None:
    job_id = requester.order()
    world.block()
    world.ledger.rollback(world.ledger.tip().height - 1, drop=True)
    double_spend(world, requester)
    assert world.job(job_id).payment_missing_s is None
    world.step()
    job = world.job(job_id)
    assert (job.state, job.reason, job.payment_missing_s) == (JobState.VOID, None, None)
    assert "another transaction spent" in job.detail
    assert node.poll().voided == ()  # it was never told of the job


def test_a_dropped_payment_is_handed_in_again_and_the_job_goes_on(
    world: World, node: Node, running: tuple[str, int]
) -> None:
    job_id, height = running
    world.ledger.rollback(height, drop=True)
    world.step(watching.LOOK_FIRST_S)
    assert world.job(job_id).payment_missing_s is not None
    world.step(1)
    world.step(1)
    job = world.job(job_id)
    assert (job.state, job.payment_missing_s, job.payment_lost) == (JobState.RUNNING, None, False)
    node.report(job_id, ran_ms=9_000)
    assert world.state(job_id) is JobState.SETTLING


def test_a_running_job_whose_payment_was_double_spent_is_stopped_and_pays_nobody(
    world: World, node: Node, requester: Requester, running: tuple[str, int]
) -> None:
    job_id, height = running
    world.ledger.rollback(height, drop=True)
    double_spend(world, requester)
    world.step(watching.LOOK_FIRST_S)
    assert node.poll().lost_payments == (job_id,)
    node.report(job_id, Reason.PAYMENT_LOST, ran_ms=20_000)
    job = world.job(job_id)
    assert (job.state, job.reason) == (JobState.VOID, Reason.PAYMENT_LOST)
    assert "another transaction spent" in job.detail
    assert world.tokens(node.wallet) == 0
    (void,) = node.poll().voided
    assert (void.job_id, void.why) == (job_id, job.detail)
    receipts.ack_receipt(world.oracle, node.node_id, job_id)
    assert node.poll().voided == ()


def test_a_running_job_is_stopped_after_the_grace_and_paid_by_time_if_the_payment_returns(
    world: World, node: Node, running: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, height = running
    with monkeypatch.context() as patch:
        patch.setattr(type(world.ledger), "submit", lambda _self, _raw: b"")  # it is not taken
        world.ledger.rollback(height, drop=True)
        world.step(watching.LOOK_FIRST_S)
        node.beat()
        world.step(watching.PAYMENT_GRACE_S - 1)
        assert node.poll().lost_payments == ()
        node.beat()
        world.step(1)
        assert node.poll().lost_payments == (job_id,)
    node.report(job_id, Reason.PAYMENT_LOST, ran_ms=20_000)
    assert world.state(job_id) is JobState.DECIDED  # nothing is signed without the payment
    world.step()
    world.step()
    assert world.state(job_id) is JobState.SETTLING
    node.cosign(job_id)
    world.step()
    world.step()
    assert world.state(job_id) is JobState.SETTLED
    assert world.tokens(node.wallet) == -(-world.job(job_id).price * 20_000 // 100_000)


def test_a_node_that_calls_a_payment_lost_by_itself_has_stopped_the_job_itself(
    world: World, node: Node, running: tuple[str, int]
) -> None:
    node.report(running[0], Reason.PAYMENT_LOST)
    assert world.job(running[0]).reason is Reason.NODE_FAULT


def test_a_node_that_knows_only_of_cancelling_reports_a_stop_for_the_payment_rightly(
    world: World, node: Node, requester: Requester, running: tuple[str, int]
) -> None:
    job_id, height = running
    world.ledger.rollback(height, drop=True)
    double_spend(world, requester)
    world.step(watching.LOOK_FIRST_S)
    node.report(job_id, Reason.CANCELLED)
    assert world.job(job_id).reason is Reason.PAYMENT_LOST


def test_nothing_is_signed_while_a_reported_job_s_payment_is_missing(
    world: World, node: Node, running: tuple[str, int]
) -> None:
    job_id, height = running
    world.ledger.rollback(height)
    node.report(job_id, ran_ms=9_000)
    assert world.state(job_id) is JobState.DECIDED
    world.step()
    assert world.state(job_id) is JobState.SETTLING


def test_a_settlement_is_not_handed_in_before_its_payment_is_back(
    world: World, node: Node, running: tuple[str, int]
) -> None:
    job_id, height = running
    node.report(job_id, ran_ms=9_000)
    world.ledger.rollback(height, drop=True)
    node.cosign(job_id)
    job = world.job(job_id)
    assert (job.cosigned, job.payment_missing_s is None) == (True, False)
    world.step()  # the payment
    world.step()  # the settlement
    world.step()
    assert world.state(job_id) is JobState.SETTLED
    assert world.tokens(node.wallet) == world.job(job_id).provider_amount


def test_a_settlement_that_its_co_signer_sends_past_the_oracle_settles_the_job_all_the_same(
    world: World, node: Node, running: tuple[str, int]
) -> None:
    job_id, _ = running
    node.report(job_id, ran_ms=9_000)
    before = world.ledger.tip().height
    raw = bytes.fromhex(node.settlement(job_id).tx)
    world.ledger.submit(sign(raw, node.settlement_key))
    world.step()
    world.step(watching.LOOK_MOST_S)
    job = world.job(job_id)
    assert (job.state, job.cosigned) == (JobState.SETTLED, True)
    assert world.tokens(node.wallet) == job.provider_amount
    receipts.receipt_of(world.oracle, node.caller, job_id)
    world.ledger.rollback(before, drop=True)
    for wait_s in (watching.LOOK_MOST_S, 0, 0, 0):  # whole as it was, it can be handed in again
        world.step(wait_s)
    assert world.state(job_id) is JobState.SETTLED


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("depth", ["settlement", "payment"])
def test_a_settlement_that_is_rolled_back_after_the_receipt_is_handed_in_again(
    world: World, node: Node, running: tuple[str, int], drop: bool, depth: str
) -> None:
    job_id, before_payment = running
    node.report(job_id, ran_ms=9_000)
    before_settlement = world.ledger.tip().height
    node.cosign(job_id)
    world.step()
    assert world.state(job_id) is JobState.SETTLED
    receipts.ack_receipt(world.oracle, node.node_id, job_id)
    world.ledger.rollback(before_settlement if depth == "settlement" else before_payment, drop)
    world.step(watching.LOOK_FIRST_S)
    if drop:
        assert world.state(job_id) is JobState.SETTLING
        with pytest.raises(RefusedError, match="cannot give a receipt"):
            receipts.receipt_of(world.oracle, node.caller, job_id)
    for _ in range(3):
        world.step()
    assert world.state(job_id) is JobState.SETTLED
    assert world.tokens(node.wallet) == world.job(job_id).provider_amount
    assert node.poll().receipts == (() if not drop else (job_id,))


def test_a_settled_job_is_looked_for_until_its_block_is_final(
    world: World, node: Node, running: tuple[str, int]
) -> None:
    job_id, _ = running
    node.report(job_id, ran_ms=9_000)
    node.cosign(job_id)
    world.step()
    looks = 0
    while (again_s := world.job(job_id).look_at_s) is not None:
        assert again_s > world.clock()
        world.step(again_s - world.clock())
        looks += 1
    assert world.clock() - (world.job(job_id).settled_ms or 0) / 1000 >= FINAL_AFTER_S
    assert looks < 100


def test_an_escrow_that_was_spent_after_a_rollback_makes_the_job_void_not_settled(
    world: World, node: Node, requester: Requester, running: tuple[str, int]
) -> None:
    job_id, height = running
    node.report(job_id, ran_ms=9_000)
    node.cosign(job_id)
    world.step()
    world.ledger.rollback(height, drop=True)
    double_spend(world, requester)
    world.step(watching.LOOK_FIRST_S)
    world.step()
    assert world.state(job_id) is JobState.VOID
    assert world.tokens(node.wallet) == 0


def test_a_chain_that_does_not_answer_has_lost_nothing(
    world: World, node: Node, running: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, _ = running

    def silent(_self: object, _tx_id: bytes) -> ChainTransaction | None:
        raise UnreachableError("cannot reach the chain")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.ledger), "transaction", silent)
        for _ in range(3):
            node.beat()
            world.step(watching.PAYMENT_GRACE_S - 1)
        job = world.job(job_id)
        assert (job.state, job.payment_missing_s, job.payment_lost) == (
            JobState.RUNNING,
            None,
            False,
        )
        node.report(job_id, ran_ms=9_000)
        assert world.state(job_id) is JobState.DECIDED
    world.step()
    assert world.state(job_id) is JobState.SETTLING


def test_a_job_is_not_given_away_while_the_chain_does_not_answer(
    world: World, node: Node, offered: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    node.poll()

    def silent(_self: object, _tx_id: bytes) -> ChainTransaction | None:
        raise UnreachableError("cannot reach the chain")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.ledger), "transaction", silent)
        with pytest.raises(UnreachableError, match="cannot reach"):
            node.accept(offered[0])
    assert world.job(offered[0]).payment_missing_s is None
    node.accept(offered[0])


def test_what_is_gone_counts_only_after_as_many_blocks_as_a_payment(
    world: World, node: Node, requester: Requester, running: tuple[str, int]
) -> None:
    job_id, height = running
    slow = replace(world.oracle.network, confirmations=3)
    world.oracle = replace(world.oracle, network=slow)
    world.ledger.rollback(height, drop=True)
    double_spend(world, requester)
    assert not watching.look(world.oracle, world.job(job_id)).is_final
    for _ in range(2):
        Requester(world).fund()
    assert watching.look(world.oracle, world.job(job_id)).is_final
