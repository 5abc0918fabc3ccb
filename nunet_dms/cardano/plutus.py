"""What a transaction with Plutus V3 scripts carries besides what every transaction has.

Read anew from the transaction's bytes, and only when there is such a part: payments have none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from math import ceil
from typing import Any

from nunet_dms.cardano.body import TxInput
from nunet_dms.cardano.cbor import ARRAY, MAP, Cursor, encode
from nunet_dms.cardano.data import Data, read_data
from nunet_dms.cardano.hashes import TX_ID_BYTES, blake2b_224, blake2b_256
from nunet_dms.cardano.output import TxOutput, read_output
from nunet_dms.cardano.transaction import Transaction
from nunet_dms.errors import MalformedError

PLUTUS_PARTS = frozenset(
    {
        "script_data_hash",
        "collateral",
        "collateral_return",
        "total_collateral",
        "redeemers",
        "plutus_v3_scripts",
    }
)
"""Parts that the reader names as unjudged and this module reads; all others stay so."""

MAX_UNITS = 2**63 - 1
"""The ledger's limit of each number of execution units."""
MAX_SCRIPT_BYTES = 16_384
"""As many as a whole transaction may have."""
LANGUAGE_V3 = 2
"""Plutus V3's number in the language views that a script data hash covers."""
_HASH_PREFIX = b"\x03"
"""Tells Plutus V3 from other scripts in a script's hash."""

_SCRIPT_DATA_HASH, _COLLATERAL, _COLLATERAL_RETURN, _TOTAL_COLLATERAL = 11, 13, 16, 17
_REDEEMERS, _V3_SCRIPTS = 5, 7


class Purpose(IntEnum):
    """What a redeemer is for; the value is its number in the ledger's CDDL."""

    SPEND = 0
    MINT = 1
    CERTIFY = 2
    REWARD = 3
    VOTE = 4
    PROPOSE = 5


@dataclass(frozen=True, slots=True)
class ExUnits:
    """What running a script costs: memory and steps, in the ledger's units."""

    memory: int
    steps: int

    def __add__(self, other: ExUnits) -> ExUnits:
        """Return the sum of both numbers."""
        return ExUnits(self.memory + other.memory, self.steps + other.steps)

    def within(self, limit: ExUnits) -> bool:
        """Return whether neither number is above the limit's."""
        return self.memory <= limit.memory and self.steps <= limit.steps


@dataclass(frozen=True, slots=True)
class PlutusParams:
    """The protocol parameters for scripts; the defaults are those of mainnet's Conway era."""

    memory_price: Fraction = Fraction(577, 10_000)
    """Lovelace per unit of memory."""
    step_price: Fraction = Fraction(721, 10_000_000)
    """Lovelace per step."""
    max_tx_units: ExUnits = ExUnits(14_000_000, 10_000_000_000)
    """Those that Conway began with; mainnet may allow more by now."""
    max_block_units: ExUnits = ExUnits(62_000_000, 20_000_000_000)
    collateral_percent: int = 150
    """Of the fee."""
    max_collateral_inputs: int = 3

    def price(self, units: ExUnits) -> int:
        """Return what the units add to the least fee, in lovelace."""
        return ceil(self.memory_price * units.memory + self.step_price * units.steps)


PLUTUS = PlutusParams()


@dataclass(frozen=True, slots=True)
class Redeemer:
    """The argument for one script, and the units that it may use at most."""

    purpose: Purpose
    index: int
    """Of the input or policy that it is for, among all of the transaction's in order."""
    data: Data
    units: ExUnits


@dataclass(frozen=True, slots=True)
class PlutusParts:
    """Scripts, their arguments, and what is lost should they fail; none of it verified."""

    scripts: tuple[bytes, ...] = ()
    """Without the byte string around them."""
    redeemers: tuple[Redeemer, ...] = ()
    redeemers_raw: bytes = b""
    """As they were encoded, which the script data hash covers."""
    script_data_hash: bytes | None = None
    collateral: tuple[TxInput, ...] = ()
    collateral_return: TxOutput | None = None
    total_collateral: int | None = None

    @property
    def units(self) -> ExUnits:
        """All that the redeemers allow together."""
        return sum((redeemer.units for redeemer in self.redeemers), ExUnits(0, 0))


def script_hash_v3(script: bytes) -> bytes:
    """Return the 28-byte hash by which addresses and policies name a Plutus V3 script."""
    return blake2b_224(_HASH_PREFIX + script)


def script_data_hash(redeemers_raw: bytes, cost_model: tuple[int, ...]) -> bytes:
    """Return the hash of redeemers and Plutus V3's cost model, where there are no datums."""
    views = encode({LANGUAGE_V3: list(cost_model)})
    return blake2b_256(redeemers_raw + views)


