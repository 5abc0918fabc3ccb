"""The body of a transaction: what is signed. Keys and forms are those of the ledger's CDDL.

What no payment and no payout needs is read for its form alone and named as unjudged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nunet_dms.cardano.cbor import ARRAY, MAP, Cursor
from nunet_dms.cardano.hashes import KEY_HASH_BYTES, TX_ID_BYTES
from nunet_dms.cardano.output import TxOutput, read_mint, read_output

MAX_OUTPUT_INDEX = 65_535
MAX_NETWORK_ID = 1
"""0 is for every test network, 1 for mainnet."""
REWARD_ACCOUNT_BYTES = 29
SCRIPT_DATA_HASH_BYTES = 32

INPUTS, OUTPUTS, FEE, TTL = 0, 1, 2, 3
METADATA_HASH, VALID_FROM, MINT = 7, 8, 9
REQUIRED_SIGNERS, NETWORK_ID = 14, 15
"""Keys of the body whose content a transaction keeps."""


@dataclass(frozen=True, slots=True, order=True)
class TxInput:
    """A reference to one output of one transaction."""

    tx_id: bytes
    index: int

    def __str__(self) -> str:
        """Return `id#index`, as cardano-cli writes it."""
        return f"{self.tx_id.hex()}#{self.index}"


def read_body(cursor: Cursor) -> dict[int, Any]:
    """Read a body and return what a transaction keeps of it, by key.

    Raises MalformedError, also for a key or an input that repeats.
    """
    fields: dict[int, Any] = {}
    seen = set()
    for _ in cursor.items(MAP):
        key = cursor.unsigned()
        if key in seen:
            raise cursor.malformed(f"the body has key {key} twice")
        seen.add(key)
        kept = _KEPT.get(key)
        if kept:
            fields[key] = kept(cursor)
        else:
            name, passing = _UNJUDGED.get(key, (f"body_key_{key}", Cursor.opaque))
            cursor.unjudged.add(name)
            passing(cursor)
    if not seen >= {INPUTS, OUTPUTS, FEE}:
        raise cursor.malformed("a body lacks its inputs, its outputs or its fee")
    return fields


def _read_inputs(cursor: Cursor) -> tuple[TxInput, ...]:
    inputs = _read_references(cursor)
    if not inputs or len(set(inputs)) != len(inputs):
        raise cursor.malformed("there is no input, or one twice")
    return inputs


def _read_references(cursor: Cursor) -> tuple[TxInput, ...]:
    return tuple([_read_reference(cursor) for _ in cursor.set_items()])


def _read_reference(cursor: Cursor) -> TxInput:
    is_open = cursor.enter(2)
    reference = TxInput(cursor.digest(TX_ID_BYTES), cursor.unsigned())
    cursor.leave(is_open)
    if reference.index > MAX_OUTPUT_INDEX:
        raise cursor.malformed(f"no output has the index {reference.index}")
    return reference


def _read_outputs(cursor: Cursor) -> tuple[TxOutput, ...]:
    return tuple([read_output(cursor) for _ in cursor.items(ARRAY)])


def _read_signers(cursor: Cursor) -> tuple[bytes, ...]:
    """Read the keys that must sign; Dijkstra's guards, which may be scripts, are unjudged.

    So are a list of none and a key twice, which Conway no longer lets pass.
    """
    signers = []
    is_empty = True
    for _ in cursor.set_items():
        is_empty = False
        if cursor.major() == ARRAY:
            cursor.unjudged.add("guards")
            cursor.opaque()
        else:
            signers.append(cursor.digest(KEY_HASH_BYTES))
    if is_empty:
        cursor.unjudged.add("no_required_signer")
    elif len(set(signers)) != len(signers):
        cursor.unjudged.add("required_signer_twice")
    return tuple(signers)


def _read_metadata_hash(cursor: Cursor) -> bytes:
    return cursor.digest(TX_ID_BYTES)


def _read_network_id(cursor: Cursor) -> int:
    network_id = cursor.unsigned()
    if network_id > MAX_NETWORK_ID:
        raise cursor.malformed(f"there is no network {network_id}")
    return network_id


def _pass_withdrawals(cursor: Cursor) -> None:
    for _ in cursor.items(MAP):
        cursor.digest(REWARD_ACCOUNT_BYTES)
        cursor.unsigned()


def _pass_script_data_hash(cursor: Cursor) -> None:
    cursor.digest(SCRIPT_DATA_HASH_BYTES)


def _pass_records(cursor: Cursor) -> None:
    """Pass over a set of arrays, such as certificates."""
    for _ in cursor.set_items():
        _pass_array(cursor)


def _pass_array(cursor: Cursor) -> None:
    for _ in cursor.items(ARRAY):
        cursor.opaque()


def _pass_map(cursor: Cursor) -> None:
    for _ in cursor.items(MAP):
        cursor.opaque()
        cursor.opaque()


_KEPT: Mapping[int, Callable[[Cursor], object]] = {
    INPUTS: _read_inputs,
    OUTPUTS: _read_outputs,
    FEE: Cursor.unsigned,
    TTL: Cursor.unsigned,
    METADATA_HASH: _read_metadata_hash,
    VALID_FROM: Cursor.unsigned,
    MINT: read_mint,
    REQUIRED_SIGNERS: _read_signers,
    NETWORK_ID: _read_network_id,
}
_UNJUDGED: Mapping[int, tuple[str, Callable[[Cursor], object]]] = {
    4: ("certificates", _pass_records),
    5: ("withdrawals", _pass_withdrawals),
    6: ("protocol_update", _pass_array),
    11: ("script_data_hash", _pass_script_data_hash),
    13: ("collateral", _read_references),
    16: ("collateral_return", read_output),
    17: ("total_collateral", Cursor.unsigned),
    18: ("reference_inputs", _read_references),
    19: ("votes", _pass_map),
    20: ("proposals", _pass_records),
    21: ("treasury_value", Cursor.unsigned),
    22: ("donation", Cursor.unsigned),
    23: ("sub_transactions", _pass_records),
}
