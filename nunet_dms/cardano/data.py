"""Plutus data: what datums and redeemers are, and what a script is told of a transaction.

Read as strictly as the ledger reads it (`PlutusCore.Data`): strings in chunks of at most 64
bytes, constructors by tag. Maps keep their order, and a key as often as it is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from nunet_dms.cardano.cbor import (
    ARRAY,
    BYTES,
    MAP,
    MAX_DEPTH,
    MAX_UNSIGNED,
    NEGATIVE,
    TAG,
    Cursor,
    encode,
)
from nunet_dms.errors import MalformedError

MAX_CHUNK_BYTES = 64
"""Longest piece of a byte string or of a large integer."""

POSITIVE_TAG, NEGATIVE_TAG = 2, 3
"""Mark byte strings as integers of any size (RFC 8949)."""
ANY_CONSTR_TAG = 102
"""Marks a pair of constructor and fields, for constructors without a tag of their own."""
_FIRST_TAGS = (121, range(7))
_MORE_TAGS = (1280, range(7, 128))
"""First tag of a row of constructors, and those constructors."""


@dataclass(frozen=True, slots=True)
class Constr:
    """A constructor by its number, and its fields."""

    number: int
    fields: tuple[Data, ...] = ()


@dataclass(frozen=True, slots=True)
class DataMap:
    """Pairs of key and value, as they were written."""

    pairs: tuple[tuple[Data, Data], ...] = ()


Data: TypeAlias = "int | bytes | tuple[Data, ...] | Constr | DataMap"
"""An integer, a byte string, a list, a constructor or a map."""


def data_from_bytes(raw: bytes) -> Data:
    """Read the one piece of data that the bytes hold; raises MalformedError."""
    cursor = Cursor(raw)
    data = read_data(cursor)
    cursor.finish()
    return data


def read_data(cursor: Cursor, depth: int = 0) -> Data:
    """Read data at the cursor; raises MalformedError, also when nested too deep."""
    if depth > MAX_DEPTH:
        raise cursor.malformed(f"data is nested more than {MAX_DEPTH} deep")
    major = cursor.major()
    if major <= NEGATIVE:
        return cursor.integer()
    if major == BYTES:
        return cursor.chunked(MAX_CHUNK_BYTES)
    if major == ARRAY:
        return _read_list(cursor, depth)
    if major == MAP:
        pairs = [
            (read_data(cursor, depth + 1), read_data(cursor, depth + 1)) for _ in cursor.items(MAP)
        ]
        return DataMap(tuple(pairs))
    if major == TAG:
        return _read_tagged(cursor, depth)
    raise cursor.malformed("this is no Plutus data")


def encode_data(data: Data) -> bytes:
    """Return the bytes that the ledger writes for data (Plutus's `serialiseData`).

    Raises MalformedError for a constructor that has no encoding: below zero or over 64 bits.
    """
    if isinstance(data, int):
        return _encode_integer(data)
    if isinstance(data, bytes):
        return _encode_bytes(data)
    if isinstance(data, tuple):
        return _encode_list(data)
    if isinstance(data, DataMap):
        pairs = b"".join([encode_data(key) + encode_data(value) for key, value in data.pairs])
        return _head(MAP, len(data.pairs)) + pairs
    return _encode_constr(data)


def _read_list(cursor: Cursor, depth: int) -> tuple[Data, ...]:
    return tuple([read_data(cursor, depth + 1) for _ in cursor.items(ARRAY)])


def _read_tagged(cursor: Cursor, depth: int) -> Data:
    _, tag = cursor.head()
    if tag == POSITIVE_TAG:
        return int.from_bytes(cursor.chunked(MAX_CHUNK_BYTES), "big")
    if tag == NEGATIVE_TAG:
        return -1 - int.from_bytes(cursor.chunked(MAX_CHUNK_BYTES), "big")
    if tag == ANY_CONSTR_TAG:
        is_open = cursor.enter(2)
        constr = Constr(cursor.unsigned(), _read_list(cursor, depth))
        cursor.leave(is_open)
        return constr
    for first, numbers in (_FIRST_TAGS, _MORE_TAGS):
        if tag - first + numbers[0] in numbers:
            return Constr(tag - first + numbers[0], _read_list(cursor, depth))
    raise cursor.malformed(f"tag {tag} marks no Plutus data")


def _encode_integer(number: int) -> bytes:
    if -1 - MAX_UNSIGNED <= number <= MAX_UNSIGNED:
        return encode(number)
    tag = POSITIVE_TAG if number >= 0 else NEGATIVE_TAG
    size = number if number >= 0 else -1 - number
    return _head(TAG, tag) + _encode_bytes(size.to_bytes((size.bit_length() + 7) // 8, "big"))


def _encode_bytes(content: bytes) -> bytes:
    if len(content) <= MAX_CHUNK_BYTES:
        return encode(content)
    starts = range(0, len(content), MAX_CHUNK_BYTES)
    chunks = [encode(content[start : start + MAX_CHUNK_BYTES]) for start in starts]
    return b"\x5f" + b"".join(chunks) + b"\xff"


def _encode_list(items: tuple[Data, ...]) -> bytes:
    if not items:
        return b"\x80"
    return b"\x9f" + b"".join([encode_data(item) for item in items]) + b"\xff"


def _encode_constr(constr: Constr) -> bytes:
    for first, numbers in (_FIRST_TAGS, _MORE_TAGS):
        if constr.number in numbers:
            tag = constr.number + first - numbers[0]
            return _head(TAG, tag) + _encode_list(constr.fields)
    if not 0 <= constr.number <= MAX_UNSIGNED:
        raise MalformedError(f"cannot write constructor {constr.number}: it has no encoding")
    number = encode(constr.number)
    return _head(TAG, ANY_CONSTR_TAG) + b"\x82" + number + _encode_list(constr.fields)


def _head(major: int, argument: int) -> bytes:
    """Return an item's head, made from that of an unsigned integer."""
    head = encode(argument)
    return bytes([major << 5 | head[0]]) + head[1:]
