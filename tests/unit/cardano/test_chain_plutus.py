"""Transactions with Plutus V3 scripts: each rule refuses what it names, and scripts are run."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

pytest.importorskip("uplc.ast", reason="the extra plutus is not installed", exc_type=ImportError)

from nunet_dms.cardano.chain.ledger import check_transaction, read_bounded
from nunet_dms.cardano.chain.scripts import PlutusRule
from nunet_dms.errors import RefusedError
from tests.unit.cardano.plutus_cases import ACCEPTED, REFUSED, STRICTER
from tests.unit.cardano.plutus_world import Spend, spend


def refusal_of(case: Spend) -> str | None:
    """Return the code of the rule that refuses the transaction, None where it is taken."""
    try:
        check_transaction(read_bounded(case.raw()), case.state())
    except RefusedError as refusal:
        return refusal.code
    return None


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_whole_transaction_is_taken(name: str) -> None:
    assert refusal_of(ACCEPTED[name]()) is None


@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_transaction_is_refused_by_its_rule(name: str) -> None:
    rule, build = REFUSED[name]
    assert refusal_of(build()) == rule.value


@pytest.mark.parametrize("name", STRICTER)
def test_what_we_do_not_judge_is_refused(name: str) -> None:
    rule, build, _ = STRICTER[name]
    assert refusal_of(build()) == rule.value


def test_every_rule_has_a_refusal_here() -> None:
    assert {rule.value for rule in PlutusRule} <= {row[0].value for row in REFUSED.values()}


def test_a_script_is_named_when_it_fails() -> None:
    case = spend("always_fails")
    with pytest.raises(RefusedError, match=r"script ebb18a12.* does not let it pass"):
        check_transaction(read_bounded(case.raw()), case.state())


@pytest.mark.parametrize("bit", range(8))
def test_no_flipped_bit_of_a_witness_makes_another_transaction_valid(bit: int) -> None:
    """The body is covered by its signature; what it names of the witnesses by hashes."""
    case = spend("redeemer_is_datum", 7, 7)
    raw = case.raw()
    state = case.state()
    assert refusal_of(case) is None
    start = len(raw) - len(case.scripts[0]) - 60
    for place in range(start, len(raw)):
        flipped = bytearray(raw)
        flipped[place] ^= 1 << bit
        with pytest.raises(RefusedError):
            check_transaction(read_bounded(bytes(flipped)), state)


def test_the_time_that_scripts_are_told_follows_the_ledgers_start() -> None:
    case = ACCEPTED["from a slot"]()
    moved = replace(case.state(), zero_time_ms=case.state().zero_time_ms + 1)
    with pytest.raises(RefusedError) as refusal:
        check_transaction(read_bounded(case.raw()), moved)
    assert refusal.value.code == PlutusRule.SCRIPT_FAILED.value


def test_loading_what_runs_scripts_leaves_python_s_limit_of_digits() -> None:
    code = (
        "import sys; before = sys.get_int_max_str_digits(); "
        "from nunet_dms.cardano.chain import scripts; scripts._evaluator(); "
        "sys.exit('uplc' not in sys.modules or sys.get_int_max_str_digits() != before)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_what_makes_and_judges_payments_does_not_load_what_runs_scripts() -> None:
    code = (
        "import sys; import nunet_dms.cardano.chain.devnet; "
        "loaded = {name.split('.')[0] for name in sys.modules}; "
        "sys.exit('uplc' in loaded or 'nunet_dms.cardano.chain.scripts' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
