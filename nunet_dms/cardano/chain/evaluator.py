"""Phase 2: runs Plutus V3 scripts on uplc's machine, within a budget. Needs the extra `plutus`.

Taken from uplc are the machine's steps, the cost functions and most builtin functions. Where it is
laxer than the ledger there are functions of our own, and what we cannot vouch for is refused.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from frozendict import frozendict
from uplc import ast, cost_model, machine

from nunet_dms.cardano.cbor import MAX_UNSIGNED
from nunet_dms.cardano.chain.flat import read_program
from nunet_dms.cardano.chain.uplc_data import SizedConstr, SizedList, SizedMap, from_uplc, to_uplc
from nunet_dms.cardano.data import Data, encode_data
from nunet_dms.cardano.plutus import ExUnits
from nunet_dms.cardano.witness import PUBLIC_BYTES, SIGNATURE_BYTES, Witness, verifies

COST_MODEL_DATE = datetime.date(2024, 7, 30)
"""Of the cost models that come with uplc, those of protocol version 10: 297 numbers for V3."""


class ScriptError(Exception):
    """A script ended in an error, used more than its budget, or did not return unit."""


def check_script(script: bytes) -> None:
    """Return if the script is well-formed; raises MalformedError."""
    _program(script)


def unjudged_builtins(script: bytes) -> list[str]:
    """Return the names of builtin functions in a well-formed script that are not judged here.

    They are the signatures of secp256k1 and the curve BLS12-381: uplc leaves their checks to
    libraries that may be missing, and nothing here has compared them with a ledger's.
    """
    found = set()
    waiting = [_program(script)]
    while waiting:
        term = waiting.pop()
        if isinstance(term, ast.BuiltIn) and term.builtin not in _BUILTINS:
            found.add(term.builtin.name)
        waiting += [getattr(term, name) for name in term._fields]
    return sorted(found)


def run_script(script: bytes, context: Data, budget: ExUnits) -> ExUnits:
    """Run a script on its context and return what it used; raises ScriptError and MalformedError.

    The whole budget of a transaction takes this about three seconds.
    """
    runner = _Machine(budget)
    applied = ast.Apply(_program(script), to_uplc(context))
    try:
        result = runner.run(applied)
    except Exception as error:  # whatever ends a script is its failure
        raise ScriptError(str(error)[:200] or type(error).__name__) from error
    if not isinstance(result, ast.BuiltinUnit):
        raise ScriptError("it returned something else than unit")
    return runner.used


@lru_cache(maxsize=1)
def v3_cost_model() -> tuple[int, ...]:
    """Return the cost model in force for Plutus V3, in the order of the protocol parameters."""
    return tuple(_parameters().values())


@lru_cache(maxsize=16)
def _program(script: bytes) -> Any:
    return read_program(script)


@lru_cache(maxsize=1)
def _parameters() -> dict[str, int]:
    parameters: dict[str, int] = cost_model.load_network_config(COST_MODEL_DATE)["PlutusV3"]
    return parameters


@lru_cache(maxsize=1)
def _costs() -> tuple[Any, Any]:
    cek = cost_model.updated_cek_machine_cost_model_from_network_config(
        cost_model.default_cek_machine_cost_model_base(), _parameters()
    )
    builtins = cost_model.updated_builtin_cost_model_from_network_config(
        cost_model.default_builtin_cost_model_base(), _parameters()
    )
    return cek, builtins


class _Machine(machine.Machine):  # type: ignore[misc] # uplc has no types
    """uplc's machine with our builtin functions; programs come with their variables named."""

    def __init__(self, budget: ExUnits) -> None:
        super().__init__(cost_model.Budget(budget.steps, budget.memory), *_costs())
        self._budget = budget

    @property
    def used(self) -> ExUnits:
        left = self.remaining_budget
        return ExUnits(self._budget.memory - left.memory, self._budget.steps - left.cpu)

    def run(self, term: Any) -> Any:
        self.remaining_budget = cost_model.Budget(self._budget.steps, self._budget.memory)
        self.spend_budget(
            machine.budget_cost_of_op_on_model(
                self.cek_machine_cost_model, cost_model.CekOp.Startup, 0
            )
        )
        step: Any = ast.Compute(ast.NoFrame(), frozendict(), term)
        while not isinstance(step, ast.Done):
            if isinstance(step, ast.Compute):
                step = self.compute(step.term, step.ctx, step.env)
            else:
                step = self.return_compute(step.context, step.value)
        self.spend_unbudgeted_steps()
        return step.term

    def apply_evaluate(self, context: Any, function: Any, argument: Any) -> Any:
        """Apply a lambda as uplc does, and a builtin function as the ledger does."""
        if isinstance(function, ast.BoundStateLambda):
            return super().apply_evaluate(context, function, argument)
        # No message shows a value: one may be small, and endless once written out.
        if not isinstance(function, ast.ForcedBuiltIn):
            raise ScriptError("it applied what is no function")
        name = function.builtin
        if function.applied_forces != ast.BuiltInFunForceMap[name]:
            raise ScriptError(f"it applied {name.name} without its types")
        kinds, run = _BUILTINS[name]
        arguments = [*function.bound_arguments, argument]
        if len(arguments) < len(kinds):
            partly = ast.ForcedBuiltIn(name, function.applied_forces, arguments)
            return ast.Return(context, partly)
        if not all(
            isinstance(each, _KINDS[kind]) for each, kind in zip(arguments, kinds, strict=True)
        ):
            raise ScriptError(f"it gave {name.name} an argument of a wrong type")
        self._pay_for(name, arguments)
        return ast.Return(context, run(*arguments))

    def force_evaluate(self, context: Any, value: Any) -> Any:
        """Force a delayed term or a builtin function that still lacks a type, as uplc does."""
        if isinstance(value, ast.ForcedBuiltIn):
            is_forceable = value.applied_forces < ast.BuiltInFunForceMap[value.builtin]
        else:
            is_forceable = isinstance(value, ast.BoundStateDelay)
        if not is_forceable:
            raise ScriptError("it forced what is not delayed")
        return super().force_evaluate(context, value)

    def _pay_for(self, name: Any, arguments: list[Any]) -> None:
        costs = self.builtin_cost_model.cpu[name], self.builtin_cost_model.memory[name]
        sizes: list[int] = []
        if not all(isinstance(cost, cost_model.ConstantCost) for cost in costs):
            sizes = [argument.ex_mem() for argument in arguments]
        cpu, memory = (cost.cost(*sizes, values=arguments) for cost in costs)
        self.spend_budget(cost_model.Budget(cpu, memory))


