"""Whatever the ledger cannot judge is refused by name, never taken for valid."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from devnet_world import PROVIDER, REQUESTER, FakeClock, fund, transfer

from nunet_dms.cardano import body, script, witness
from nunet_dms.cardano.cbor import SET_TAG, Encoded, Tag, decode, encode
from nunet_dms.cardano.chain.devnet import Devnet
from nunet_dms.cardano.chain.ledger import LedgerRule
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.errors import RefusedError

REF = [bytes(32), 0]
CREDENTIAL = [0, bytes(28)]
ACCOUNT = b"\xe0" + bytes(28)
OUTPUT = {0: REQUESTER.address(0).raw, 1: 2_000_000}
NATIVE = script.signature(REQUESTER.key_hash)
PLUTUS = b"\x46\x01\x00\x00\x22\x00\x11"
ROOT = encode([bytes(28), {}, 0])
BYRON = encode([Tag(24, ROOT), zlib.crc32(ROOT)])

BODY_PARTS: dict[str, dict[int, object]] = {
    "certificates": {4: Tag(SET_TAG, [[7, CREDENTIAL, 2_000_000]])},
    "withdrawals": {5: {ACCOUNT: 0}},
    "protocol_update": {6: [{}, 0]},
    "script_data_hash": {11: bytes(32)},
    "collateral": {13: Tag(SET_TAG, [REF])},
    "collateral_return": {16: OUTPUT},
    "total_collateral": {17: 1},
    "reference_inputs": {18: Tag(SET_TAG, [REF])},
    "votes": {19: {(0, bytes(28)): {(bytes(32), 0): [0, None]}}},
    "proposals": {20: Tag(SET_TAG, [[1, ACCOUNT, [6], [None, None]]])},
    "treasury_value": {21: 0},
    "donation": {22: 1},
    "sub_transactions": {23: Tag(SET_TAG, [[{}, {}, None]])},
    "body_key_24": {24: 0},
    "guards": {14: Tag(SET_TAG, [CREDENTIAL])},
    "no_required_signer": {14: []},
    "required_signer_twice": {14: [REQUESTER.key_hash] * 2},
    "empty_mint": {9: {}},
    "empty_policy": {9: {bytes(28): {}}},
    "zero_amount": {9: {bytes(28): {b"": 0}}},
}
WITNESS_PARTS: dict[str, dict[int, object]] = {
    "bootstrap_witnesses": {2: [[bytes(32), bytes(64), bytes(32), b"\xa0"]]},
    "plutus_v1_scripts": {3: [PLUTUS]},
    "plutus_data": {4: [42]},
    "redeemers": {5: [[0, 0, 42, [1, 1]]]},
    "plutus_v2_scripts": {6: [PLUTUS]},
    "plutus_v3_scripts": {7: [PLUTUS]},
    "witness_key_8": {8: 0},
    "empty_witness_list": {1: []},
}
OUTPUT_PARTS: dict[str, dict[int, object]] = {
    "a datum": {2: [0, bytes(32)]},
    "a reference script": {3: Tag(24, encode([0, Encoded(NATIVE)]))},
    "byron_address": {0: BYRON},
    "pointer_address": {0: b"\x40" + bytes(28) + b"\1\2\3"},
}
AUXILIARY: dict[str, object] = {
    "auxiliary_scripts": [{1: 2}, [Encoded(NATIVE)]],
    "auxiliary_scripts ": Tag(259, {1: [Encoded(NATIVE)]}),
    "auxiliary_scripts  ": Tag(259, {4: [PLUTUS]}),
    "long_metadatum": {1: "x" * 65},
}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    with Devnet(tmp_path_factory.mktemp("ledger") / "devnet.db", FakeClock()) as opened:
        yield opened


@pytest.fixture(scope="module")
def paid(ledger: Devnet) -> bytes:
    """A transfer that nothing is wrong with, not yet handed in."""
    return transfer(fund(ledger, REQUESTER), REQUESTER, PROVIDER)


def changed(raw: bytes, change: Callable[[dict[Any, Any], dict[Any, Any]], object | None]) -> bytes:
    """Change body and witnesses, or replace the auxiliary data by what is returned; sign anew."""
    parts, witnesses, valid, _ = decode(raw)  # type: ignore[misc]
    auxiliary = change(parts, witnesses)
    if auxiliary is not None:
        parts[7] = blake2b_256(encode(auxiliary))
    signature = REQUESTER.sign(blake2b_256(encode(parts)))
    witnesses[0] = [[REQUESTER.public, signature]]
    return encode([parts, witnesses, valid, auxiliary])


def assert_refused(ledger: Devnet, raw: bytes, name: str) -> None:
    before = ledger.tip()
    with pytest.raises(RefusedError, match=name.strip()) as refusal:
        ledger.submit(raw)
    assert refusal.value.code == LedgerRule.UNSUPPORTED.value
    assert str(refusal.value).startswith("cannot take the transaction: ")
    assert ledger.tick() is None
    assert ledger.tip() == before


@pytest.mark.parametrize("name", BODY_PARTS)
def test_a_part_of_the_body_that_is_not_judged(ledger: Devnet, paid: bytes, name: str) -> None:
    assert_refused(ledger, changed(paid, lambda parts, _: parts.update(BODY_PARTS[name])), name)


@pytest.mark.parametrize("name", WITNESS_PARTS)
def test_a_witness_that_is_not_judged(ledger: Devnet, paid: bytes, name: str) -> None:
    assert_refused(ledger, changed(paid, lambda _, held: held.update(WITNESS_PARTS[name])), name)


@pytest.mark.parametrize("name", OUTPUT_PARTS)
def test_an_output_that_is_not_judged(ledger: Devnet, paid: bytes, name: str) -> None:
    def change(parts: dict[Any, Any], _: object) -> None:
        first, rest = parts[1]
        parts[1] = [{**first, **OUTPUT_PARTS[name]}, rest]

    assert_refused(ledger, changed(paid, change), name)


def test_an_address_with_junk_behind_it_is_not_judged(ledger: Devnet, paid: bytes) -> None:
    def change(parts: dict[Any, Any], _: object) -> None:
        first, rest = parts[1]
        parts[1] = [[first[0] + b"junk", first[1]], rest]

    assert_refused(ledger, changed(paid, change), "overlong_address")


@pytest.mark.parametrize("name", AUXILIARY)
def test_auxiliary_data_that_is_not_judged(ledger: Devnet, paid: bytes, name: str) -> None:
    assert_refused(ledger, changed(paid, lambda *_: AUXILIARY[name]), name)


def test_every_name_of_the_reader_is_in_these_tables() -> None:
    named = {name for name, _ in body._UNJUDGED.values()} | set(witness._UNJUDGED.values())
    assert named <= BODY_PARTS.keys() | WITNESS_PARTS.keys()


def test_the_transfer_itself_is_taken(ledger: Devnet, paid: bytes) -> None:
    assert ledger.submit(paid)
    assert ledger.tick() is not None
