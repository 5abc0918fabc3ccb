"""Every era's transactions are read: their ids, signatures and metadata hashes hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cardano_eras import (
    ATTRIBUTES,
    BASE,
    BYRON,
    BYRON_ROOT,
    CHAIN_CODE,
    CONWAY,
    ERAS,
    KEY,
    MOST,
    POLICY,
    SHELLEY,
    byron_address,
    signed,
)
from cardano_world import ORACLE, REQUESTER

from nunet_dms.cardano.address import byron_root
from nunet_dms.cardano.cbor import Cursor, Encoded, encode
from nunet_dms.cardano.chain.ledger import LedgerState, check_transaction
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.transaction import Transaction, TxInput, read_transaction
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.errors import MalformedError, RefusedError

READ = {era: read_transaction(raw) for era, raw in ERAS.items()}
everywhere = pytest.mark.parametrize("read", READ.values(), ids=READ)


def spans(raw: bytes) -> list[bytes]:
    """Return a transaction's elements as they were encoded."""
    cursor = Cursor(raw)
    return [raw[slice(*cursor.opaque())] for _ in cursor.items(4)]


@everywhere
def test_the_id_is_that_of_the_bytes_and_every_signature_holds(read: Transaction) -> None:
    body = spans(read.raw)[0]
    assert (read.body, read.tx_id) == (body, blake2b_256(body))
    assert read.signers == {REQUESTER.key_hash}
    assert [witness.key_hash for witness in read.bootstrap_witnesses] == [BYRON_ROOT]
    assert read.invalid_witnesses() == ()


@everywhere
def test_the_metadata_hash_is_that_of_the_bytes(read: Transaction) -> None:
    assert read.metadata_raw == spans(read.raw)[-1]
    assert read.metadata_hash == blake2b_256(read.metadata_raw)
    kept = {label: note for label, note in read.metadata.items() if label != 1}
    assert kept == {0: (1, -(2**64), b"x" * 64, "x" * 64, {b"": (), "y": {}}), MOST: ""}


@everywhere
def test_what_every_era_has_is_read(read: Transaction) -> None:
    assert read.inputs == (TxInput(b"a" * 32, 0), TxInput(b"a" * 32, 65_535))
    assert (read.fee, read.ttl) == (MOST, MOST)
    assert read.claims_valid
    assert "bootstrap_witnesses" in read.unsupported


def test_each_era_adds_its_own_parts() -> None:
    assert READ["shelley"].outputs[1].value == Value(MOST)
    assert READ["shelley"].outputs[2].address == BYRON
    assert set(READ["shelley"].unsupported) == {
        "bootstrap_witnesses", "byron_address", "certificates", "long_metadatum",
        "pointer_address", "protocol_update", "withdrawals",
    }  # fmt: skip
    assert READ["allegra"].valid_from == 0
    assert READ["mary"].mint == (
        (AssetId(POLICY, b""), -(2**63)),
        (AssetId(POLICY, b"n"), 2**63 - 1),
    )
    assert READ["mary"].outputs[0].value.quantity(AssetId(POLICY, b"n" * 32)) == MOST
    assert READ["alonzo"].outputs[0].has_datum
    assert (READ["alonzo"].network_id, READ["alonzo"].required_signers) == (0, (KEY,))
    described = [(out.has_datum, out.has_script_ref) for out in READ["babbage"].outputs]
    assert described == [(True, False), (True, True), (True, True)]
    assert {"collateral_return", "reference_inputs"} <= set(READ["babbage"].unsupported)
    assert {"votes", "proposals", "donation", "plutus_v3_scripts"} <= set(
        READ["conway"].unsupported
    )
    assert {"sub_transactions", "guards", "body_key_24"} <= set(READ["dijkstra"].unsupported)


def test_another_encoding_says_the_same_under_another_id() -> None:
    plain, openly = READ["conway"], READ["written openly"]
    assert openly.tx_id != plain.tx_id
    for field in ("inputs", "fee", "ttl", "mint", "metadata", "unsupported"):
        assert getattr(openly, field) == getattr(plain, field)
    assert [replace(output, size=0) for output in openly.outputs] == [
        replace(output, size=0) for output in plain.outputs
    ]


