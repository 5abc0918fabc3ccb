"""Scalus on every builtin function that our scripts may call: results and execution units.

Each function is called with chance arguments, edges among them, and now and then one of a wrong
type. A second script compares the result with ours, so that the judge fails where it has another.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

pytest.importorskip("uplc.ast", reason="the extra plutus is not installed", exc_type=ImportError)

from judge_process import missing, scalus
from uplc import ast, flat_encoder, tools

from nunet_dms.cardano.chain.evaluator import _BUILTINS, _Machine
from nunet_dms.cardano.chain.flat import read_program
from nunet_dms.cardano.chain.uplc_data import (
    SizedList,
    SizedMap,
    from_uplc,
    to_uplc,
)
from nunet_dms.cardano.data import Constr, Data, DataMap, encode_data
from nunet_dms.cardano.plutus import PLUTUS

SEED = os.environ.get("JUDGE_SEED", "20260826")
CALLS_OF_EACH = 40
FEWEST_SUCCESSES = 3
EDGES = (0, 1, -1, 7, 8, 9, 63, 64, 255, 256, -256, 8192, 8193, 2**63 - 1, -(2**63), 2**64 - 1)
PLACES = (0, 1, -1, 7, 8, 9, -9, 63, 64, 100, 511, 512, 10**4, -(10**4))
UNIT = ast.BuiltinUnit()

NEVER_BY_CHANCE = {"VerifyEd25519Signature"}
"""Needs a key and a signature; the unit tests have RFC 8032's."""

STRICTER = {"ConstrData", "ListData", "MapData", "WriteBits"}
"""We look at the type of a list even if it is empty, as Plutus does; Scalus does not."""


