"""Building transactions: what comes out is read back, balanced, and paid for exactly."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cardano_world import (
    ASSET,
    BUILT,
    DEADLINE,
    ESCROW,
    ESCROW_UTXO,
    JOB,
    NODE,
    ORACLE,
    PAID,
    PLAN,
    PRICE,
    PROVIDER,
    REQUESTER,
    SETTLED,
    SETTLEMENT,
    STRANGER,
    payment,
    wallet,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from nunet_dms.cardano.builder import (
    PROTOCOL,
    FeeParams,
    UnsignedTransaction,
    Utxo,
    add_witness,
    build_payment,
    build_refund,
    build_settlement,
    build_transfer,
    min_lovelace,
    new_output,
    sign,
    witness_for,
)
from nunet_dms.cardano.cbor import decode, encode
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.metadata import METADATA_LABEL
from nunet_dms.cardano.script import evaluate, script_hash, signature
from nunet_dms.cardano.transaction import Transaction, TxInput, Witness, read_transaction
from nunet_dms.cardano.value import AssetId, Value, total
from nunet_dms.errors import CapacityError, VerificationError

REFUND = build_refund(ESCROW_UTXO, ESCROW, REQUESTER.address(0))


def conserved(transaction: Transaction, spent: tuple[Utxo, ...]) -> bool:
    """Return whether what goes in, minted tokens included, is what comes out."""
    by_ref = {utxo.ref: utxo.output.value for utxo in spent}
    held = total(tuple(by_ref[ref] for ref in transaction.inputs)) + Value(0, transaction.mint)
    made = total(tuple(output.value for output in transaction.outputs))
    return held == made + Value(transaction.fee)


def fee_due(raw: bytes) -> int:
    """Return what the protocol asks for a transaction of this size."""
    return PROTOCOL.min_fee_a * len(raw) + PROTOCOL.min_fee_b


@pytest.mark.parametrize(
    ("built", "keys", "spent"),
    [
        (BUILT, (REQUESTER,), PLAN.utxos),
        (SETTLED, (NODE, ORACLE), (ESCROW_UTXO,)),
        (REFUND, (REQUESTER,), (ESCROW_UTXO,)),
    ],
    ids=["payment", "settlement", "refund"],
)
def test_what_is_built_balances_and_pays_its_fee(
    built: UnsignedTransaction, keys: tuple[PaymentKey, ...], spent: tuple[Utxo, ...]
) -> None:
    raw = sign(built.raw, *keys)
    read = read_transaction(raw)
    assert read.tx_id == built.tx_id
    assert read.outputs == built.outputs
    assert read.fee == built.fee
    assert conserved(read, spent)
    assert fee_due(raw) <= read.fee <= fee_due(raw) + 200
    assert all(output.value.lovelace >= min_lovelace(output) for output in read.outputs)
    assert read.invalid_witnesses() == ()
    assert read.signers == {key.key_hash for key in keys}
    assert read.network_id == 0
    assert read.unsupported == ()


def test_the_label_is_one_that_cip_10_leaves_free() -> None:
    assert 65_536 <= METADATA_LABEL <= 131_071


def test_a_settlement_pays_the_provider_and_returns_the_rest() -> None:
    provider, requester = SETTLED.outputs
    assert provider.address == PROVIDER.address(0).raw
    assert provider.value.quantity(ASSET) == 3_000_000
    assert provider.value.lovelace == min_lovelace(provider)
    assert requester.address == REQUESTER.address(0).raw
    assert requester.value.quantity(ASSET) == 2_000_000
    read = read_transaction(SETTLED.raw)
    assert (read.valid_from, read.ttl) == (None, None)
    assert read.native_scripts == (ESCROW.script,)


@pytest.mark.parametrize("amount", [0, 1, PRICE - 1, PRICE])
def test_any_split_of_the_price_can_be_settled(amount: int) -> None:
    terms = replace(SETTLEMENT, provider_amount=amount, requester_amount=PRICE - amount)
    built = build_settlement(ESCROW_UTXO, terms)
    paid = {output.address: output.value.quantity(ASSET) for output in built.outputs}
    assert paid.get(PROVIDER.address(0).raw, 0) == amount
    assert paid[REQUESTER.address(0).raw] == PRICE - amount
    assert len(built.outputs) == (2 if amount else 1)


@pytest.mark.parametrize(
    "terms",
    [
        replace(SETTLEMENT, provider_amount=3_000_001),
        replace(SETTLEMENT, requester_amount=1),
        replace(SETTLEMENT, provider_amount=-1, requester_amount=PRICE + 1),
        replace(SETTLEMENT, asset=AssetId(ASSET.policy, b"other")),
        replace(SETTLEMENT, escrow_ref=TxInput(BUILT.tx_id, 1)),
        replace(SETTLEMENT, escrow=replace(ESCROW, deadline_slot=DEADLINE + 1)),
    ],
)
def test_a_split_of_what_is_not_there_is_not_built(terms: object) -> None:
    with pytest.raises(VerificationError):
        build_settlement(ESCROW_UTXO, terms)  # type: ignore[arg-type]


def test_an_escrow_with_too_little_ada_cannot_be_split() -> None:
    _, raw = payment(lovelace=1_500_000)
    poor = Utxo(TxInput(BUILT.tx_id, 0), read_transaction(raw).outputs[0])
    with pytest.raises(CapacityError, match="1500000 available"):
        build_settlement(poor, SETTLEMENT)


def test_a_refund_is_the_requesters_alone_and_after_the_deadline() -> None:
    read = read_transaction(sign(REFUND.raw, REQUESTER))
    assert read.valid_from == DEADLINE + 1
    assert evaluate(read.native_scripts[0], read.signers, read.valid_from, read.ttl)
    later = build_refund(ESCROW_UTXO, ESCROW, REQUESTER.address(0), DEADLINE + 500)
    assert read_transaction(later.raw).valid_from == DEADLINE + 500
    with pytest.raises(VerificationError, match="not after the deadline"):
        build_refund(ESCROW_UTXO, ESCROW, REQUESTER.address(0), DEADLINE)
    with pytest.raises(VerificationError, match="escrow's address"):
        build_refund(wallet(), ESCROW, REQUESTER.address(0))


@pytest.mark.parametrize(
    ("utxos", "message"),
    [
        ((), f"{PRICE} of .* requested, 0 are available"),
        ((wallet(tokens=PRICE - 1),), f"{PRICE} of .* requested, {PRICE - 1} are available"),
        ((wallet(lovelace=3_900_000),), "lovelace are requested .*, 3900000 are available"),
        ((wallet(lovelace=1_200_000),), "lovelace are requested .*, 1200000 are available"),
    ],
)
def test_a_shortage_names_what_is_requested_and_available(
    utxos: tuple[Utxo, ...], message: str
) -> None:
    with pytest.raises(CapacityError, match=message):
        build_payment(replace(PLAN, utxos=utxos))


def test_inputs_are_the_fewest_and_largest() -> None:
    rich, poor = wallet(REQUESTER, 5_000_000, PRICE), wallet(NODE, 5_000_000, PRICE - 1)
    plain = Utxo(TxInput(b"p" * 32, 0), new_output(REQUESTER.address(0), Value(9_000_000)))
    small = Utxo(TxInput(b"q" * 32, 0), new_output(REQUESTER.address(0), Value(1_000_000)))
    one = build_payment(replace(PLAN, utxos=(poor, small, rich, plain)))
    assert read_transaction(one.raw).inputs == (rich.ref,)
    rich = wallet(REQUESTER, 3_500_000, PRICE)
    two = build_payment(replace(PLAN, utxos=(poor, small, rich, plain)))
    assert set(read_transaction(two.raw).inputs) == {rich.ref, plain.ref}


def test_every_owner_of_an_input_is_counted_in_the_fee() -> None:
    utxos = (wallet(REQUESTER, 3_000_000, PRICE), wallet(NODE, 3_000_000, 1))
    built = build_payment(replace(PLAN, utxos=utxos))
    raw = sign(built.raw, REQUESTER, NODE)
    assert len(read_transaction(raw).inputs) == 2
    assert built.fee >= fee_due(raw)


def test_a_transaction_over_the_networks_size_is_not_built() -> None:
    utxos = tuple(
        Utxo(TxInput(bytes([n, m]) * 16, 0), new_output(REQUESTER.address(0), Value(1_000_000)))
        for n in range(4)
        for m in range(256)
    )
    many = (new_output(NODE.address(0), Value(900_000_000)),)
    with pytest.raises(CapacityError, match="the network takes 16384"):
        build_transfer(utxos, many, REQUESTER.address(0))


def test_a_faucet_mints_with_its_policys_key() -> None:
    policy = signature(ORACLE.key_hash)
    minted = ((AssetId(script_hash(policy), b"mNTX"), 10**9),)
    till = Utxo(TxInput(b"g" * 32, 0), new_output(ORACLE.address(0), Value(10**12)))
    paid = new_output(REQUESTER.address(0), Value(5_000_000, minted))
    built = build_transfer((till,), (paid,), ORACLE.address(0), mint=minted, scripts=(policy,))
    raw = sign(built.raw, ORACLE)
    read = read_transaction(raw)
    assert read.mint == minted
    assert read.native_scripts == (policy,)
    assert conserved(read, (till,))
    assert read.fee >= fee_due(raw)
    assert read.outputs[0] == paid


def test_a_transfer_spends_to_burn() -> None:
    policy = signature(ORACLE.key_hash)
    asset = AssetId(script_hash(policy), b"x")
    till = Utxo(TxInput(b"g" * 32, 0), new_output(ORACLE.address(0), Value.of(10**8, {asset: 10})))
    built = build_transfer((till,), (), ORACLE.address(0), ((asset, -10),), (policy,))
    read = read_transaction(built.raw)
    assert conserved(read, (till,))
    assert read.outputs[0].value.assets == ()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(900_000, 2**40), st.integers(0, 10**7)), min_size=1, max_size=8),
    st.integers(1, 10**7),
    st.sampled_from([PROTOCOL, FeeParams(min_fee_a=100, min_fee_b=10**6)]),
)
def test_any_payment_that_can_be_built_balances(
    wallets: list[tuple[int, int]], price: int, params: FeeParams
) -> None:
    utxos = tuple(
        Utxo(
            TxInput(bytes([place]) * 32, place),
            new_output(REQUESTER.address(0), Value.of(lovelace, {ASSET: tokens})),
        )
        for place, (lovelace, tokens) in enumerate(wallets)
    )
    try:
        built, raw = payment(utxos=utxos, price=price, params=params)
    except CapacityError:
        return  # what it says is tested above
    read = read_transaction(raw)
    assert conserved(read, utxos)
    assert built.fee >= params.min_fee_a * len(raw) + params.min_fee_b
    assert all(output.value.lovelace >= min_lovelace(output, params) for output in read.outputs)


def test_signing_leaves_the_signed_bytes_and_the_script_alone() -> None:
    before = read_transaction(SETTLED.raw)
    one = add_witness(SETTLED.raw, witness_for(SETTLED.raw, ORACLE))
    both = add_witness(one, witness_for(one, NODE))
    after = read_transaction(both)
    assert (after.body, after.native_scripts) == (before.body, before.native_scripts)
    assert after.signers == {NODE.key_hash, ORACLE.key_hash}
    assert both == sign(SETTLED.raw, ORACLE, NODE)
    assert sign(both, ORACLE, NODE) == sign(both, NODE, ORACLE, ORACLE, NODE)


def test_signing_keeps_a_body_that_others_encoded() -> None:
    """An indefinite body, three elements, and a script in an encoding of its own."""
    body, _, _, _ = decode(PAID)  # type: ignore[misc]
    written = b"".join(encode(key) + encode(item) for key, item in body.items())
    script = b"\x9f\x00\x58\x1c" + bytes(28) + b"\xff"
    raw = b"\x83\xbf" + written + b"\xff" + b"\xbf\x01\x9f" + script + b"\xff\xff" + b"\xf6"
    read = read_transaction(sign(raw, REQUESTER))
    assert read.body == b"\xbf" + written + b"\xff"
    assert read.native_scripts == (script,)
    assert read.invalid_witnesses() == ()


@pytest.mark.parametrize(
    "witness",
    [
        Witness(REQUESTER.public, bytes(64)),
        Witness(REQUESTER.public, b""),
        witness_for(PAID, STRANGER),
    ],
)
def test_a_worthless_witness_is_not_added(witness: Witness) -> None:
    with pytest.raises(VerificationError) as caught:
        add_witness(SETTLED.raw, witness)
    assert caught.value.code == "bad_signature"


def test_a_job_hash_is_carried_whole() -> None:
    assert read_transaction(PAID).metadata == {METADATA_LABEL: {"v": 1, "job": JOB}}
