"""Transaction outputs: read them as written, encode the ones that we make."""

from __future__ import annotations

from dataclasses import dataclass

from nunet_dms.cardano.address import BASE_BYTES, ENTERPRISE_BYTES, Address
from nunet_dms.cardano.cbor import ARRAY, MAP, UNSIGNED, Cursor, encode
from nunet_dms.cardano.value import MAX_NAME_BYTES, POLICY_BYTES, AssetId, Value

MAX_ADDRESS_BYTES = 128
"""Byron addresses of mainnet have up to 83 bytes; the ledger's limit is far above."""
MAX_ASSETS_PER_VALUE = 1_000
"""The ledger allows values of 5,000 bytes, which hold fewer."""

BYRON = 8
"""Header type of a Byron address (CIP-19)."""
POINTERS = (4, 5)
"""Header types of pointer addresses, which Conway lets no new output use."""


@dataclass(frozen=True, slots=True)
class TxOutput:
    """What an output pays, and to whom."""

    address: bytes
    value: Value
    has_datum: bool = False
    has_script_ref: bool = False
    size: int = 0
    """Bytes of the output as it was encoded; the minimum ADA follows from it."""

    @property
    def address_type(self) -> int:
        """The upper half of the address's first byte (CIP-19)."""
        return self.address[0] >> 4


def new_output(address: Address, value: Value) -> TxOutput:
    """Return a plain output, its size filled in, for a transaction that we build."""
    plain = TxOutput(address.raw, value)
    return TxOutput(plain.address, value, size=len(encode_output(plain)))


def encode_output(output: TxOutput) -> bytes:
    """Return the output in the map form of Babbage; datum and script are not written."""
    return encode({0: output.address, 1: value_to_cbor(output.value)})


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
    address, value, has_datum, has_script_ref = parts(cursor)
    return TxOutput(address, value, has_datum, has_script_ref, cursor.pos - start)


def read_value(cursor: Cursor) -> Value:
    """Read lovelace, or lovelace and assets; no amount of an asset may be zero or negative."""
    if cursor.major() == UNSIGNED:
        return Value(cursor.unsigned())
    lovelace = 0
    assets: tuple[tuple[AssetId, int], ...] = ()
    count = 0
    for count in cursor.items(ARRAY):
        if count == 0:
            lovelace = cursor.unsigned()
        elif count == 1:
            assets = read_assets(cursor)
        else:
            break
    if count != 1:
        raise cursor.malformed("a value is not a pair of lovelace and assets")
    if any(amount < 0 for _, amount in assets):
        raise cursor.malformed("an output holds less than nothing of an asset")
    return Value(lovelace, assets)


def read_assets(cursor: Cursor) -> tuple[tuple[AssetId, int], ...]:
    """Read the nested map of policy, name and amount; refuses zeros and repeated keys."""
    amounts: dict[AssetId, int] = {}
    policies = set()
    for _ in cursor.items(MAP):
        policy = cursor.digest(POLICY_BYTES)
        if policy in policies:
            raise cursor.malformed("a value names the same policy twice")
        policies.add(policy)
        for _ in cursor.items(MAP):
            asset = AssetId(policy, cursor.byte_string(0, MAX_NAME_BYTES))
            amount = cursor.integer()
            if not amount or asset in amounts or len(amounts) == MAX_ASSETS_PER_VALUE:
                raise cursor.malformed("a value has an amount of zero, a name twice or too many")
            amounts[asset] = amount
    return tuple(sorted(amounts.items()))


def _read_array_form(cursor: Cursor) -> tuple[bytes, Value, bool, bool]:
    address, value, place = b"", Value(0), -1
    for place in cursor.items(ARRAY):
        if place == 0:
            address = _read_address(cursor)
        elif place == 1:
            value = read_value(cursor)
        elif place == 2:
            cursor.digest(32)
        else:
            raise cursor.malformed("an output has too many parts")
    if place < 1:
        raise cursor.malformed("an output lacks its address or its value")
    return address, value, place == 2, False


def _read_map_form(cursor: Cursor) -> tuple[bytes, Value, bool, bool]:
    address: bytes | None = None
    value: Value | None = None
    seen = set()
    for _ in cursor.items(MAP):
        key = cursor.unsigned()
        if key in seen or key > 3:
            raise cursor.malformed("an output has an unknown key, or one twice")
        seen.add(key)
        if key == 0:
            address = _read_address(cursor)
        elif key == 1:
            value = read_value(cursor)
        else:
            cursor.opaque()
    if address is None or value is None:
        raise cursor.malformed("an output lacks its address or its value")
    return address, value, 2 in seen, 3 in seen


def _read_address(cursor: Cursor) -> bytes:
    address = cursor.byte_string(ENTERPRISE_BYTES, MAX_ADDRESS_BYTES)
    kind = address[0] >> 4
    lengths = {0: BASE_BYTES, 1: BASE_BYTES, 2: BASE_BYTES, 3: BASE_BYTES}
    lengths |= {6: ENTERPRISE_BYTES, 7: ENTERPRISE_BYTES}
    if kind != BYRON and kind not in POINTERS and lengths.get(kind) != len(address):
        raise cursor.malformed("an output's address has a wrong type or length")
    return address