def read_plutus(transaction: Transaction) -> PlutusParts:
    """Read the Plutus parts of a transaction that was read before.

    Raises MalformedError for what the ledger's Conway decoder refuses, and for a redeemer that is
    there twice, which it takes in lists.
    """
    cursor = Cursor(transaction.raw)
    parts: dict[str, Any] = {}
    for place in cursor.items(ARRAY):
        if place > 1:
            break
        readers = _WITNESS_READERS if place else _BODY_READERS
        for _ in cursor.items(MAP):
            name, read = readers.get(cursor.unsigned(), ("", Cursor.opaque))
            start = cursor.pos
            content = read(cursor)
            if name:
                parts[name] = content
            if name == "redeemers":
                parts["redeemers_raw"] = cursor.data[start : cursor.pos]
    return PlutusParts(**parts)


def claimed_parts(transaction: Transaction) -> PlutusParts:
    """Return the Plutus parts of a transaction; none where there are none, or broken ones.

    The ledger's rules say what is broken; this is for what only looks at references and units.
    """
    if PLUTUS_PARTS.isdisjoint(transaction.unsupported):
        return PlutusParts()
    try:
        return read_plutus(transaction)
    except MalformedError:
        return PlutusParts()


def _read_collateral(cursor: Cursor) -> tuple[TxInput, ...]:
    references = []
    for _ in cursor.set_items():
        is_open = cursor.enter(2)
        references.append(TxInput(cursor.digest(TX_ID_BYTES), cursor.unsigned()))
        cursor.leave(is_open)
    return _unique(cursor, "collateral", references)


def _read_scripts(cursor: Cursor) -> tuple[bytes, ...]:
    scripts = [cursor.byte_string(1, MAX_SCRIPT_BYTES) for _ in cursor.set_items()]
    return _unique(cursor, "Plutus scripts", scripts)


def _read_redeemers(cursor: Cursor) -> tuple[Redeemer, ...]:
    """Read redeemers in either form: a list until Babbage, a map since Conway."""
    if cursor.major() == ARRAY:
        redeemers = [_read_listed(cursor) for _ in cursor.items(ARRAY)]
    else:
        redeemers = [_read_mapped(cursor) for _ in cursor.items(MAP)]
    _unique(cursor, "redeemers", [(each.purpose, each.index) for each in redeemers])
    return tuple(redeemers)


def _read_listed(cursor: Cursor) -> Redeemer:
    is_open = cursor.enter(4)
    redeemer = Redeemer(*_read_pointer(cursor), read_data(cursor), _read_units(cursor))
    cursor.leave(is_open)
    return redeemer


def _read_mapped(cursor: Cursor) -> Redeemer:
    is_open = cursor.enter(2)
    pointer = _read_pointer(cursor)
    cursor.leave(is_open)
    is_open = cursor.enter(2)
    redeemer = Redeemer(*pointer, read_data(cursor), _read_units(cursor))
    cursor.leave(is_open)
    return redeemer


def _read_pointer(cursor: Cursor) -> tuple[Purpose, int]:
    number, index = cursor.unsigned(), cursor.unsigned()
    if number > max(Purpose) or index >= 1 << 32:
        raise cursor.malformed("a redeemer is for nothing that there is")
    return Purpose(number), index


def _read_units(cursor: Cursor) -> ExUnits:
    is_open = cursor.enter(2)
    units = ExUnits(cursor.unsigned(), cursor.unsigned())
    cursor.leave(is_open)
    if max(units.memory, units.steps) > MAX_UNITS:
        raise cursor.malformed("execution units are out of bounds")
    return units


def _unique(cursor: Cursor, what: str, items: list[Any]) -> tuple[Any, ...]:
    if not items or len(set(items)) != len(items):
        raise cursor.malformed(f"a set of {what} is empty, or has one twice")
    return tuple(items)


_BODY_READERS: Mapping[int, tuple[str, Callable[[Cursor], Any]]] = {
    _SCRIPT_DATA_HASH: ("script_data_hash", lambda cursor: cursor.digest(TX_ID_BYTES)),
    _COLLATERAL: ("collateral", _read_collateral),
    _COLLATERAL_RETURN: ("collateral_return", read_output),
    _TOTAL_COLLATERAL: ("total_collateral", Cursor.unsigned),
}
_WITNESS_READERS: Mapping[int, tuple[str, Callable[[Cursor], Any]]] = {
    _REDEEMERS: ("redeemers", _read_redeemers),
    _V3_SCRIPTS: ("scripts", _read_scripts),
}
