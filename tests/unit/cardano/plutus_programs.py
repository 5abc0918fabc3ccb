"""The Plutus programs of the tests, as text, and how they become scripts.

Run with the extra `plutus` installed, from the repository's root, this writes
plutus_programs.json again: `python tests/unit/cardano/plutus_programs.py`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

FILE = Path(__file__).with_name("plutus_programs.json")


def _call(function: str, *arguments: str) -> str:
    return f"[{' '.join([f'(builtin {function})', *arguments])}]"


def _forced(function: str, times: int, *arguments: str) -> str:
    forced = f"{'(force ' * times}(builtin {function}){')' * times}"
    return f"[{' '.join([forced, *arguments])}]"


def _fields(data: str) -> str:
    return _forced("sndPair", 2, _call("unConstrData", data))


def _constructor(data: str) -> str:
    return _forced("fstPair", 2, _call("unConstrData", data))


def _tail(items: str, count: int = 1) -> str:
    for _ in range(count):
        items = _forced("tailList", 1, items)
    return items


def _item(items: str, place: int = 0) -> str:
    return _forced("headList", 1, _tail(items, place))


def _require(condition: str) -> str:
    branches = "(delay (con unit ())) (delay (error))"
    return f"(force {_forced('ifThenElse', 1, condition, branches)})"


def _same(left: str, right: str) -> str:
    return _call("equalsData", left, right)


def _hash(data: str) -> str:
    return _call("bData", _call("blake2b_256", _call("serialiseData", data)))


def _program(body: str) -> str:
    return f"(program 1.1.0 (lam c {body}))"


CONTEXT = _fields("c")
INFO, REDEEMER, PURPOSE = (_item(CONTEXT, place) for place in range(3))
DATUM = _item(_fields(_item(_fields(PURPOSE), 1)))
INPUTS, OUTPUTS, FEE, MINT, RANGE, SIGNERS = (
    _item(_fields(INFO), place) for place in (0, 2, 3, 4, 7, 8)
)
FIRST_OUTPUT = _item(_call("unListData", OUTPUTS))

_COUNT_DOWN = (
    "(lam self (lam n (force "
    + _forced(
        "ifThenElse",
        1,
        _call("lessThanEqualsInteger", "n", "(con integer 0)"),
        "(delay (con unit ()))",
        f"(delay [self self {_call('subtractInteger', 'n', '(con integer 1)')}])",
    )
    + ")))"
)
_IS_SCRIPT = _constructor(_item(_fields(_item(_fields(_item(_fields(_item("inputs")), 1))))))
_COUNT_REST = f"[self self {_tail('inputs')}]"
_COUNT_SCRIPTS = (
    "(lam self (lam inputs (force "
    + _forced(
        "chooseList",
        2,
        "inputs",
        "(delay (con integer 0))",
        f"(delay {_call('addInteger', _IS_SCRIPT, _COUNT_REST)})",
    )
    + ")))"
)

TEXTS = {
    "always_true": "(program 1.1.0 (lam c (con unit ())))",
    "always_true_of_1_0_0": "(program 1.0.0 (lam c (con unit ())))",
    "returns_true": "(program 1.1.0 (lam c (con bool True)))",
    "always_fails": "(program 1.1.0 (lam c (error)))",
    "never_ends": "(program 1.1.0 (lam c [(lam f [f f]) (lam f [f f])]))",
    "redeemer_is_datum": _program(_require(_same(REDEEMER, DATUM))),
    "first_signer_is_redeemer": _program(
        _require(_same(_item(_call("unListData", SIGNERS)), REDEEMER))
    ),
    "range_is_datum": _program(_require(_same(RANGE, DATUM))),
    "first_output_value_is_datum": _program(
        _require(_same(_item(_fields(FIRST_OUTPUT), 1), DATUM))
    ),
    "mint_is_datum": _program(_require(_same(MINT, DATUM))),
    "has_no_datum": _program(
        _require(
            _call("equalsInteger", _constructor(_item(_fields(PURPOSE), 1)), "(con integer 1)")
        )
    ),
    "only_script_input": _program(
        _require(
            _call(
                "equalsInteger",
                f"[{_COUNT_SCRIPTS} {_COUNT_SCRIPTS} {_call('unListData', INPUTS)}]",
                "(con integer 1)",
            )
        )
    ),
    "counts_down_redeemer": _program(f"[{_COUNT_DOWN} {_COUNT_DOWN} {_call('unIData', REDEEMER)}]"),
    "all_but_inputs_hash_to_datum": _program(
        _require(_same(_hash(_call("listData", _tail(_fields(INFO)))), DATUM))
    ),
    "inputs_hash_to_redeemer": _program(_require(_same(_hash(INPUTS), REDEEMER))),
    "case": "(program 1.1.0 (lam c (case (constr 1 (con integer 1) (con unit ()))"
    " (lam a (error)) (lam a (lam b b)))))",
    "uses_bls": _program(
        "[(lam x (con unit ())) "
        + _call(
            "bls12_381_G1_neg",
            _call("bls12_381_G1_uncompress", f"(con bytestring #c0{'00' * 47})"),
        )
        + "]"
    ),
}
"""Applications may have several arguments here: `[f a b]` is `[[f a] b]`."""


def compiled(text: str) -> bytes:
    """Return the script of a program; needs uplc."""
    from uplc import tools  # noqa: PLC0415 - an extra

    script: bytes = tools.flatten(tools.parse(_curried(text)))
    return script


def _curried(text: str) -> str:
    tokens = iter(re.findall(r"#?[^\s\[\]()]+|[\[\]()]", text))
    return _written(_nested(tokens, ""))


def _nested(tokens: object, closing: str) -> list[object]:
    items: list[object] = []
    for token in tokens:  # type: ignore[attr-defined]
        if token == closing:
            break
        if token in "[(":
            items.append([token, *_nested(tokens, "]" if token == "[" else ")")])
        else:
            items.append(token)
    return items


def _written(items: list[object]) -> str:
    return " ".join(_one(item) for item in items)


def _one(item: object) -> str:
    if isinstance(item, str):
        return item
    assert isinstance(item, list)
    opening, *rest = item
    if opening == "(":
        return f"({_written(rest)})"
    applied = _one(rest[0])
    for argument in rest[1:]:
        applied = f"[{applied} {_one(argument)}]"
    return applied


if __name__ == "__main__":
    found = json.loads(FILE.read_text()) if FILE.exists() else {}
    found |= {name: compiled(text).hex() for name, text in TEXTS.items()}
    FILE.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
    sys.stdout.write(f"{len(found)} scripts in {FILE}\n")
