"""Plutus V3 programs read from their bytes, as strictly as the ledger reads them.

uplc's own reader is not used: it passes over what follows a program, takes any version and the
variable 0, recurses as deep as the program does, and drops keys that repeat in data. The terms
made here are uplc's. Needs the extra `plutus`. Format: Plutus Core specification, appendix C.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from uplc import ast

from nunet_dms.cardano.cbor import BYTES, Cursor
from nunet_dms.cardano.chain.uplc_data import to_uplc
from nunet_dms.cardano.data import data_from_bytes
from nunet_dms.errors import MalformedError

VERSIONS = ((1, 0, 0), (1, 1, 0))
"""Of Plutus Core that V3 has; sums of products exist since the second."""
MAX_TYPE_TAGS = 64
"""Parts of a constant's type; real ones have at most seven."""

VARIABLE, DELAY, LAMBDA, APPLY, CONSTANT, FORCE, ERROR, BUILTIN, CONSTR, CASE = range(10)
INTEGER, BYTE_STRING, TEXT, UNIT, BOOL, LIST, PAIR, APPLICATION, DATA = range(9)

_FIXED_PARTS = {DELAY: 1, LAMBDA: 1, APPLY: 2, FORCE: 1}
"""Terms inside of a term; those of CONSTR and CASE are lists."""

Type: TypeAlias = "int | tuple[Type, ...]"
"""A plain type by its tag, a list as one type in a tuple, a pair as two."""


def read_program(script: bytes) -> Any:
    """Return the term of a script: a byte string in CBOR that holds a program in `flat`.

    Raises MalformedError for all that the ledger does not take for a well-formed script, and for
    builtin functions that came after protocol version 10.
    """
    cursor = Cursor(script)
    major, length = cursor.head()
    if major != BYTES or length != cursor.size - cursor.pos:
        raise _malformed("it is not one byte string")
    bits = _Bits(script[cursor.pos :])
    version = (bits.natural(), bits.natural(), bits.natural())
    if version not in VERSIONS:
        raise _malformed(f"it is of version {'.'.join(map(str, version))}")
    term = _Terms(bits, has_sums=version == VERSIONS[1]).read()
    bits.finish()
    return term


class _Bits:
    """A position in bytes, counted in bits."""

    __slots__ = ("_data", "_pos")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._pos = 0

    def take(self, count: int) -> int:
        """Read a number of up to eight bits."""
        start, self._pos = self._pos, self._pos + count
        if self._pos > 8 * len(self._data):
            raise _malformed("it ends in the middle of a term")
        first = start // 8
        window = int.from_bytes(self._data[first : first + 2].ljust(2, b"\0"), "big")
        return window >> 16 - start % 8 - count & (1 << count) - 1

    def natural(self, limit_bits: int = 64) -> int:
        """Read a number in groups of seven bits, the lowest first."""
        groups = []
        while True:
            group = self.take(8)
            groups.append(group & 0x7F)
            if len(groups) * 7 > limit_bits + 6:
                raise _malformed("a number is too large")
            if group < 0x80:
                break
        number = 0
        for group in reversed(groups):
            number = number << 7 | group
        if number >> limit_bits:
            raise _malformed("a number is too large")
        return number

    def integer(self) -> int:
        """Read an integer of any size, signs folded into the lowest bit."""
        number = self.natural(8 * len(self._data))
        return -(number >> 1) - 1 if number & 1 else number >> 1

    def byte_string(self) -> bytes:
        """Read chunks of bytes until an empty one; they start at a whole byte."""
        self._pass_filler()
        chunks = []
        while length := self.take(8):
            start = self._pos // 8
            self._pos += 8 * length
            if self._pos > 8 * len(self._data):
                raise _malformed("it ends in the middle of a byte string")
            chunks.append(self._data[start : start + length])
        return b"".join(chunks)

    def finish(self) -> None:
        """Refuse everything but the filler of the last byte."""
        self._pass_filler()
        if self._pos != 8 * len(self._data):
            raise _malformed("something follows it")

    def _pass_filler(self) -> None:
        """Pass over zeros and the one that ends at a whole byte."""
        if self.take(8 - self._pos % 8) != 1:
            raise _malformed("its filler is wrong")


class _Open:
    """A term whose parts are being read."""

    __slots__ = ("number", "parts", "tag")

    def __init__(self, tag: int, number: int = 0) -> None:
        self.tag = tag
        self.number = number
        """Of a constructor, or of the variable that a lambda binds."""
        self.parts: list[Any] = []


