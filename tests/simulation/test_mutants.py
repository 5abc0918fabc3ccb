"""The simulation has teeth: each fault that is planted in the worker breaks a history, and soon.

A mutant that breaks none is either the same program in other words, or stands behind a second
defence. Each of those is named here with its reason, and one that is found after all fails too.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulation.conftest import STORY
from tests.simulation.many import first_broken

MUTANTS = sorted(path.stem for path in (Path(__file__).parent / "mutants").glob("[a-z]*.py"))
FOUND_WITHIN = 2000
"""Histories."""
SURVIVES = 500
"""Histories that a mutant must survive to count as one that is not found."""
SURVIVORS: dict[str, str] = {
    "no_label_sweep": "housekeeping looks for what carries our label, too, and finds it later",
}
"""Name and why it is no fault."""


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", [name for name in MUTANTS if name not in SURVIVORS])
def test_a_planted_fault_is_found(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    count, history = first_broken(name, FOUND_WITHIN)
    assert history is not None, f"{name} survived {count} histories"
    record_property(STORY, f"mutant {name}: found in history {count}: {history.violations[0]:.80}")


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", sorted(SURVIVORS))
def test_a_fault_behind_a_second_defence_is_not_found(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    count, history = first_broken(name, SURVIVES)
    assert history is None, f"{name} is found: {history}; it is no survivor"
    record_property(STORY, f"mutant {name}: survives {count} histories: {SURVIVORS[name]}")


def test_every_mutant_says_what_it_breaks() -> None:
    assert len(MUTANTS) >= 20
    assert set(SURVIVORS) <= set(MUTANTS)
    for name in MUTANTS:
        assert importlib.import_module(f"tests.simulation.mutants.{name}").__doc__