@pytest.fixture(scope="module", autouse=True)
def _data_as_we_write_it() -> Iterator[None]:
    """Let uplc's writer of programs take our data: maps in their order, keys that repeat."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flat_encoder, "plutus_cbor_dumps", lambda it: encode_data(from_uplc(it)))
        for visitor in vars(flat_encoder).values():
            for kind in ("Constr", "List", "Map"):
                visit = getattr(visitor, f"visit_Plutus{kind}", None)
                if visit is not None:
                    patch.setattr(visitor, f"visit_Sized{kind}", visit, raising=False)
        yield


def integer(rng: Random) -> int:
    if rng.random() < 0.5:
        return rng.choice(EDGES)
    size = 2 ** rng.choice((4, 8, 64, 70, 130, 600))
    return rng.randint(-size, size)


def octets(rng: Random) -> bytes:
    size = rng.choice((0, 1, 2, 8, 28, 32, 33, 64, 65, 200))
    return rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size), b"text"))


def data(rng: Random, depth: int = 0) -> Data:
    kind = rng.choice("iblmc" if depth < 3 else "ib")
    if kind == "i":
        return integer(rng)
    if kind == "b":
        return octets(rng)
    items = tuple([data(rng, depth + 1) for _ in range(rng.randint(0, 3))])
    if kind == "l":
        return items
    if kind == "c":
        return Constr(rng.choice((0, 6, 7, 127, 128, 2**40)), items)
    return DataMap(tuple([(item, data(rng, depth + 1)) for item in (*items, *items[:1])]))


MAKERS: dict[str, Callable[[Random], Any]] = {
    "I": lambda rng: ast.BuiltinInteger(integer(rng)),
    "B": lambda rng: ast.BuiltinByteString(octets(rng)),
    "S": lambda rng: ast.BuiltinString(rng.choice(("", "a", "h\u00e9llo", "a" * 70))),
    "U": lambda _: UNIT,
    "T": lambda rng: ast.BuiltinBool(rng.random() < 0.5),
    "D": lambda rng: to_uplc(data(rng)),
    "P": lambda rng: ast.BuiltinPair(MAKERS["I"](rng), MAKERS["D"](rng)),
    "L": lambda rng: listed(rng, rng.choice("DIBU")),
    "c": lambda rng: to_uplc(Constr(rng.choice((0, 5, 200)), (data(rng),))),
    "m": lambda rng: to_uplc(DataMap(((data(rng), 1), (1, data(rng)), (1, 2)))),
    "l": lambda rng: to_uplc((data(rng), data(rng))),
    "i": lambda rng: to_uplc(integer(rng)),
    "b": lambda rng: to_uplc(octets(rng)),
    "-": lambda rng: MAKERS[rng.choice("IBSUTDPL")](rng),
}
SPECIAL: dict[tuple[str, str], Callable[[Random], Any]] = {
    **{
        (name, "I"): lambda rng: ast.BuiltinInteger(rng.choice(PLACES))
        for name in (
            "ShiftByteString",
            "RotateByteString",
            "ReadBit",
            "IndexByteString",
            "SliceByteString",  # Scalus cuts places down to 32 bits
        )
    },
    ("ConstrData", "I"): lambda rng: ast.BuiltinInteger(rng.choice((0, 6, 7, 128, 2**40))),
    ("IntegerToByteString", "I"): lambda rng: ast.BuiltinInteger(rng.choice((0, 1, 8, 33, 2**70))),
    ("ReplicateByte", "I"): lambda rng: ast.BuiltinInteger(rng.choice((0, 1, 255, 256, 8192))),
    ("ConsByteString", "I"): lambda rng: ast.BuiltinInteger(rng.choice((0, 255, 256, -1))),
    ("WriteBits", "L"): lambda rng: ast.BuiltinList(
        [ast.BuiltinInteger(rng.choice((0, 1, 7, 8, 63))) for _ in range(rng.randint(0, 3))],
        ast.BuiltinInteger(0),
    ),
    ("ConstrData", "L"): lambda rng: listed(rng, "D"),
    ("ListData", "L"): lambda rng: listed(rng, "D"),
    ("MkCons", "-"): lambda rng: MAKERS[rng.choice("DIBU")](rng),
    ("MapData", "L"): lambda rng: ast.BuiltinList(
        [pair_of_data(rng) for _ in range(rng.randint(0, 3))], pair_of_data(rng)
    ),
}


def listed(rng: Random, kind: str) -> Any:
    return ast.BuiltinList([MAKERS[kind](rng) for _ in range(rng.randint(0, 3))], MAKERS[kind](rng))


def pair_of_data(rng: Random) -> Any:
    return ast.BuiltinPair(MAKERS["D"](rng), MAKERS["D"](rng))


def call(rng: Random, name: str, kinds: str) -> Any:
    """Return the function applied to chance arguments; sometimes the same one twice."""
    term = forced(name)
    given: list[Any] = []
    for kind in kinds:
        again = bool(given) and kind == kinds[0] and rng.random() < 0.3
        make = SPECIAL.get((name, kind), MAKERS[kind])
        wrong = rng.random() < 0.03
        given.append(given[0] if again else MAKERS["-"](rng) if wrong else make(rng))
        term = ast.Apply(term, given[-1])
    return term


def forced(name: str) -> Any:
    function = ast.BuiltInFun[name]
    term: Any = ast.BuiltIn(function)
    for _ in range(ast.BuiltInFunForceMap[function]):
        term = ast.Force(term)
    return term


def applied(name: str, *arguments: Any) -> Any:
    term = forced(name)
    for argument in arguments:
        term = ast.Apply(term, argument)
    return term


def required(condition: Any, expected: bool = True) -> Any:
    branches = [ast.Delay(UNIT), ast.Delay(ast.Error())]
    return ast.Force(applied("IfThenElse", condition, *(branches if expected else branches[::-1])))


def compared(term: Any, result: Any) -> Any | None:
    """Return a term that fails unless the first one is this constant; None for some types."""
    if isinstance(result, ast.BuiltinBool):
        return required(term, result.value)
    if isinstance(result, ast.BuiltinPair):
        return compared(applied("FstPair", term), result.l_value)
    if isinstance(result, ast.BuiltinList):
        sample = result.sample_value.typestring()
        if sample == "data":
            return compared(applied("ListData", term), SizedList(result.values))
        if sample == "(pair data data)":
            pairs = SizedMap([(pair.l_value, pair.r_value) for pair in result.values])
            return compared(applied("MapData", term), pairs)
    names = {"integer": "EqualsInteger", "bytestring": "EqualsByteString"}
    names |= {"string": "EqualsString", "data": "EqualsData"}
    kind = result.typestring() if isinstance(result, ast.Constant) else ""
    return required(applied(names[kind], term, result)) if kind in names else None


def flat(term: Any) -> bytes:
    script: bytes = tools.flatten(ast.Program((1, 1, 0), term))
    return script


def ours(script: bytes) -> tuple[Any, tuple[int, int] | None]:
    """Return what a script comes to and what it uses; None where it fails."""
    machine = _Machine(PLUTUS.max_tx_units)
    try:
        result = machine.run(read_program(script))
    except Exception:  # noqa: BLE001 # as in run_script: whatever ends it
        return None, None
    return result, (machine.used.memory, machine.used.steps)


def asked_of(rng: Random) -> Iterator[tuple[str, bytes]]:
    """Return scripts by the name of the function that they call."""
    for function, (kinds, _) in _BUILTINS.items():
        for _ in range(CALLS_OF_EACH):
            term = call(rng, function.name, kinds)
            yield function.name, flat(ast.Apply(ast.Lambda("x", UNIT), term))
            result, _ = ours(flat(term))
            check = None if result is None else compared(term, result)
            if check is not None:
                yield function.name, flat(check)


@pytest.mark.timeout(300)
def test_every_builtin_function_does_and_uses_what_the_judges_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lacking = missing()
    if lacking and os.environ.get("CI"):
        pytest.fail(f"no judge, and CI is set: {lacking}", pytrace=False)
    if lacking:
        pytest.skip(f"no judge: {lacking}")
    scripts = list(asked_of(Random(SEED)))
    with scalus() as judge:
        theirs = judge.run([script for _, script in scripts])
    succeeded: Counter[str] = Counter()
    differing = []
    for (name, script), used in zip(scripts, theirs, strict=True):
        here = ours(script)[1]
        succeeded[name] += here is not None
        is_stricter = here is None and name in STRICTER
        if here != used and not is_stricter:
            differing.append(f"{name}: ours {here}, judge {used}, {script.hex()}")
    with capsys.disabled():
        sys.stdout.write(f"\n{len(scripts)} calls of {len(_BUILTINS)} builtin functions compared\n")
    assert not differing, "\n".join(differing[:5])
    seldom = {ours_.name for ours_ in _BUILTINS if succeeded[ours_.name] < FEWEST_SUCCESSES}
    assert seldom == NEVER_BY_CHANCE
