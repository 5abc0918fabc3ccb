"""Payments that do not hold. Each refusal names its rule, and nothing is stored or left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from oracle_world import (
    Requester,
    World,
    refused,
)

from nunet_dms.cardano.builder import PaymentPlan, Utxo, build_payment, new_output
from nunet_dms.cardano.cbor import decode, encode
from nunet_dms.cardano.signing import sign
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.protocol.quote import Quote

OTHER_POLICY = bytes(range(28))

Body = dict[int, Any]


def _other_inputs(body: Body) -> None:
    body[0] = (
        type(body[0])(body[0].number, ((b"\x07" * 32, 0),))
        if hasattr(body[0], "number")
        else ((b"\x07" * 32, 0),)
    )


def _outputs(change: Callable[[dict[int, Any]], None]) -> Callable[[Body], None]:
    def alter(body: Body) -> None:
        outputs = [dict(output) for output in body[1]]
        change(outputs[0])
        body[1] = tuple(outputs)

    return alter


def _less(output: dict[int, Any]) -> None:
    lovelace, assets = output[1]
    output[1] = (lovelace - 1, assets)


def _fewer_tokens(output: dict[int, Any]) -> None:
    lovelace, assets = output[1]
    policy, names = next(iter(assets.items()))
    output[1] = (lovelace, {policy: {name: amount - 1 for name, amount in names.items()}})


def _mainnet_output(output: dict[int, Any]) -> None:
    output[0] = bytes([output[0][0] | 1]) + output[0][1:]


TAMPERED: dict[str, tuple[Callable[[Body], None], str]] = {
    "inputs": (_other_inputs, "bad_signature"),
    "output lovelace": (_outputs(_less), "bad_signature"),
    "output tokens": (_outputs(_fewer_tokens), "bad_signature"),
    "output network": (_outputs(_mainnet_output), "wrong_network"),
    "fee": (lambda body: body.update({2: body[2] + 1}), "bad_signature"),
    "ttl": (lambda body: body.update({3: 99_999_999}), "bad_signature"),
    "validity start": (lambda body: body.update({8: 1}), "bad_signature"),
    "metadata hash": (lambda body: body.update({7: b"\x00" * 32}), "bad_signature"),
    "network id": (lambda body: body.update({15: 1}), "wrong_network"),
    "required signers": (lambda body: body.update({14: (b"\x01" * 28,)}), "bad_signature"),
}


@pytest.mark.parametrize("field", TAMPERED)
def test_a_payment_changed_after_signing_never_becomes_a_job(
    world: World, requester: Requester, quote: Quote, field: str
) -> None:
    change, code = TAMPERED[field]
    submission = requester.submission(quote)
    parts = list(decode(bytes.fromhex(submission.payment_tx)))  # type: ignore[call-overload]
    parts[0] = dict(parts[0])
    change(parts[0])
    tampered = replace(submission, payment_tx=encode(parts).hex())
    assert tampered != submission
    with refused(world, code):
        requester.submit(tampered)


def test_metadata_that_is_not_what_was_signed_is_refused(
    world: World, requester: Requester, quote: Quote
) -> None:
    submission = requester.submission(quote)
    job_hash = quote.request.digest
    assert job_hash in submission.payment_tx
    other = submission.payment_tx.replace(job_hash, "00" * 32)
    with refused(world, "metadata_hash_mismatch"):
        requester.submit(replace(submission, payment_tx=other))


def _rich(plan: PaymentPlan, asset: AssetId) -> tuple[Utxo, ...]:
    """An output that only the payer believes in: whether it exists is the ledger's question."""
    value = Value.of(100_000_000, {asset: 10**9, plan.asset: 10**9})
    return (Utxo(TxInput(b"\x09" * 32, 0), new_output(plan.change_address, value)),)


def _with_asset(plan: PaymentPlan, asset: AssetId) -> PaymentPlan:
    return replace(plan, asset=asset, utxos=_rich(plan, asset))


def _other_key_escrow(plan: PaymentPlan) -> PaymentPlan:
    return replace(plan, escrow=replace(plan.escrow, node=b"\x05" * 28))


WRONG: dict[str, tuple[Callable[[PaymentPlan], PaymentPlan], str]] = {
    "underpaid": (lambda plan: replace(plan, price=plan.price - 1), "underpaid"),
    "overpaid": (lambda plan: replace(plan, price=plan.price + 1), "overpaid"),
    "wrong policy": (
        lambda plan: _with_asset(plan, AssetId(OTHER_POLICY, plan.asset.name)),
        "wrong_policy",
    ),
    "wrong name": (
        lambda plan: _with_asset(plan, AssetId(plan.asset.policy, b"NTX")),
        "wrong_name",
    ),
    "wrong network": (
        lambda plan: replace(plan, escrow=replace(plan.escrow, network_id=1)),
        "wrong_network",
    ),
    "little ADA": (lambda plan: replace(plan, lovelace=2_000_000), "escrow_ada_low"),
    "another escrow": (_other_key_escrow, "no_escrow_output"),
    "another job in the metadata": (
        lambda plan: replace(plan, job_hash=b"\x06" * 32),
        "wrong_job",
    ),
    "unknown inputs": (
        lambda plan: replace(plan, utxos=_rich(plan, plan.asset)),
        "unknown_input",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_payment_of_something_else_never_becomes_a_job(
    world: World, requester: Requester, quote: Quote, what: str
) -> None:
    change, code = WRONG[what]
    payment = sign(build_payment(change(requester.plan(quote))).raw, requester.key)
    with refused(world, code):
        requester.submit(requester.submission(quote, payment))
    # and the quote is not spoilt by it
    assert requester.submit(requester.submission(quote)).price == quote.request.price


def test_a_payment_bound_to_another_job_is_refused(
    world: World, requester: Requester, quote: Quote
) -> None:
    other = requester.quote()
    payment = bytes.fromhex(requester.submission(other).payment_tx)
    with refused(world, "wrong_job"):
        requester.submit(requester.submission(quote, payment))


def test_a_payment_is_used_once(world: World, requester: Requester, quote: Quote) -> None:
    first = requester.submission(quote)
    requester.submit(first)
    world.step()
    again = requester.submission(quote)  # a second payment of the same job
    assert again.payment_tx != first.payment_tx
    with refused(world, "already_used"):
        requester.submit(again)
    other = requester.quote()
    requester.upload(other)
    with refused(world, "wrong_job"):  # the first payment, for another job
        requester.submit(replace(requester.submission(other), payment_tx=first.payment_tx))


def test_inputs_that_are_spent_already_are_refused_by_the_ledger(
    world: World, requester: Requester, quote: Quote
) -> None:
    submission = requester.submission(quote)
    other = requester.quote()
    requester.upload(other)
    requester.submit(requester.submission(other))  # spends the same outputs
    with refused(world, "mempool_conflict"):
        requester.submit(submission)
    world.step()
    with refused(world, "spent_input"):
        requester.submit(submission)