def _data_items(items: Any) -> Any:
    if not isinstance(items.sample_value, ast.PlutusData):
        raise ScriptError("it made data of a list of something else")
    return items.values


def _constr(number: Any, fields: Any) -> Any:
    if not 0 <= number.value <= MAX_UNSIGNED:  # others have no encoding
        raise ScriptError("it made a constructor of more than 64 bits, or below zero")
    return SizedConstr(number.value, _data_items(fields))


def _map_data(pairs: Any) -> Any:
    sample = pairs.sample_value
    if not isinstance(sample, ast.BuiltinPair) or not (
        isinstance(sample.l_value, ast.PlutusData) and isinstance(sample.r_value, ast.PlutusData)
    ):
        raise ScriptError("it made a map of a list of something else than pairs of data")
    return SizedMap([(pair.l_value, pair.r_value) for pair in pairs.values])


def _un_map_data(data: Any) -> Any:
    pairs = [ast.BuiltinPair(key, value) for key, value in data.value]
    return ast.BuiltinList(pairs, _pair_of_data())


def _cons(item: Any, items: Any) -> Any:
    is_constant = isinstance(item, ast.Constant)
    if not is_constant or item.typestring() != items.sample_value.typestring():
        raise ScriptError("it put an item of another type into a list")
    return ast.BuiltinList([item, *items.values])


def _index(content: Any, place: Any) -> Any:
    if not 0 <= place.value < len(content.value):
        raise ScriptError("it asked for a byte that is not there")
    return ast.BuiltinInteger(content.value[place.value])


def _write_bits(content: Any, places: Any, bit: Any) -> Any:
    if not isinstance(places.sample_value, ast.BuiltinInteger):
        raise ScriptError("it wrote bits at places that are no integers")
    return ast.BuiltInFunEvalMap[ast.BuiltInFun.WriteBits](content, places, bit)


def _verify(key: Any, message: Any, signature: Any) -> Any:
    if (len(key.value), len(signature.value)) != (PUBLIC_BYTES, SIGNATURE_BYTES):
        raise ScriptError("a key or a signature has a wrong length")
    return ast.BuiltinBool(verifies(Witness(key.value, signature.value), message.value))


def _slice(start: Any, length: Any, content: Any) -> Any:
    if not all(-(2**63) <= each.value < 2**63 for each in (start, length)):
        raise ScriptError("it cut bytes at a place of more than 64 bits")
    first = max(start.value, 0)
    return ast.BuiltinByteString(content.value[first : first + max(length.value, 0)])


