"""The CBOR cursor and encoder, on RFC 8949's own examples and on broken bytes."""

from __future__ import annotations

import pytest
from cardano_world import refusal_of
from hypothesis import given, settings
from hypothesis import strategies as st

from nunet_dms.cardano.cbor import MAX_DEPTH, Cursor, Encoded, Tag, decode, encode
from nunet_dms.errors import MalformedError

RFC_EXAMPLES = [
    ("00", 0),
    ("17", 23),
    ("1818", 24),
    ("1903e8", 1000),
    ("1a000f4240", 1_000_000),
    ("1bffffffffffffffff", 2**64 - 1),
    ("20", -1),
    ("3903e7", -1000),
    ("3bffffffffffffffff", -(2**64)),
    ("f4", False),
    ("f5", True),
    ("f6", None),
    ("c074323031332d30332d32315432303a30343a30305a", Tag(0, "2013-03-21T20:04:00Z")),
    ("c249010000000000000000", Tag(2, b"\x01" + bytes(8))),
    ("40", b""),
    ("4401020304", b"\x01\x02\x03\x04"),
    ("60", ""),
    ("6449455446", "IETF"),
    ("62c3bc", "ü"),
    ("80", ()),
    ("8301820203820405", (1, (2, 3), (4, 5))),
    ("a0", {}),
    ("a201020304", {1: 2, 3: 4}),
    ("826161a161626163", ("a", {"b": "c"})),
]
RFC_INDEFINITE = [
    ("5f42010243030405ff", b"\x01\x02\x03\x04\x05"),
    ("7f657374726561646d696e67ff", "streaming"),
    ("9fff", ()),
    ("9f018202039f0405ffff", (1, (2, 3), (4, 5))),
    ("bf61610161629f0203ffff", {"a": 1, "b": (2, 3)}),
]
BROKEN = [
    "",
    "18",
    "1900",
    "1c",  # reserved
    "1f",  # an integer of indefinite length
    "41",
    "61ff",  # no UTF-8
    "5f4101",  # no break
    "5f6161ff",  # a text in a byte string
    "5f5f4101ffff",  # chunks in chunks
    "81",
    "9f01",
    "a1",
    "a101",
    "bf01ff",  # a key without its value
    "a2010101" + "02",  # a key twice
    "9bffffffffffffffff",  # a length that nobody has
    "bbffffffffffffffff",
    "5bffffffffffffffff",
    "0000",  # more than one item
    "ff",
    "f7",  # undefined
    "f814",  # false in two bytes
    "f90000",  # a float
    "e0",
    "a1f501",  # true for a key
]


@pytest.mark.parametrize(("text", "value"), RFC_EXAMPLES)
def test_reads_and_writes_what_the_rfc_shows(text: str, value: object) -> None:
    assert decode(bytes.fromhex(text)) == value
    assert encode(value).hex() == text


@pytest.mark.parametrize(("text", "value"), RFC_INDEFINITE)
def test_reads_indefinite_lengths(text: str, value: object) -> None:
    assert decode(bytes.fromhex(text)) == value


@pytest.mark.parametrize("text", BROKEN)
def test_refuses_broken_bytes(text: str) -> None:
    with pytest.raises(MalformedError):
        decode(bytes.fromhex(text))


def test_depth_is_limited() -> None:
    assert decode(b"\x81" * MAX_DEPTH + b"\x00") is not None
    for nest in (b"\x81", b"\x9f", b"\xc1", b"\xa1\x00"):
        with pytest.raises(MalformedError):
            decode(nest * (MAX_DEPTH + 1) + b"\x00")
        with pytest.raises(MalformedError):
            decode(nest * 60_000)


def test_opaque_items_may_repeat_keys_and_report_their_span() -> None:
    """Plutus data may hold a key twice; we pass over it and keep its bytes."""
    cursor = Cursor(bytes.fromhex("00a20101010205"))
    cursor.unsigned()
    assert cursor.opaque() == (1, 6)
    assert cursor.unsigned() == 5


def test_maps_are_written_in_canonical_order() -> None:
    assert encode({"bb": 1, b"\x01": 2, 100: 3, 2: 4}) == bytes.fromhex(
        "a4020418640341010262626201"
    )


def test_encoded_parts_are_put_in_as_they_are() -> None:
    assert encode([Encoded(b"\x18\x01")]) == b"\x81\x18\x01"


@pytest.mark.parametrize("value", [1.5, object(), {1, 2}])
def test_what_the_ledger_has_not_is_not_encoded(value: object) -> None:
    with pytest.raises(TypeError):
        encode(value)
    with pytest.raises(OverflowError):
        encode(2**64)


VALUES = st.recursive(
    st.integers(-(2**64), 2**64 - 1) | st.binary() | st.text() | st.booleans() | st.none(),
    lambda inner: st.lists(inner).map(tuple) | st.dictionaries(st.binary() | st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_what_is_written_is_read_back(value: object) -> None:
    assert decode(encode(value)) == value


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    assert refusal_of(decode, data) in (None, "malformed")
