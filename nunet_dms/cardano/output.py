"""Transaction outputs: read them as written, encode the ones that we make."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nunet_dms.cardano.address import BASE_BYTES, ENTERPRISE_BYTES, Address, byron_root
from nunet_dms.cardano.cbor import (
    ARRAY,
    EMBEDDED_TAG,
    MAP,
    MAX_UNSIGNED,
    UNSIGNED,
    Cursor,
    Tag,
    encode,
)
from nunet_dms.cardano.value import MAX_NAME_BYTES, POLICY_BYTES, AssetId, Value

MAX_ADDRESS_BYTES = 16_384
"""As many as a whole transaction may have: before Babbage junk could follow an address."""
MAX_ASSETS_PER_VALUE = 5_500
"""A transaction has 16,384 bytes, and an amount with its name at least three."""
MAX_MINTED, MIN_MINTED = 2**63 - 1, -(2**63)
"""Bounds of an amount that is minted or, below zero, burnt; outputs hold up to 2**64 - 1."""

BYRON = 8
"""Header type of a Byron address (CIP-19)."""
POINTERS = (4, 5)
"""Header types of pointer addresses, which Conway lets no new output use."""
LEAST_POINTER_BYTES = ENTERPRISE_BYTES + 3
"""Three numbers of variable length follow the hash: slot, transaction, certificate."""

_LENGTHS = dict.fromkeys((0, 1, 2, 3), BASE_BYTES) | dict.fromkeys((6, 7), ENTERPRISE_BYTES)
"""Bytes of the addresses that have always the same length, by header type."""

DATUM_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class TxOutput:
    """What an output pays, and to whom."""

    address: bytes
    value: Value
    has_datum: bool = False
    has_script_ref: bool = False
    size: int = 0
    """Bytes of the output as it was encoded; the minimum ADA follows from it."""
    datum: bytes | None = None
    """The datum as it was encoded, where the output carries more than the datum's hash."""

    @property
    def address_type(self) -> int:
        """The upper half of the address's first byte (CIP-19)."""
        return self.address[0] >> 4


def new_output(address: Address, value: Value, datum: bytes | None = None) -> TxOutput:
    """Return an output, its size filled in, for a transaction that we build."""
    plain = TxOutput(address.raw, value, has_datum=datum is not None, datum=datum)
    return replace(plain, size=len(encode_output(plain)))


def encode_output(output: TxOutput) -> bytes:
    """Return the output in the map form of Babbage; a datum's hash and a script are not written."""
    parts: dict[int, object] = {0: output.address, 1: value_to_cbor(output.value)}
    if output.datum is not None:
        parts[2] = [1, Tag(EMBEDDED_TAG, output.datum)]
    return encode(parts)


def value_to_cbor(value: Value) -> object:
    """Return the value as the encoder takes it: an integer, or a pair with the assets."""
    if not value.assets:
        return value.lovelace
    return [value.lovelace, assets_to_cbor(value.assets)]


def assets_to_cbor(
    assets: tuple[tuple[AssetId, int], ...],
) -> dict[bytes, dict[bytes, int]]:
    """Return asset amounts as the ledger nests them: policy, then name."""
    nested: dict[bytes, dict[bytes, int]] = {}
    for asset, amount in assets:
        nested.setdefault(asset.policy, {})[asset.name] = amount
    return nested


def read_output(cursor: Cursor) -> TxOutput:
    """Read an output in either form: array (until Alonzo) or map; raises MalformedError."""
    start = cursor.pos
    parts = _read_array_form if cursor.major() == ARRAY else _read_map_form
    address, value, has_datum, has_script_ref, datum = parts(cursor)
    return TxOutput(address, value, has_datum, has_script_ref, cursor.pos - start, datum)


def read_value(cursor: Cursor) -> Value:
    """Read lovelace, or lovelace and assets; raises MalformedError, also for less than none."""
    if cursor.major() == UNSIGNED:
        return Value(cursor.unsigned())
    is_open = cursor.enter(2)
    value = Value(cursor.unsigned(), _read_assets(cursor, 0, MAX_UNSIGNED))
    cursor.leave(is_open)
    return value


