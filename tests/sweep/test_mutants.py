"""The sweep has teeth: workers with one fault each do lose a job, or count one twice, and are seen.

Without its fault the same worker, killed at the same place, loses nothing (test_crash_sweep).
"""

from __future__ import annotations

import pytest

from tests.sweep.account import Death
from tests.sweep.case import LONGER_THAN_A_JOB_S, Case
from tests.sweep.house import House

pytestmark = [pytest.mark.docker, pytest.mark.timeout(170)]

MUTANT_S = 25.0
"""For a case in which a job may never end."""
STARTED = "step Journal.started before"

FOUND: dict[str, tuple[Death, str]] = {
    "always_start": (Death(STARTED, delay_s=LONGER_THAN_A_JOB_S), "starts: 2, not 1"),
    "report_then_store": (Death("collect mutant: sent, not stored"), "bodies of its report: "),
    "exit_and_outbox_split": (Death("step mutant: exit stored, report not"), "ended by itself"),
    "accept_then_store": (Death("step mutant: accepted, not stored"), "not done after"),
}
"""Where to kill each mutant, and what the sweep says of it then. Who starts whatever has the name
is found by a late restart alone: to start a container that runs changes nothing."""


@pytest.mark.parametrize("mutant", FOUND)
def test_the_sweep_finds_a_worker_with_a_fault(house: House, mutant: str) -> None:
    death, said = FOUND[mutant]
    account = Case(house, f"mutant-{mutant}", (death,), mutant).play(MUTANT_S)
    assert account.kills == 1
    assert said in "; ".join(account.faults)
