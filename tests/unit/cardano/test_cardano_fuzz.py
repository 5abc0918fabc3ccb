"""Hostile bytes: only refusals escape, and no change of what is signed is ever accepted.

`NUNET_FUZZ=100` runs a hundred times as many mutations, and every bit of every era's transaction.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from cardano_eras import ERAS
from cardano_world import (
    BUILT,
    ESCROW,
    ESCROW_UTXO,
    NODE,
    ORACLE,
    PAID,
    REQUESTER,
    SETTLED,
    SETTLEMENT,
    TERMS,
    refusal_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from nunet_dms.cardano.address import address_from_bytes, byron_root, parse_address
from nunet_dms.cardano.builder import build_refund, sign
from nunet_dms.cardano.cbor import MAX_DEPTH, Cursor, Encoded, Tag, decode, encode
from nunet_dms.cardano.cip8 import MessageRefusal, SignedMessage, sign_message, verify_message
from nunet_dms.cardano.payment import (
    PaymentRefusal,
    SettlementRefusal,
    check_payment,
    check_settlement,
)
from nunet_dms.cardano.script import MAX_SCRIPT_DEPTH, read_script
from nunet_dms.cardano.transaction import (
    MAX_TRANSACTION_BYTES,
    Transaction,
    read_transaction,
)

TIMES = int(os.environ.get("NUNET_FUZZ", "1"))
ERA_STRIDE = 1 if TIMES > 1 else 23
"""Of bits flipped in an era's transaction; prime, so that every place of a byte has its turn."""

REFUND = sign(build_refund(ESCROW_UTXO, ESCROW, REQUESTER.address(0)).raw, REQUESTER)
SIGNED_SETTLEMENT = sign(SETTLED.raw, NODE, ORACLE)
MESSAGE = sign_message(REQUESTER, REQUESTER.address(0), b'{"job": "digits"}')

fuzz = settings(max_examples=100 * TIMES, deadline=None, derandomize=TIMES == 1)


def flips(raw: bytes, stride: int = 1) -> Iterator[tuple[int, bytes]]:
    """Give the bytes with one bit changed, for each bit in turn, and the byte it is in."""
    for bit in range(0, len(raw) * 8, stride):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bit // 8, bytes(flipped)


# One bit.


def test_no_flipped_bit_of_a_payment_is_accepted() -> None:
    codes = {code.value for code in PaymentRefusal}
    assert {refusal_of(check_payment, flipped, TERMS) for _, flipped in flips(PAID)} <= codes


def test_no_flipped_bit_of_a_settlement_is_accepted() -> None:
    codes = {code.value for code in SettlementRefusal}
    found = {
        refusal_of(check_settlement, flipped, SETTLEMENT) for _, flipped in flips(SIGNED_SETTLEMENT)
    }
    assert found <= codes


def sound_flips(raw: bytes, stride: int = 1) -> Iterator[tuple[int, Transaction]]:
    """Give each flip that leaves a transaction whose signatures all hold, and its place."""
    for place, flipped in flips(raw, stride):
        if refusal_of(read_transaction, flipped) is None:
            read = read_transaction(flipped)
            if read.is_signed and not read.invalid_witnesses():
                yield place, read


def test_a_flipped_bit_of_a_refund_is_noticed() -> None:
    """What is not signed is the script, which the ledger compares by its hash, and `is_valid`."""
    seen = set()
    for _, read in sound_flips(REFUND):
        noticed = (read.native_scripts != (ESCROW.script,), bool(read.unsupported))
        seen.add((*noticed, read.claims_valid))
    assert seen == {(True, False, True), (True, True, True), (False, False, False)}


@pytest.mark.parametrize("era", ERAS)
def test_a_flipped_bit_of_any_era_s_body_breaks_the_signatures(era: str) -> None:
    raw = ERAS[era]
    body = read_transaction(raw).body
    signed = range(raw.index(body), raw.index(body) + len(body))
    assert not [place for place, _ in sound_flips(raw, ERA_STRIDE) if place in signed]


# Structure.