class _Terms:
    """Reads one term without recursion, so that no depth exhausts the stack."""

    __slots__ = ("_bits", "_depth", "_has_sums", "_open")

    def __init__(self, bits: _Bits, *, has_sums: bool) -> None:
        self._bits = bits
        self._has_sums = has_sums
        self._open: list[_Open] = []
        self._depth = 0
        """Lambdas around the position: variables count from the innermost, their names do not."""

    def read(self) -> Any:
        while True:
            term = self._start()
            while term is not None:
                if not self._open:
                    return term
                opened = self._open[-1]
                opened.parts.append(term)
                term = None if self._has_more(opened) else self._close()

    def _start(self) -> Any:
        """Read the head of a term; return the term if it has no parts, else open it."""
        tag = self._bits.take(4)
        if tag in _LEAVES:
            return _LEAVES[tag](self)
        if tag not in _FIXED_PARTS and not (self._has_sums and tag in (CONSTR, CASE)):
            raise _malformed(f"it has a term of kind {tag}")
        opened = _Open(tag)
        if tag == LAMBDA:
            opened.number = self._depth
            self._depth += 1
        elif tag == CONSTR:
            opened.number = self._bits.natural()
            if not self._bits.take(1):
                return ast.Constr(opened.number, [])
        self._open.append(opened)
        return None

    def _has_more(self, opened: _Open) -> bool:
        if opened.tag in _FIXED_PARTS:
            return len(opened.parts) < _FIXED_PARTS[opened.tag]
        return bool(self._bits.take(1))

    def _close(self) -> Any:
        opened = self._open.pop()
        parts = opened.parts
        if opened.tag == LAMBDA:
            self._depth -= 1
            return ast.Lambda(_name(opened.number), parts[0])
        if opened.tag == CONSTR:
            return ast.Constr(opened.number, parts)
        if opened.tag == CASE:
            return ast.Case(parts[0], parts[1:])
        return {DELAY: ast.Delay, FORCE: ast.Force, APPLY: ast.Apply}[opened.tag](*parts)

    def variable(self) -> Any:
        index = self._bits.natural()
        if not 1 <= index <= self._depth:
            raise _malformed(f"nothing binds variable {index}")
        return ast.Variable(_name(self._depth - index))

    def builtin(self) -> Any:
        number = self._bits.take(7)
        try:
            return ast.BuiltIn(ast.BuiltInFun(number))
        except ValueError as error:
            raise _malformed(f"there is no builtin function {number}") from error

    def constant(self) -> Any:
        tags = []
        while self._bits.take(1):
            tags.append(self._bits.take(4))
            if len(tags) > MAX_TYPE_TAGS:
                raise _malformed("a type is too large")
        tags.reverse()
        kind = _read_type(tags)
        if tags:
            raise _malformed("a type has too many parts")
        return _read_constant(self._bits, kind)

    def error(self) -> Any:
        return ast.Error()


_LEAVES = {
    VARIABLE: _Terms.variable,
    CONSTANT: _Terms.constant,
    ERROR: _Terms.error,
    BUILTIN: _Terms.builtin,
}


def _read_type(tags: list[int]) -> Type:
    """Take one type off the end of the tags, which are in reverse."""
    if not tags:
        raise _malformed("a type is cut off")
    tag = tags.pop()
    if tag in _PLAIN:
        return tag
    head = tuple(tags.pop() for _ in range(min(2, len(tags)))) if tag == APPLICATION else ()
    if head[:1] == (LIST,):
        tags.extend(head[1:])
        return (_read_type(tags),)
    if head == (APPLICATION, PAIR):
        return (_read_type(tags), _read_type(tags))
    raise _malformed("it has a constant of an unknown type")


def _read_constant(bits: _Bits, kind: Type) -> Any:
    if isinstance(kind, int):
        return _PLAIN[kind][0](bits)
    if len(kind) == 2:
        return ast.BuiltinPair(_read_constant(bits, kind[0]), _read_constant(bits, kind[1]))
    items = []
    while bits.take(1):
        items.append(_read_constant(bits, kind[0]))
    return ast.BuiltinList(items, _sample(kind[0]))


def _sample(kind: Type) -> Any:
    """Return a value of the type, which uplc tells the type of an empty list by."""
    if isinstance(kind, int):
        return _PLAIN[kind][1]
    if len(kind) == 2:
        return ast.BuiltinPair(_sample(kind[0]), _sample(kind[1]))
    return ast.BuiltinList([], _sample(kind[0]))


def _text(bits: _Bits) -> Any:
    try:
        return ast.BuiltinString(bits.byte_string().decode())
    except UnicodeDecodeError as error:
        raise _malformed("a text is not UTF-8") from error


_PLAIN: dict[int, tuple[Any, Any]] = {
    INTEGER: (lambda bits: ast.BuiltinInteger(bits.integer()), ast.BuiltinInteger(0)),
    BYTE_STRING: (
        lambda bits: ast.BuiltinByteString(bits.byte_string()),
        ast.BuiltinByteString(b""),
    ),
    TEXT: (_text, ast.BuiltinString("")),
    UNIT: (lambda _: ast.BuiltinUnit(), ast.BuiltinUnit()),
    BOOL: (lambda bits: ast.BuiltinBool(bool(bits.take(1))), ast.BuiltinBool(False)),
    DATA: (lambda bits: to_uplc(data_from_bytes(bits.byte_string())), ast.PlutusData()),
}
"""How to read a constant of a plain type, and one of it."""


def _name(number: int) -> str:
    return f"v{number}"


def _malformed(why: str) -> MalformedError:
    return MalformedError(f"cannot read the Plutus script: {why}")