def _shift(content: Any, places: Any) -> Any:
    bits = 8 * len(content.value)
    if abs(places.value) >= bits:
        return ast.BuiltinByteString(bytes(len(content.value)))
    number = int.from_bytes(content.value, "big")
    number = number << places.value if places.value >= 0 else number >> -places.value
    return _of_bits(number, bits)


def _rotate(content: Any, places: Any) -> Any:
    bits = 8 * len(content.value)
    if not bits:
        return content
    number, left = int.from_bytes(content.value, "big"), places.value % bits
    return _of_bits(number << left | number >> bits - left, bits)


def _of_bits(number: int, bits: int) -> Any:
    return ast.BuiltinByteString((number & (1 << bits) - 1).to_bytes(bits // 8, "big"))


def _pair_of_data() -> Any:
    return ast.BuiltinPair(ast.PlutusData(), ast.PlutusData())


_OWN: dict[str, Callable[..., Any]] = {
    "ConstrData": _constr,
    "ListData": lambda items: SizedList(_data_items(items)),
    "MapData": _map_data,
    "UnMapData": _un_map_data,
    "MkPairData": ast.BuiltinPair,
    "MkNilData": lambda _: ast.BuiltinList([], ast.PlutusData()),
    "MkNilPairData": lambda _: ast.BuiltinList([], _pair_of_data()),
    "MkCons": _cons,
    "IndexByteString": _index,
    "SliceByteString": _slice,
    "WriteBits": _write_bits,
    "ShiftByteString": _shift,
    "RotateByteString": _rotate,
    "VerifyEd25519Signature": _verify,
    "SerialiseData": lambda data: ast.BuiltinByteString(encode_data(from_uplc(data))),
}
"""Where uplc's own would lose the order of a map, a type, a bound, or the ledger's encoding, or
where it leaves to `assert` what decides."""

_KINDS: dict[str, Any] = {
    "I": ast.BuiltinInteger, "B": ast.BuiltinByteString, "S": ast.BuiltinString,
    "U": ast.BuiltinUnit, "T": ast.BuiltinBool, "P": ast.BuiltinPair, "L": ast.BuiltinList,
    "D": ast.PlutusData, "c": ast.PlutusConstr, "m": SizedMap, "l": ast.PlutusList,
    "i": ast.PlutusInteger, "b": ast.PlutusByteString, "-": object,
}  # fmt: skip
_SIGNATURES = {
    "II": "AddInteger SubtractInteger MultiplyInteger DivideInteger QuotientInteger"
    " RemainderInteger ModInteger EqualsInteger LessThanInteger LessThanEqualsInteger"
    " ReplicateByte",
    "BB": "AppendByteString EqualsByteString LessThanByteString LessThanEqualsByteString",
    "B": "LengthOfByteString Sha2_256 Sha3_256 Blake2b_256 DecodeUtf8 Keccak_256 Blake2b_224"
    " ComplementByteString CountSetBits FindFirstSetBit Ripemd_160 BData",
    "IB": "ConsByteString", "IIB": "SliceByteString", "TII": "IntegerToByteString",
    "TB": "ByteStringToInteger", "TBB": "AndByteString OrByteString XorByteString",
    "BI": "IndexByteString ReadBit ShiftByteString RotateByteString", "BLT": "WriteBits",
    "BBB": "VerifyEd25519Signature", "SS": "AppendString EqualsString", "S": "EncodeUtf8",
    "T--": "IfThenElse", "U-": "ChooseUnit", "S-": "Trace", "P": "FstPair SndPair",
    "L--": "ChooseList", "-L": "MkCons", "L": "HeadList TailList NullList ListData MapData",
    "D-----": "ChooseData", "IL": "ConstrData", "I": "IData", "c": "UnConstrData",
    "m": "UnMapData", "l": "UnListData", "i": "UnIData", "b": "UnBData",
    "DD": "EqualsData MkPairData", "D": "SerialiseData", "U": "MkNilData MkNilPairData",
}  # fmt: skip
"""Builtin functions by the kinds of their arguments."""
_BUILTINS: dict[Any, tuple[str, Callable[..., Any]]] = {
    ast.BuiltInFun[name]: (kinds, _OWN.get(name) or ast.BuiltInFunEvalMap[ast.BuiltInFun[name]])
    for kinds, names in _SIGNATURES.items()
    for name in names.split()
}
