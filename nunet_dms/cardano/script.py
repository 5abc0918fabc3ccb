"""Native scripts: the ledger's small language of signatures and slots (no Plutus).

Written and judged as in the ledger's Conway CDDL and its `evalTimelock`.
"""

from __future__ import annotations

from dataclasses import dataclass

from nunet_dms.cardano.cbor import ARRAY, Cursor, encode, encode_head
from nunet_dms.cardano.hashes import KEY_HASH_BYTES, blake2b_224
from nunet_dms.errors import MalformedError

MAX_COUNT, MIN_COUNT = 2**63 - 1, -(2**63)
"""Bounds of at-least's count, which the ledger reads as an Int."""
MAX_SCRIPT_DEPTH = 16
"""Scripts inside one another; an escrow has 4."""

SIGNATURE, ALL, ANY, AT_LEAST, AFTER, BEFORE = range(6)

_SIGNATURE_HEAD = encode([SIGNATURE, bytes(KEY_HASH_BYTES)])[:-KEY_HASH_BYTES]
_HASH_PREFIX = b"\x00"
"""Tells native scripts from Plutus in a script's hash."""


@dataclass(frozen=True, slots=True)
class Script:
    """One node: `number` is a slot or the count of at-least, the rest is what it needs."""

    kind: int
    key_hash: bytes = b""
    number: int = 0
    parts: tuple[Script, ...] = ()

    def key_hashes(self) -> frozenset[bytes]:
        """Return every key hash that the script names."""
        own = frozenset([self.key_hash]) if self.kind == SIGNATURE else frozenset[bytes]()
        return own.union(*(part.key_hashes() for part in self.parts))


def signature(key_hash: bytes) -> bytes:
    """Return the script that holds when the key has signed; raises MalformedError."""
    if len(key_hash) != KEY_HASH_BYTES:
        raise _malformed(f"a key hash has {len(key_hash)} bytes")
    return _SIGNATURE_HEAD + key_hash


def all_of(*parts: bytes) -> bytes:
    """Return the script that holds when every part does."""
    return _node(ALL, _list(parts))


def any_of(*parts: bytes) -> bytes:
    """Return the script that holds when some part does."""
    return _node(ANY, _list(parts))


def at_least(count: int, *parts: bytes) -> bytes:
    """Return the script that holds when at least `count` parts do."""
    return _node(AT_LEAST, encode(count), _list(parts))


def after_slot(slot: int) -> bytes:
    """Return the script that holds when the transaction is valid from `slot` or later only."""
    return _node(AFTER, encode(slot))


def before_slot(slot: int) -> bytes:
    """Return the script that holds when the transaction is valid until `slot` or sooner only."""
    return _node(BEFORE, encode(slot))


def script_hash(raw: bytes) -> bytes:
    """Return the 28-byte hash that an address or a policy commits to."""
    return blake2b_224(_HASH_PREFIX + raw)


def read_script(raw: bytes) -> Script:
    """Read the one script that the bytes hold; raises MalformedError."""
    cursor = Cursor(raw)
    script = read_script_at(cursor)
    cursor.finish()
    return script


def read_script_at(cursor: Cursor) -> Script:
    """Read the script at the cursor; raises MalformedError, also when nested too deep."""
    return _script_of(cursor.value(), 0)


def evaluate(
    raw: bytes, signers: frozenset[bytes], valid_from: int | None, ttl: int | None
) -> bool:
    """Return whether the script lets a transaction of these signers and slots pass.

    Raises MalformedError when the bytes are no native script.
    """
    return holds(read_script(raw), signers, valid_from, ttl)


def holds(
    script: Script, signers: frozenset[bytes], valid_from: int | None, ttl: int | None
) -> bool:
    """Return whether the script, read before, lets such a transaction pass."""
    if script.kind == SIGNATURE:
        return script.key_hash in signers
    if script.kind == AFTER:
        return valid_from is not None and valid_from >= script.number
    if script.kind == BEFORE:
        return ttl is not None and ttl <= script.number
    passing = sum(holds(part, signers, valid_from, ttl) for part in script.parts)
    needed = {ALL: len(script.parts), ANY: 1}.get(script.kind, script.number)
    return passing >= needed


def _node(kind: int, *fields: bytes) -> bytes:
    """Return one part of a script; by hand, since every payment's escrow is reckoned anew."""
    return b"".join((encode_head(ARRAY, 1 + len(fields)), bytes([kind]), *fields))


def _list(parts: tuple[bytes, ...]) -> bytes:
    return encode_head(ARRAY, len(parts)) + b"".join(parts)


def _script_of(node: object, depth: int) -> Script:
    if depth > MAX_SCRIPT_DEPTH:
        raise _malformed(f"it is nested more than {MAX_SCRIPT_DEPTH} deep")
    if not isinstance(node, tuple) or not node or type(node[0]) is not int:
        raise _malformed("a part is not an array that starts with a number")
    match node:
        case (0, bytes() as key_hash) if len(key_hash) == KEY_HASH_BYTES:
            return Script(SIGNATURE, key_hash=key_hash)
        case (1 | 2 as kind, tuple() as parts):
            return Script(kind, parts=_parts_of(parts, depth))
        case (3, int() as count, tuple() as parts) if _is_count(count):
            return Script(AT_LEAST, number=count, parts=_parts_of(parts, depth))
        case (4 | 5 as kind, int() as slot) if type(slot) is int and slot >= 0:
            return Script(kind, number=slot)
        case _:
            raise _malformed("a part has an unknown form")


def _parts_of(parts: tuple[object, ...], depth: int) -> tuple[Script, ...]:
    return tuple([_script_of(part, depth + 1) for part in parts])


def _is_count(number: int) -> bool:
    return type(number) is int and MIN_COUNT <= number <= MAX_COUNT


def _malformed(why: str) -> MalformedError:
    return MalformedError(f"cannot read the native script: {why}")