@everywhere
def test_our_ledger_takes_none_of_them(read: Transaction) -> None:
    with pytest.raises(RefusedError) as caught:
        check_transaction(read, LedgerState(slot=0, network_id=0, known={}))
    assert caught.value.code == "unsupported"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({**SHELLEY, 1: [[BASE + b"junk", 1]]}, "overlong_address"),
        ({**SHELLEY, 1: [[BASE, [1, {POLICY: {b"n": 0}}]]]}, "zero_amount"),
        ({**SHELLEY, 1: [[BASE, [1, {POLICY: {}}]]]}, "empty_policy"),
        ({**SHELLEY, 9: {POLICY: {b"n": 0}}}, "zero_amount"),
        ({**SHELLEY, 9: {POLICY: {}}}, "empty_policy"),
    ],
)
def test_forms_that_today_s_ledger_refuses_are_read_and_named(
    body: dict[int, object], name: str
) -> None:
    read = read_transaction(signed(body, elements=3))
    assert name in read.unsupported
    assert not any(output.value.assets for output in read.outputs)
    assert read.mint == ()


def test_junk_behind_an_address_ends_with_the_older_form_of_outputs() -> None:
    with pytest.raises(MalformedError):
        read_transaction(signed({**CONWAY, 1: [{0: BASE + b"junk", 1: 1}]}))


# Byron keys.


def test_a_byron_address_names_its_key() -> None:
    assert byron_root(BYRON) == BYRON_ROOT
    assert byron_address(REQUESTER.public)[0] != BYRON_ROOT


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        BYRON[:-1],
        BYRON + b"\x00",
        BYRON[:-1] + bytes([BYRON[-1] ^ 1]),
        encode([Encoded(b"\xd8\x18\x41\x00"), 3523407757]),
        encode([b"", 0]),
        encode(5),
    ],
)
def test_a_broken_byron_address_is_malformed(broken: bytes) -> None:
    with pytest.raises(MalformedError):
        byron_root(broken)


def bootstrap(*parts: object) -> Transaction:
    """Return a transaction that one Byron witness of these parts signs, and nobody else."""
    body = encode({0: [[b"a" * 32, 0]], 1: [[BYRON, 5]], 2: 1, 3: 9})
    given = [part(blake2b_256(body)) if callable(part) else part for part in parts]
    return read_transaction(encode([Encoded(body), {2: [given, given]}, None]))


def test_a_byron_witness_signs_and_is_judged() -> None:
    good = bootstrap(ORACLE.public, ORACLE.sign, CHAIN_CODE, ATTRIBUTES)
    assert good.is_signed
    assert good.invalid_witnesses() == ()
    assert good.bootstrap_witnesses[0].key_hash == byron_root(good.outputs[0].address)
    assert good.signers == frozenset()
    foreign = bootstrap(ORACLE.public, REQUESTER.sign, CHAIN_CODE, ATTRIBUTES)
    assert foreign.is_signed
    assert foreign.invalid_witnesses() == foreign.bootstrap_witnesses
    other = bootstrap(ORACLE.public, ORACLE.sign, b"C" * 32, ATTRIBUTES)
    assert other.bootstrap_witnesses[0].key_hash != BYRON_ROOT


@pytest.mark.parametrize(
    "parts",
    [
        (ORACLE.public, bytes(64), CHAIN_CODE),
        (ORACLE.public, bytes(64), CHAIN_CODE, ATTRIBUTES, 1),
        (ORACLE.public[1:], bytes(64), CHAIN_CODE, ATTRIBUTES),
        (ORACLE.public, bytes(63), CHAIN_CODE, ATTRIBUTES),
        (ORACLE.public, bytes(64), CHAIN_CODE[1:], ATTRIBUTES),
        (ORACLE.public, bytes(64), CHAIN_CODE, b""),
        (ORACLE.public, bytes(64), CHAIN_CODE, 5),
    ],
)
def test_a_byron_witness_has_four_parts(parts: tuple[object, ...]) -> None:
    with pytest.raises(MalformedError):
        bootstrap(*parts)