def items_of(raw: bytes) -> list[tuple[int, int]]:
    """Return where each CBOR item starts and ends, whatever it is inside of."""
    found: list[tuple[int, int]] = []

    def walk(cursor: Cursor) -> None:
        start = cursor.pos
        major = cursor.major()
        if major == 4:
            for _ in cursor.items(4):
                walk(cursor)
        elif major == 5:
            for _ in cursor.items(5):
                walk(cursor)
                walk(cursor)
        elif major == 6:
            cursor.head()
            walk(cursor)
        else:
            cursor.opaque()
        found.append((start, cursor.pos))

    walk(Cursor(raw))
    return found


def decode_opaquely(raw: bytes) -> None:
    """Raise MalformedError when the bytes do not start with a CBOR item."""
    Cursor(raw).opaque()


@st.composite
def mutated(draw: st.DrawFn, raw: bytes) -> bytes:
    """Return the CBOR with items dropped, doubled, exchanged, cut, retyped or of other lengths."""
    for _ in range(draw(st.integers(1, 3))):
        places = items_of(raw) if refusal_of(decode_opaquely, raw) is None else [(0, len(raw))]
        start, end = draw(st.sampled_from(places))
        other_start, other_end = draw(st.sampled_from(places))
        new = {
            "drop": b"",
            "double": raw[start:end] * 2,
            "exchange": raw[other_start:other_end],
            "cut": raw[start : start + draw(st.integers(0, end - start))],
            "retype": bytes([raw[start] ^ draw(st.integers(1, 7)) << 5]) + raw[start + 1 : end]
            if end > start
            else b"",
            "lengthen": bytes([raw[start] ^ draw(st.integers(1, 31))]) + raw[start + 1 : end]
            if end > start
            else b"",
            "noise": draw(st.binary(max_size=8)),
        }
        raw = raw[:start] + new[draw(st.sampled_from(sorted(new)))] + raw[end:]
    return raw


@fuzz
@given(mutated(PAID))
def test_a_mutated_payment_is_refused_or_is_the_same_payment(raw: bytes) -> None:
    code = refusal_of(check_payment, raw, TERMS)
    assert code in {None, *(refusal.value for refusal in PaymentRefusal)}
    if code is None:
        assert check_payment(raw, TERMS).tx_id == BUILT.tx_id


@fuzz
@given(mutated(SIGNED_SETTLEMENT))
def test_a_mutated_settlement_is_refused_or_pays_what_the_verdict_says(raw: bytes) -> None:
    code = refusal_of(check_settlement, raw, SETTLEMENT)
    assert code in {None, *(refusal.value for refusal in SettlementRefusal)}
    if code is None:
        assert [out.value for out in check_settlement(raw, SETTLEMENT).outputs] == [
            out.value for out in SETTLED.outputs
        ]


@pytest.mark.parametrize("era", ERAS)
@fuzz
@given(data=st.data())
def test_a_mutated_transaction_of_any_era_is_read_or_malformed(
    era: str, data: st.DataObject
) -> None:
    raw = data.draw(mutated(ERAS[era]))
    code = refusal_of(read_transaction, raw)
    assert code in (None, "malformed")
    if code is None:
        read_transaction(raw).invalid_witnesses()


@fuzz
@given(mutated(MESSAGE.cose_sign1), mutated(MESSAGE.cose_key))
def test_a_mutated_message_is_refused_or_says_the_same(sign1: bytes, key: bytes) -> None:
    address = REQUESTER.address(0)
    for message in (
        SignedMessage(sign1, MESSAGE.cose_key),
        SignedMessage(MESSAGE.cose_sign1, key),
        SignedMessage(sign1, key),
    ):
        code = refusal_of(verify_message, message, address)
        assert code in {None, *(refusal.value for refusal in MessageRefusal)}
        assert code or verify_message(message, address) == b'{"job": "digits"}'


@fuzz
@given(mutated(ESCROW.script))
def test_a_mutated_script_is_read_or_malformed(raw: bytes) -> None:
    assert refusal_of(read_script, raw) in (None, "malformed")


READERS: dict[str, Callable[[bytes], object]] = {
    "item": decode,
    "script": read_script,
    "transaction": read_transaction,
    "payment": lambda raw: check_payment(raw, TERMS),
    "settlement": lambda raw: check_settlement(raw, SETTLEMENT),
    "message": lambda raw: verify_message(SignedMessage(raw, raw), REQUESTER.address(0)),
    "address": address_from_bytes,
    "byron address": byron_root,
}


