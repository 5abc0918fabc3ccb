"""The simulation has teeth: each fault that is planted in the worker breaks a history, and soon."""

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


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_fault_is_found(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    count, history = first_broken(name, FOUND_WITHIN)
    assert history is not None, f"{name} survived {count} histories"
    record_property(STORY, f"mutant {name}: found in history {count}: {history.violations[0]:.80}")


def test_every_mutant_says_what_it_breaks() -> None:
    assert len(MUTANTS) >= 20
    for name in MUTANTS:
        assert importlib.import_module(f"tests.simulation.mutants.{name}").__doc__
