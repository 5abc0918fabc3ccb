"""Scripts: read as strictly as the ledger does, run within their budget, judged by their end."""

from __future__ import annotations

import pytest

pytest.importorskip("uplc.ast", reason="the extra plutus is not installed", exc_type=ImportError)

from hypothesis import given
from hypothesis import strategies as st

from nunet_dms.cardano.cbor import encode
from nunet_dms.cardano.chain import evaluator
from nunet_dms.cardano.chain.evaluator import ScriptError, run_script
from nunet_dms.cardano.chain.flat import read_program
from nunet_dms.cardano.data import Data, DataMap
from nunet_dms.cardano.plutus import PLUTUS, ExUnits
from nunet_dms.errors import MalformedError
from tests.unit.cardano.plutus_programs import TEXTS, compiled
from tests.unit.cardano.plutus_world import PROGRAMS

BUDGET = PLUTUS.max_tx_units


def run(text: str, argument: Data = 0, budget: ExUnits = BUDGET) -> ExUnits:
    """Run the body of a program whose argument is `c`."""
    return run_script(compiled(f"(program 1.1.0 (lam c {text}))"), argument, budget)


def passes(condition: str, argument: Data = 0) -> bool:
    """Return what a condition of a program is."""
    branches = "(delay (con unit ())) (delay (error))"
    try:
        run(f"(force [(force (builtin ifThenElse)) {condition} {branches}])", argument)
    except ScriptError:
        return False
    return True


def test_the_committed_scripts_are_those_of_the_texts() -> None:
    assert {name: compiled(text) for name, text in TEXTS.items()}.items() <= PROGRAMS.items()


def test_a_cost_model_has_as_many_numbers_as_protocol_version_10() -> None:
    assert len(evaluator.v3_cost_model()) == 297


@pytest.mark.parametrize(
    "condition",
    [
        "[(builtin equalsByteString) [(builtin sliceByteString) (con integer -5) (con integer 2)"
        " (con bytestring #010203)] (con bytestring #0102)]",
        "[(builtin equalsByteString) [(builtin shiftByteString) (con bytestring #0180)"
        " (con integer 1)] (con bytestring #0300)]",
        "[(builtin equalsByteString) [(builtin shiftByteString) (con bytestring #0180)"
        " (con integer -18446744073709551616)] (con bytestring #0000)]",
        "[(builtin equalsByteString) [(builtin rotateByteString) (con bytestring #8001)"
        " (con integer 17)] (con bytestring #0003)]",
        "[(builtin equalsByteString) [(builtin rotateByteString) (con bytestring #)"
        " (con integer 3)] (con bytestring #)]",
        "[(builtin equalsByteString) [(builtin serialiseData) c] (con bytestring #a201020103)]",
        "[(builtin equalsData) [(builtin mapData) [(builtin unMapData) c]] c]",
        # RFC 8032, section 7.1, test 1:
        "[(builtin verifyEd25519Signature)"
        " (con bytestring #d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a)"
        " (con bytestring #) (con bytestring #e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873"
        "e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b)]",
    ],
)
def test_builtin_functions_by_the_specification(condition: str) -> None:
    assert passes(condition, DataMap(((1, 2), (1, 3))))


@pytest.mark.parametrize(
    "term",
    [
        "[(builtin sliceByteString) (con integer 9223372036854775808) (con integer 1)"
        " (con bytestring #01)]",
        "[(builtin constrData) (con integer -1) [(builtin mkNilData) (con unit ())]]",
        "[(builtin mkNilData) (con integer 1)]",
        "[(builtin mkPairData) (con integer 1) c]",
        "[(builtin addInteger) (con integer 1) (con bytestring #)]",
        "[(builtin unMapData) c]",
        "[(builtin headList) c]",
        "[(force (force (builtin fstPair))) (lam x x)]",
        "[(con integer 1) (con integer 1)]",
        "(force (con integer 1))",
        "(force (builtin addInteger))",
        "(case (con integer 1) (con unit ()))",
        "(case (constr 1) (con unit ()))",
        "[(builtin consByteString) (con integer 256) (con bytestring #)]",
        "[(builtin divideInteger) (con integer 1) (con integer 0)]",
    ],
)
def test_what_ends_a_script(term: str) -> None:
    with pytest.raises(ScriptError):
        run(f"[(lam x (con unit ())) {term}]")


def test_a_value_that_is_endless_once_written_out_is_not_written_out() -> None:
    """Sixty pairs of pairs share their halves; an error that showed them would never end."""
    term = "c"
    for _ in range(60):
        term = f"[(lam d (constr 0 d d)) {term}]"
    with pytest.raises(ScriptError):
        run(f"[(force (force (builtin fstPair))) {term}]")
    with pytest.raises(ScriptError):
        run(f"(force {term})")
    with pytest.raises(ScriptError):
        run(f"[{term} c]")


def test_depth_is_no_limit() -> None:
    body = "(con unit ())"
    for _ in range(60):
        body = f"[(lam x (force (delay {body}))) c]"
    assert run(body).memory > 60 * 400


@pytest.mark.parametrize(("memory", "steps"), [(1, 0), (0, 1)])
def test_one_unit_less_than_needed_ends_it(memory: int, steps: int) -> None:
    needed = run("(con unit ())")
    assert run("(con unit ())", budget=needed) == needed
    with pytest.raises(ScriptError, match="budget"):
        run("(con unit ())", budget=ExUnits(needed.memory - memory, needed.steps - steps))


ALWAYS = PROGRAMS["always_true"][1:]
"""The program without the byte string around it."""


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (b"", "ends in the middle"),
        (encode(b""), "ends in the middle"),
        (encode("text"), "not one byte string"),
        (b"\x5f" + encode(ALWAYS) + b"\xff", "not one byte string"),
        (encode(ALWAYS) + b"\0", "not one byte string"),
        (encode(ALWAYS + b"\x01"), "something follows"),
        (encode(ALWAYS[:-1]), "ends in the middle"),
        (encode(ALWAYS[:-1] + bytes([ALWAYS[-1] ^ 2])), "filler"),
        (encode(b"\x01\x02\x00" + ALWAYS[3:]), r"version 1\.2\.0"),
        (encode(b"\x01\x00\x00" + PROGRAMS["case"][4:]), "kind 9"),
        # \x01\x01\x00, then (lam _ <variable 0>) and (lam _ <variable 2>):
        (encode(b"\x01\x01\x00\x20\x00\x01"), "variable 0"),
        (encode(b"\x01\x01\x00\x20\x02\x01"), "variable 2"),
        (encode(b"\x01\x01\x00\xf0"), "kind 15"),
        # (builtin 127):
        (encode(b"\x01\x01\x00\x7f\xe1"), "builtin function 127"),
    ],
)
def test_what_is_no_program(script: bytes, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        read_program(script)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_program_or_refused(content: bytes) -> None:
    try:
        read_program(encode(b"\x01\x01\x00" + content))
    except MalformedError:
        return


@given(st.integers(0, 8 * len(PROGRAMS["opshin_escrow"]) - 1))
def test_any_flipped_bit_leaves_a_program_or_is_refused(place: int) -> None:
    script = bytearray(PROGRAMS["opshin_escrow"])
    script[place // 8] ^= 1 << place % 8
    try:
        read_program(bytes(script))
    except MalformedError:
        return


def test_what_is_not_judged_is_named() -> None:
    names = evaluator.unjudged_builtins(PROGRAMS["uses_bls"])
    assert names == ["Bls12_381_G1_Neg", "Bls12_381_G1_Uncompress"]
    assert evaluator.unjudged_builtins(PROGRAMS["opshin_escrow"]) == []
