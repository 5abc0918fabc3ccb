"""Scalus on transactions with Plutus V3 scripts: its verdicts, and what it counts as used.

The tables are those of the unit tests. That execution units are equal shows where a script gets
exactly what ours used, or one unit less: then both accept, or neither does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

pytest.importorskip("uplc.ast", reason="the extra plutus is not installed", exc_type=ImportError)

from judge_process import Question, Scalus, Verdict, missing, scalus, utxo_map

from nunet_dms.cardano.chain import evaluator
from nunet_dms.cardano.chain.ledger import check_transaction, read_bounded
from nunet_dms.cardano.plutus import ExUnits
from nunet_dms.errors import RefusedError
from tests.unit.cardano.plutus_cases import ACCEPTED, REFUSED, STRICTER
from tests.unit.cardano.plutus_world import Spend


@pytest.fixture(scope="module")
def judge() -> Iterator[Scalus]:
    lacking = missing()
    if lacking and os.environ.get("CI"):
        pytest.fail(f"no judge, and CI is set: {lacking}", pytrace=False)
    if lacking:
        pytest.skip(f"no judge: {lacking}")
    with scalus() as started:
        yield started


def ask(judge: Scalus, cases: list[Spend]) -> list[Verdict]:
    """Return the judge's verdicts, each in a ledger of its own."""
    questions: list[tuple[None, Question]] = [
        (None, (utxo_map(case.unspent), case.slot, case.raw())) for case in cases
    ]
    return [theirs for _, theirs in judge.judge(questions)]


def takes(case: Spend) -> bool:
    """Return our verdict."""
    try:
        check_transaction(read_bounded(case.raw()), case.state())
    except RefusedError:
        return False
    return True


def used(case: Spend, monkeypatch: pytest.MonkeyPatch) -> list[ExUnits]:
    """Return what each script of a whole transaction uses here."""
    counted: list[ExUnits] = []
    run: Callable[..., ExUnits] = evaluator.run_script
    monkeypatch.setattr(
        evaluator, "run_script", lambda *asked: counted.append(run(*asked)) or counted[-1]
    )
    check_transaction(read_bounded(case.raw()), case.state())
    monkeypatch.undo()
    return counted


def test_what_we_take_the_judge_takes(judge: Scalus) -> None:
    verdicts = ask(judge, [build() for build in ACCEPTED.values()])
    refused = {
        name: theirs.why for name, theirs in zip(ACCEPTED, verdicts, strict=True) if theirs.why
    }
    assert not refused


def test_what_we_refuse_the_judge_refuses(judge: Scalus) -> None:
    verdicts = ask(judge, [build() for _, build in REFUSED.values()])
    assert [name for name, its in zip(REFUSED, verdicts, strict=True) if its.accepted] == []


def test_the_known_differences_are_those_where_we_are_stricter(judge: Scalus) -> None:
    """Each is there, so that none stays in the table for longer than it is true."""
    verdicts = ask(judge, [build() for _, build, _ in STRICTER.values()])
    assert [name for name, its in zip(STRICTER, verdicts, strict=True) if not its.accepted] == []


def test_execution_units_are_the_judges(
    judge: Scalus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    exact: list[Spend] = []
    for name, build in ACCEPTED.items():
        if name.startswith("told the same"):  # their datums and redeemers go with the units
            continue
        case = build()
        units = used(case, monkeypatch)
        given = [
            replace(each, units=spent) for each, spent in zip(case.redeemers, units, strict=True)
        ]
        for memory, steps in ((0, 0), (1, 0), (0, 1)):
            changed = build()
            first = given[0].units
            less = replace(given[0], units=ExUnits(first.memory - memory, first.steps - steps))
            changed.redeemers = [less, *given[1:]]
            exact.append(changed)
    ours = [takes(case) for case in exact]
    assert ours == [True, False, False] * (len(exact) // 3)
    assert [theirs.accepted for theirs in ask(judge, exact)] == ours
    with capsys.disabled():
        sys.stdout.write(f"\n{len(exact)} budgets, exact or one unit short: verdicts equal\n")