@pytest.mark.parametrize("reader", READERS)
@fuzz
@given(raw=st.binary(max_size=300))
def test_of_random_bytes_nothing_but_a_refusal_comes(reader: str, raw: bytes) -> None:
    assert refusal_of(READERS[reader], raw) in {None, "malformed", "malformed_address"}


ADDRESS = REQUESTER.address(0).bech32


@fuzz
@given(
    st.text(max_size=150)
    | st.tuples(st.integers(0, len(ADDRESS)), st.text(max_size=3)).map(
        lambda cut: ADDRESS[: cut[0]] + cut[1] + ADDRESS[cut[0] + len(cut[1]) :]
    )
)
def test_a_text_is_an_address_or_refused(text: str) -> None:
    code = refusal_of(parse_address, text)
    assert code in {None, "malformed_address", "ethereum_address"}
    assert code or parse_address(text).bech32 == text.strip().lower()


# Depth.


def nested(levels: int) -> Encoded:
    """Return an item that many arrays deep."""
    return Encoded(b"\x81" * levels + b"\x00")


def nested_script(levels: int) -> Encoded:
    """Return a native script that many scripts deep."""
    return Encoded(b"\x82\x01\x81" * levels + encode([4, 1]))


def body_with(key: int, content: object) -> bytes:
    """Return a transaction whose body holds this content."""
    return encode([{0: [[bytes(32), 0]], 1: [], 2: 0, key: content}, {}, True, None])


def witnesses_with(key: int, content: object) -> bytes:
    """Return a transaction whose witness set holds this content."""
    return encode([{0: [[bytes(32), 0]], 1: [], 2: 0}, {key: content}, True, None])


def auxiliary_with(content: object) -> bytes:
    """Return a transaction with this auxiliary data."""
    return encode([{0: [[bytes(32), 0]], 1: [], 2: 0}, {}, True, content])


def output_with(key: int, content: object) -> bytes:
    """Return a transaction with an output that holds this datum or script."""
    output = {0: ESCROW.address.raw, 1: 1, key: content}
    return encode([{0: [[bytes(32), 0]], 1: [output], 2: 0}, {}, True, None])


PLACES: dict[str, tuple[Callable[[int], bytes], int]] = {
    # How to nest, and how many levels of it fit.
    "certificate": (lambda n: body_with(4, [[nested(n)]]), MAX_DEPTH),
    "protocol update": (lambda n: body_with(6, [nested(n)]), MAX_DEPTH),
    "vote": (lambda n: body_with(19, {0: nested(n)}), MAX_DEPTH),
    "voter": (lambda n: body_with(19, {nested(n): 0}), MAX_DEPTH),
    "proposal": (lambda n: body_with(20, [[nested(n)]]), MAX_DEPTH),
    "guard": (lambda n: body_with(14, [nested(n)]), MAX_DEPTH),
    "unknown key": (lambda n: body_with(99, nested(n)), MAX_DEPTH),
    "inline datum": (lambda n: output_with(2, [1, Tag(24, nested(n).raw)]), MAX_DEPTH),
    "reference script": (lambda n: output_with(3, Tag(24, nested(n).raw)), MAX_DEPTH),
    "Plutus data": (lambda n: witnesses_with(4, [nested(n)]), MAX_DEPTH - 1),
    "redeemer": (lambda n: witnesses_with(5, {0: nested(n)}), MAX_DEPTH - 1),
    "native script": (lambda n: witnesses_with(1, [nested_script(n)]), MAX_SCRIPT_DEPTH),
    "metadatum": (lambda n: auxiliary_with({0: nested(n)}), MAX_DEPTH - 1),
    "metadatum as a key": (lambda n: auxiliary_with({0: {nested(n): 0}}), MAX_DEPTH - 2),
    "auxiliary script": (lambda n: auxiliary_with([{}, [nested(n)]]), MAX_DEPTH),
}


@pytest.mark.parametrize("place", PLACES)
def test_depth_is_limited_wherever_things_may_nest(place: str) -> None:
    write, most = PLACES[place]
    read_transaction(write(most))
    for levels in (most + 1, 2_000, (MAX_TRANSACTION_BYTES - 300) // 3):
        assert refusal_of(read_transaction, write(levels)) == "malformed"