def read_mint(cursor: Cursor) -> tuple[tuple[AssetId, int], ...]:
    """Read what is minted and, with amounts below zero, burnt; raises MalformedError.

    A mint of nothing is unjudged: Conway no longer lets it pass.
    """
    minted = _read_assets(cursor, MIN_MINTED, MAX_MINTED)
    if not minted:
        cursor.unjudged.add("empty_mint")
    return minted


def _read_assets(cursor: Cursor, least: int, most: int) -> tuple[tuple[AssetId, int], ...]:
    """Read the nested map of policy, name and amount, sorted; refuses repeated keys.

    Amounts of zero and policies without a name, which Mary to Babbage let pass, are left out.
    """
    amounts: dict[AssetId, int] = {}
    policies = set()
    for _ in cursor.items(MAP):
        policy = cursor.digest(POLICY_BYTES)
        if policy in policies:
            raise cursor.malformed("a value names the same policy twice")
        policies.add(policy)
        has_names = False
        for _ in cursor.items(MAP):
            has_names = True
            asset = AssetId(policy, cursor.byte_string(0, MAX_NAME_BYTES))
            amount = cursor.integer()
            if asset in amounts or len(amounts) == MAX_ASSETS_PER_VALUE:
                raise cursor.malformed("a value has a name twice, or too many of them")
            if not least <= amount <= most:
                raise cursor.malformed(f"{amount} of an asset is out of bounds")
            amounts[asset] = amount
        if not has_names:
            cursor.unjudged.add("empty_policy")
    if 0 in amounts.values():
        cursor.unjudged.add("zero_amount")
    return tuple(sorted([item for item in amounts.items() if item[1]]))


_Parts = tuple[bytes, Value, bool, bool, bytes | None]
"""Address, value, whether there is a datum, and a script, and the datum itself."""


def _read_array_form(cursor: Cursor) -> _Parts:
    address, value, place = b"", Value(0), -1
    for place in cursor.items(ARRAY):
        if place == 0:
            address = _read_address(cursor, may_have_junk=True)
        elif place == 1:
            value = read_value(cursor)
        elif place == 2:
            cursor.digest(DATUM_HASH_BYTES)
        else:
            raise cursor.malformed("an output has too many parts")
    if place < 1:
        raise cursor.malformed("an output lacks its address or its value")
    return address, value, place == 2, False, None


def _read_map_form(cursor: Cursor) -> _Parts:
    address: bytes | None = None
    value: Value | None = None
    datum: bytes | None = None
    seen = set()
    for _ in cursor.items(MAP):
        key = cursor.unsigned()
        if key in seen or key > 3:
            raise cursor.malformed("an output has an unknown key, or one twice")
        seen.add(key)
        if key == 0:
            address = _read_address(cursor, may_have_junk=False)
        elif key == 1:
            value = read_value(cursor)
        elif key == 2:
            datum = _read_datum(cursor)
        else:
            _read_embedded(cursor)
    if address is None or value is None:
        raise cursor.malformed("an output lacks its address or its value")
    return address, value, 2 in seen, 3 in seen, datum


def _read_datum(cursor: Cursor) -> bytes | None:
    """Pass over a datum's hash (0), or return the datum itself (1)."""
    datum = None
    is_open = cursor.enter(2)
    if cursor.unsigned() == 0:
        cursor.digest(DATUM_HASH_BYTES)
    else:
        datum = _read_embedded(cursor)
    cursor.leave(is_open)
    return datum


def _read_embedded(cursor: Cursor) -> bytes:
    cursor.expect_tag(EMBEDDED_TAG)
    embedded = Cursor(cursor.byte_string(1, cursor.size))
    embedded.opaque()
    embedded.finish()
    return embedded.data


def _read_address(cursor: Cursor, *, may_have_junk: bool) -> bytes:
    """Read an address; what Babbage refuses behind it is named as unjudged, or malformed."""
    address = cursor.byte_string(ENTERPRISE_BYTES, MAX_ADDRESS_BYTES)
    kind = address[0] >> 4
    length = _LENGTHS.get(kind)
    if length == len(address):
        return address
    if length and len(address) > length and may_have_junk:
        cursor.unjudged.add("overlong_address")
    elif kind == BYRON:
        byron_root(address)
        cursor.unjudged.add("byron_address")
    elif kind in POINTERS and len(address) >= LEAST_POINTER_BYTES:
        cursor.unjudged.add("pointer_address")
    else:
        raise cursor.malformed("an output's address has a wrong type or length")
    return address
