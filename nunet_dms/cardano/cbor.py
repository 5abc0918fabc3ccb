"""CBOR (RFC 8949) as Cardano uses it: a cursor that keeps positions, and a canonical encoder.

The cursor reads what the ledger's formats need and refuses the rest: no floats, no simple
values but false, true and null, no key twice in a map (but in what is passed over as opaque).
Integers and lengths may be written longer than need be, arrays, maps and strings without their
length, as the ledger allows. Every failure is a MalformedError.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from nunet_dms.errors import MalformedError

MAX_DEPTH = 64
"""Arrays, maps and tags inside one another; real transactions stay below 20."""

UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)

SET_TAG = 258
"""Marks an array as a set (Conway's CDDL allows it, and allows leaving it out)."""

EMBEDDED_TAG = 24
"""Marks a byte string that holds CBOR: an inline datum, a reference script, a Byron address."""

MAX_UNSIGNED = 2**64 - 1
"""Largest integer that CBOR has without tags: the largest amount, fee and slot."""

_INDEFINITE = -1
_BREAK = 0xFF
_BYTES_HEADS = [b"\x58" + bytes([length]) for length in range(256)]
"""How a byte string of 24 to 255 bytes starts in its shortest form."""
_SHORT_HEADS = [(first >> 5, first & 31) if first & 31 < 24 else None for first in range(256)]
"""Major type and argument of an item by its first byte, where that byte has both."""
_CONSTANTS = {20: False, 21: True, 22: None}


@dataclass(frozen=True, slots=True)
class Tag:
    """A value with a tag number."""

    number: int
    value: object


@dataclass(frozen=True, slots=True)
class Encoded:
    """Bytes that are CBOR already, for the encoder to put in as they are."""

    raw: bytes


class Cursor:
    """A position in CBOR bytes; each read moves it past one item."""

    __slots__ = ("data", "pos", "size", "unjudged")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.pos = 0
        self.size = len(data)
        self.unjudged: set[str] = set()
        """Names of what readers met and took for its form only, such as `certificates`."""

    def head(self) -> tuple[int, int]:
        """Read an item's major type and argument; the argument is -1 for indefinite length."""
        pos = self.pos
        if pos >= self.size:
            raise self.malformed("it ends in the middle of an item")
        first = self.data[pos]
        short = _SHORT_HEADS[first]
        if short:
            self.pos = pos + 1
            return short
        major, info = first >> 5, first & 31
        if info < 28 and major != SIMPLE:
            end = pos + 1 + (1 << info - 24)
            if end > self.size:
                raise self.malformed("it ends in the middle of an item")
            self.pos = end
            return major, int.from_bytes(self.data[pos + 1 : end], "big")
        if info == 31 and BYTES <= major <= MAP:
            self.pos = pos + 1
            return major, _INDEFINITE
        raise self.malformed(f"0x{first:02x} starts no item")

    def major(self) -> int:
        """Return the major type of the next item without reading it."""
        if self.pos >= self.size:
            raise self.malformed("it ends where an item should start")
        return self.data[self.pos] >> 5

    def items(self, major: int) -> Iterable[int]:
        """Enter an array or a map; give a number before each of its items or pairs."""
        found, count = self.head()
        if found != major:
            raise self.malformed("an array or a map is missing")
        if count == _INDEFINITE:
            return self._until_break()
        if count << (major == MAP) > self.size - self.pos:
            raise self.malformed("a length is greater than what is left")
        return range(count)

    def enter(self, length: int) -> bool:
        """Enter an array of exactly that many items; `leave` wants to know what this returns."""
        major, count = self.head()
        if major != ARRAY or count not in (length, _INDEFINITE):
            raise self.malformed(f"an array of {length} items is missing")
        return count == _INDEFINITE

    def leave(self, is_open: bool) -> None:
        """Leave an array whose items were all read."""
        if is_open and not self._at_break():
            raise self.malformed("an array has too many items")

    def set_items(self) -> Iterable[int]:
        """Enter a set: an array that may carry the set tag."""
        if self.major() == TAG:
            self.expect_tag(SET_TAG)
        return self.items(ARRAY)

    def expect_tag(self, number: int) -> None:
        """Read a tag; raises MalformedError for any other item or number."""
        if self.head() != (TAG, number):
            raise self.malformed(f"tag {number} is missing")

    def unsigned(self) -> int:
        """Read an integer from 0 to 2**64 - 1."""
        major, argument = self.head()
        if major != UNSIGNED:
            raise self.malformed("an unsigned integer is missing")
        return argument

    def integer(self) -> int:
        """Read an integer from -2**64 to 2**64 - 1."""
        major, argument = self.head()
        if major > NEGATIVE:
            raise self.malformed("an integer is missing")
        return argument if major == UNSIGNED else -1 - argument

    def byte_string(self, least: int, most: int) -> bytes:
        """Read a byte string whose length lies between the two limits."""
        major, length = self.head()
        if major != BYTES:
            raise self.malformed("a byte string is missing")
        content = self._string(major, length)
        if not least <= len(content) <= most:
            raise self.malformed(f"a byte string has {len(content)} bytes")
        return content

    def chunked(self, most: int) -> bytes:
        """Read a byte string of which no chunk is longer than that."""
        start = self.pos
        major, length = self.head()
        if major != BYTES:
            raise self.malformed("a byte string is missing")
        if length != _INDEFINITE:
            self.pos = start
            return self.byte_string(0, most)
        chunks = list(self._chunks(BYTES))
        if max(map(len, chunks), default=0) > most:
            raise self.malformed(f"a chunk has more than {most} bytes")
        return b"".join(chunks)

    def digest(self, length: int) -> bytes:
        """Read a byte string of exactly this length, at most 255."""
        start = self.pos + 2
        end = start + length
        if end <= self.size and self.data[self.pos : start] == _BYTES_HEADS[length]:
            self.pos = end  # as almost everybody writes it
            return self.data[start:end]
        return self.byte_string(length, length)

    def value(self) -> object:
        """Read any item: arrays as tuples, maps as dicts; a key that repeats is refused."""
        return self._value(0, opaque=False)

    def opaque(self) -> tuple[int, int]:
        """Pass over any item, checking its form only, and return where it starts and ends."""
        start = self.pos
        self._value(0, opaque=True)
        return start, self.pos

    def finish(self) -> None:
        """Raise MalformedError when bytes are left."""
        if self.pos != self.size:
            raise self.malformed(f"{self.size - self.pos} bytes are left over")

    def malformed(self, why: str) -> MalformedError:
        """Return the error for what is wrong at this position."""
        return MalformedError(f"cannot read CBOR: {why}", where=f"byte {self.pos}")

    def _until_break(self) -> Iterator[int]:
        count = 0
        while not self._at_break():
            yield count
            count += 1

    def _at_break(self) -> bool:
        if self.pos >= self.size:
            raise self.malformed("a break is missing")
        if self.data[self.pos] != _BREAK:
            return False
        self.pos += 1
        return True

    def _string(self, major: int, length: int) -> bytes:
        if length == _INDEFINITE:
            return b"".join(self._chunks(major))
        end = self.pos + length
        if end > self.size:
            raise self.malformed("a length is greater than what is left")
        content = self.data[self.pos : end]
        self.pos = end
        return content

    def _chunks(self, major: int) -> Iterator[bytes]:
        while not self._at_break():
            found, length = self.head()
            if found != major or length == _INDEFINITE:
                raise self.malformed("a chunk is not a plain string")
            yield self._string(major, length)

    def _value(self, depth: int, *, opaque: bool) -> object:
        if depth > MAX_DEPTH:
            raise self.malformed(f"it is nested more than {MAX_DEPTH} deep")
        start = self.pos
        major, argument = self.head()
        if major <= TEXT:
            return self._scalar(major, argument)
        if major == SIMPLE:
            return self._constant(argument)
        if major == TAG:
            return Tag(argument, self._value(depth + 1, opaque=opaque))
        self.pos = start
        if major == ARRAY:
            return tuple([self._value(depth + 1, opaque=opaque) for _ in self.items(ARRAY)])
        return self._pairs(depth) if opaque else self._map(depth)

    def _scalar(self, major: int, argument: int) -> int | bytes | str:
        if major == UNSIGNED:
            return argument
        if major == NEGATIVE:
            return -1 - argument
        return self._string(major, argument) if major == BYTES else self._text(argument)

    def _text(self, length: int) -> str:
        try:
            if length != _INDEFINITE:
                return self._string(TEXT, length).decode()
            return "".join([chunk.decode() for chunk in self._chunks(TEXT)])
        except UnicodeDecodeError as error:
            raise self.malformed("a text is not UTF-8") from error

    def _constant(self, argument: int) -> bool | None:
        if argument not in _CONSTANTS:
            raise self.malformed(f"simple value {argument} is not used on Cardano")
        return _CONSTANTS[argument]

    def _map(self, depth: int) -> dict[object, object]:
        entries: dict[object, object] = {}
        for _ in self.items(MAP):
            # Keys are read as opaque, so that a map used as a key is hashable.
            key = self._value(depth + 1, opaque=True)
            if key in entries or isinstance(key, bool):  # Python takes true for 1
                raise self.malformed("a map has the same key twice, or true or false for a key")
            entries[key] = self._value(depth + 1, opaque=False)
        return entries

    def _pairs(self, depth: int) -> tuple[tuple[object, object], ...]:
        return tuple(
            [
                (self._value(depth + 1, opaque=True), self._value(depth + 1, opaque=True))
                for _ in self.items(MAP)
            ]
        )


def decode(data: bytes) -> object:
    """Read the one item that the bytes hold; raises MalformedError."""
    cursor = Cursor(data)
    value = cursor.value()
    cursor.finish()
    return value


def encode(value: object) -> bytes:
    """Return canonical CBOR: shortest heads, definite lengths, keys by length, then bytes.

    Raises TypeError for what the ledger's formats do not have, and OverflowError for integers
    of more than 64 bits: both are mistakes of the caller.
    """
    if isinstance(value, Encoded):
        return value.raw
    if isinstance(value, bool) or value is None:
        return b"\xf6" if value is None else b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return encode_head(UNSIGNED, value) if value >= 0 else encode_head(NEGATIVE, -1 - value)
    if isinstance(value, bytes):
        return encode_head(BYTES, len(value)) + value
    if isinstance(value, str):
        content = value.encode()
        return encode_head(TEXT, len(content)) + content
    return _encode_nested(value)


def _encode_nested(value: object) -> bytes:
    if isinstance(value, Tag):
        return encode_head(TAG, value.number) + encode(value.value)
    if isinstance(value, (list, tuple)):
        return encode_head(ARRAY, len(value)) + b"".join([encode(item) for item in value])
    if isinstance(value, Mapping):
        pairs = [(encode(key), encode(item)) for key, item in value.items()]
        pairs.sort(key=lambda pair: (len(pair[0]), pair[0]))
        return encode_head(MAP, len(pairs)) + b"".join([key + item for key, item in pairs])
    raise TypeError(f"cannot encode {type(value).__name__} as CBOR")


def encode_head(major: int, argument: int) -> bytes:
    """Return the start of an item in its shortest form; raises OverflowError over 64 bits."""
    if argument < 24:
        return bytes([major << 5 | argument])
    for info, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << 8 * width:
            return bytes([major << 5 | info]) + argument.to_bytes(width, "big")
    raise OverflowError("cannot encode an integer of more than 64 bits")
