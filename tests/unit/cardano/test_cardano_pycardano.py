"""A second opinion: pycardano reads what we write, and we read what it writes.

It judges what it reads right: it reckons ids over a body that it encodes anew, in which outputs
of the map form become arrays; where it is told to leave them maps, its ids are ours.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pycardano as pc
import pytest
from cardano_world import (
    ASSET,
    ESCROW,
    ESCROW_UTXO,
    JOB,
    NODE,
    ORACLE,
    PAID,
    PRICE,
    PROVIDER,
    REQUESTER,
    SETTLED,
)
from pycardano.cip import cip8

from nunet_dms.cardano.address import Address, enterprise_address, parse_address
from nunet_dms.cardano.builder import build_refund, sign
from nunet_dms.cardano.cip8 import SignedMessage, sign_message, verify_message
from nunet_dms.cardano.fees import min_fee, min_lovelace
from nunet_dms.cardano.metadata import METADATA_LABEL
from nunet_dms.cardano.output import new_output
from nunet_dms.cardano.transaction import TxInput, read_transaction
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.errors import VerificationError

SEED = b"\x01" * 32
"""Of the requester, whose key it is in pycardano too."""
KEY = pc.PaymentSigningKey(SEED)
REFUND = sign(build_refund(ESCROW_UTXO, ESCROW, REQUESTER.address(0)).raw, REQUESTER)
OURS = {"payment": PAID, "settlement": sign(SETTLED.raw, NODE, ORACLE), "refund": REFUND}
PARAMETERS = SimpleNamespace(
    min_fee_coefficient=44,
    min_fee_constant=155_381,
    coins_per_utxo_byte=4310,
    price_mem=0,
    price_step=0,
    maximum_reference_scripts_size={"bytes": 204_800},
    min_fee_reference_scripts={"base": 15, "range": 25_600, "multiplier": 1.2},
)
CONTEXT: Any = SimpleNamespace(protocol_param=PARAMETERS)


def read_by_pycardano(raw: bytes) -> pc.Transaction:
    """Return the transaction as pycardano reads it, told that maps are to stay maps."""
    transaction = pc.Transaction.from_cbor(raw)
    for output in transaction.transaction_body.outputs:
        output.post_alonzo = True
    return transaction


def assets_of(value: pc.Value | int) -> Value:
    """Return pycardano's value as ours."""
    if isinstance(value, int):
        return Value(value)
    amounts = {
        AssetId(policy.payload, name.payload): amount
        for policy, names in value.multi_asset.items()
        for name, amount in names.items()
    }
    return Value.of(value.coin, amounts)


@pytest.mark.parametrize("raw", OURS.values(), ids=OURS)
def test_what_we_write_reads_the_same(raw: bytes) -> None:
    ours, theirs = read_transaction(raw), read_by_pycardano(raw)
    body, witnesses = theirs.transaction_body, theirs.transaction_witness_set
    assert theirs.id.payload == ours.tx_id
    assert theirs.valid
    assert (body.fee, body.ttl, body.validity_start) == (ours.fee, ours.ttl, ours.valid_from)
    assert [TxInput(ref.transaction_id.payload, ref.index) for ref in body.inputs] == [*ours.inputs]
    assert [(bytes(out.address), assets_of(out.amount)) for out in body.outputs] == [
        (out.address, out.value) for out in ours.outputs
    ]
    assert {(bytes(w.vkey), w.signature) for w in witnesses.vkey_witnesses} == {
        (w.public, w.signature) for w in ours.witnesses
    }
    assert [script.hash().payload for script in witnesses.native_scripts or ()] == (
        [ESCROW.script_hash] if ours.native_scripts else []
    )


def test_the_metadata_and_its_hash_read_the_same() -> None:
    theirs = read_by_pycardano(PAID)
    assert dict(theirs.auxiliary_data.data) == {METADATA_LABEL: {"v": 1, "job": JOB}}
    digest = theirs.transaction_body.auxiliary_data_hash.payload
    assert digest == theirs.auxiliary_data.hash().payload == read_transaction(PAID).metadata_hash


@pytest.mark.parametrize("raw", OURS.values(), ids=OURS)
def test_the_fee_is_what_the_size_asks_for(raw: bytes) -> None:
    """A byte or two too much at worst: the fee is told before it is taken from the change."""
    ours = read_transaction(raw)
    least = pc.fee(CONTEXT, len(raw))
    assert least == min_fee(len(raw))
    assert 0 <= ours.fee - least <= 2 * PARAMETERS.min_fee_coefficient


@pytest.mark.parametrize("amount", [0, 1, PRICE, 2**63 - 1])
@pytest.mark.parametrize("lovelace", [1_000_000, 2**32])
def test_the_least_ada_of_an_output_is_the_same(amount: int, lovelace: int) -> None:
    value = Value.of(lovelace, {ASSET: amount} if amount else {})
    output = new_output(ESCROW.address, value)
    theirs = read_by_pycardano(transaction_with(output.address, value)).transaction_body.outputs[0]
    assert pc.min_lovelace_post_alonzo(theirs, CONTEXT) == min_lovelace(output)


def transaction_with(address: bytes, value: Value) -> bytes:
    """Return a transaction of pycardano's with one output."""
    return pc.Transaction(
        pc.TransactionBody(
            inputs=[pc.TransactionInput(pc.TransactionId(bytes(32)), 0)],
            outputs=[output_of(address, value)],
            fee=1,
        ),
        pc.TransactionWitnessSet(),
    ).to_cbor()


