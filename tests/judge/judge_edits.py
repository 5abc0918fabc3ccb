"""Changing the parts of a transaction that is not signed yet, for whoever spoils it."""

from __future__ import annotations

from random import Random
from typing import Any

from judge_cases import Case

from nunet_dms.cardano.cbor import SET_TAG, Tag
from nunet_dms.cardano.fees import min_lovelace
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.output import (
    TxOutput,
    encode_output,
    value_to_cbor,
)
from nunet_dms.cardano.transaction import (
    FEE,
    INPUTS,
    METADATA_HASH,
    OUTPUTS,
    TxInput,
)
from nunet_dms.cardano.value import AssetId, Value


def outputs_of(case: Case) -> list[dict[int, Any]]:
    """Return the outputs in a form that can be changed; they are those of the body from now on."""
    found = [dict(output) for output in case.body[OUTPUTS]]
    case.body[OUTPUTS] = found
    return found


def value_of(output: dict[int, Any]) -> Value:
    """Return what an output of a body holds."""
    if isinstance(output[1], int):
        return Value(output[1])
    lovelace, policies = output[1]
    assets = {
        AssetId(policy, name): amount
        for policy, names in policies.items()
        for name, amount in names.items()
    }
    return Value.of(lovelace, assets)


def set_value(output: dict[int, Any], value: Value) -> None:
    """Let an output hold that."""
    output[1] = value_to_cbor(value)


def least_of(output: dict[int, Any]) -> int:
    """Return the least lovelace of an output that holds about what this one does."""
    value = value_of(output)
    return min_lovelace(sized(output[0], Value(1_000_000, value.assets)))


def sized(address: bytes, value: Value) -> TxOutput:
    plain = TxOutput(address, value)
    return TxOutput(address, value, size=len(encode_output(plain)))


def any_output(rng: Random, case: Case) -> dict[int, Any]:
    return rng.choice(outputs_of(case))


def move(case: Case, lovelace: int) -> None:
    """Take lovelace from the last output, which is the change."""
    change = outputs_of(case)[-1]
    set_value(change, value_of(change) - Value(lovelace))


def add_to_an_input(case: Case, value: Value, ref: TxInput | None = None) -> None:
    ref = ref or inputs_of(case)[0]
    old = case.unspent.get(ref)
    if old is not None:
        case.unspent[ref] = sized(old.address, old.value + value)


def afford(rng: Random, case: Case) -> None:
    """Give an input some ADA more, and the change what the outputs and a fee need of it."""
    extra = rng.randint(30, 40) * 1_000_000
    fee = rng.randint(1, 2) * 1_000_000
    add_to_an_input(case, Value(extra))
    case.body[FEE] += fee
    move(case, fee - extra)


def with_fee(case: Case, fee: int) -> None:
    """Let the fee be that much, and the change what is left."""
    move(case, fee - case.body[FEE])
    case.body[FEE] = fee


def inputs_of(case: Case) -> list[TxInput]:
    """Return what the body spends."""
    inputs = case.body[INPUTS]
    pairs = inputs.value if isinstance(inputs, Tag) else inputs
    return [TxInput(tx_id, index) for tx_id, index in pairs]


def set_inputs(case: Case, refs: list[TxInput]) -> None:
    """Let the body spend these."""
    case.body[INPUTS] = Tag(SET_TAG, [[ref.tx_id, ref.index] for ref in refs])


def set_auxiliary(case: Case, raw: bytes) -> None:
    case.auxiliary = raw
    case.body[METADATA_HASH] = blake2b_256(raw)