def output_of(address: bytes, value: Value) -> pc.TransactionOutput:
    """Return pycardano's output of that value."""
    assets = {asset.policy: {asset.name: amount} for asset, amount in value.assets}
    amount = pc.Value.from_primitive([value.lovelace, assets]) if assets else value.lovelace
    return pc.TransactionOutput(pc.Address.from_primitive(address), amount)


def test_what_pycardano_signs_is_read_and_holds() -> None:
    """Outputs as arrays, a mint, a script, both slots, metadata in the form of Alonzo."""
    auxiliary = pc.AuxiliaryData(pc.AlonzoMetadata(metadata=pc.Metadata({1: {"a": [1, b"x"]}})))
    value = Value.of(5_000_000, {ASSET: PRICE})
    body = pc.TransactionBody(
        inputs=[pc.TransactionInput(pc.TransactionId(b"i" * 32), 7)],
        outputs=[
            output_of(ESCROW.address.raw, value),
            output_of(PROVIDER.address(1).raw, Value(9)),
        ],
        fee=200_000,
        ttl=99,
        validity_start=5,
        mint=pc.MultiAsset.from_primitive({b"p" * 28: {b"n": -3}}),
        auxiliary_data_hash=auxiliary.hash(),
        required_signers=[pc.VerificationKeyHash(REQUESTER.key_hash)],
        network_id=pc.Network.TESTNET,
    )
    script = pc.ScriptPubkey(pc.VerificationKeyHash(REQUESTER.key_hash))
    witness = pc.VerificationKeyWitness(KEY.to_verification_key(), KEY.sign(body.hash()))
    theirs = pc.Transaction(
        body,
        pc.TransactionWitnessSet(vkey_witnesses=[witness], native_scripts=[script]),
        auxiliary_data=auxiliary,
    )
    ours = read_transaction(theirs.to_cbor())
    assert ours.tx_id == theirs.id.payload
    assert ours.invalid_witnesses() == ()
    assert ours.signers == {REQUESTER.key_hash}
    assert ours.inputs == (TxInput(b"i" * 32, 7),)
    assert [out.value for out in ours.outputs] == [value, Value(9)]
    assert (ours.fee, ours.ttl, ours.valid_from, ours.network_id) == (200_000, 99, 5, 0)
    assert ours.mint == ((AssetId(b"p" * 28, b"n"), -3),)
    assert ours.required_signers == (REQUESTER.key_hash,)
    assert ours.metadata == {1: {"a": (1, b"x")}}
    assert ours.metadata_hash == auxiliary.hash().payload
    assert ours.native_scripts == (script.to_cbor(),)


@pytest.mark.parametrize("network_id", [0, 1])
@pytest.mark.parametrize("stake", [None, b"s" * 28])
def test_addresses_are_written_and_read_the_same(network_id: int, stake: bytes | None) -> None:
    network = pc.Network.MAINNET if network_id else pc.Network.TESTNET
    for is_script in (False, True):
        ours = Address(network_id, b"h" * 28, is_script, stake)
        kind = pc.ScriptHash if is_script else pc.VerificationKeyHash
        staking = pc.VerificationKeyHash(stake) if stake else None
        theirs = pc.Address(kind(b"h" * 28), staking, network=network)
        assert (ours.bech32, ours.raw) == (theirs.encode(), bytes(theirs))
        assert parse_address(theirs.encode()) == ours


def test_the_escrow_s_script_has_the_same_hash() -> None:
    assert pc.NativeScript.from_cbor(ESCROW.script).hash().payload == ESCROW.script_hash


# Signed messages, both ways.

OUR_ADDRESS = enterprise_address(REQUESTER.key_hash, 1)


def test_pycardano_verifies_what_we_sign() -> None:
    message = sign_message(REQUESTER, OUR_ADDRESS, b"a job")
    found = cip8.verify(
        {"signature": message.cose_sign1.hex(), "key": message.cose_key.hex()},
        attach_cose_key=True,
    )
    assert found["verified"]
    assert found["message"] == "a job"
    assert bytes(found["signing_address"]) == OUR_ADDRESS.raw


def test_pycardano_refuses_what_we_refuse() -> None:
    message = sign_message(REQUESTER, OUR_ADDRESS, b"a job")
    tampered = message.cose_sign1.replace(b"a job", b"a jar")
    foreign = sign_message(ORACLE, ORACLE.address(1), b"a job").cose_key
    for changed in (
        SignedMessage(tampered, message.cose_key),
        SignedMessage(message.cose_sign1, foreign),
    ):
        with pytest.raises(VerificationError):
            verify_message(changed, OUR_ADDRESS)
        parts = {"signature": changed.cose_sign1.hex(), "key": changed.cose_key.hex()}
        assert not cip8.verify(parts, attach_cose_key=True)["verified"]


def test_we_verify_what_pycardano_signs() -> None:
    signed = cip8.sign("a job", KEY, attach_cose_key=True, network=pc.Network.MAINNET)
    parts = (bytes.fromhex(signed["signature"]), bytes.fromhex(signed["key"]))
    assert verify_message(SignedMessage(*parts), OUR_ADDRESS) == b"a job"
    with pytest.raises(VerificationError) as caught:
        verify_message(SignedMessage(*parts), enterprise_address(ORACLE.key_hash, 1))
    assert caught.value.code == "wrong_address"
