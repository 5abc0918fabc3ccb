"""Why a machine is idle: every cause in words, the worst first, and nothing while a job runs."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest
from cli_world import word

from nunet_dms.cli.idle import MISSED_WORDS, idle_reasons, missed_words
from nunet_dms.node.rows import MissedRow
from nunet_dms.protocol.node import MissedWork


def codes(**changes: object) -> list[str]:
    return [why.code for why in idle_reasons(word(**changes), (), 0)]


def test_a_machine_with_a_job_in_hand_is_not_idle() -> None:
    assert idle_reasons(word(hold="paused"), (MissedRow("cpu", 1, 1),), 1) == ()


def test_without_a_worker_that_is_the_only_reason() -> None:
    assert [why.code for why in idle_reasons(None, (MissedRow("cpu", 1, 1),), 0)] == ["no_worker"]


def test_a_well_machine_that_nobody_asked_says_so() -> None:
    (why,) = idle_reasons(word(), (), 0)
    assert (why.code, why.text) == ("no_requests", "no request has come within a day")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"oracle_state": "down"}, ["oracle_away"]),
        ({"engine_state": "down"}, ["engine_away"]),
        ({"engine_state": "down", "oracle_state": "down"}, ["engine_away", "oracle_away"]),
        ({"oracle_state": "not yet reached"}, ["oracle_away"]),
        ({"hold": "off_hours", "hold_note": "outside"}, ["off_hours"]),
        ({"hold": "paused", "oracle_state": "down"}, ["oracle_away", "paused"]),
    ],
)
def test_what_is_away_comes_before_what_its_owner_wants(
    changes: dict[str, object], expected: list[str]
) -> None:
    assert codes(**changes) == expected


def test_the_missed_work_ledger_is_told_with_its_worth_and_the_cure() -> None:
    missed = (MissedRow("cpu", 3, 500), MissedRow("price", 1, 40))
    reasons = idle_reasons(word(), missed, 0)
    assert [why.code for why in reasons] == ["missed_cpu", "missed_price"]
    assert reasons[0].text == (
        "3 requests within a day asked for more CPU than was free, worth 500 base units"
        " (to change it: nunet config set capacity.cpu_mhz MHZ)"
    )
    assert reasons[1].text.startswith("1 request within a day asked for a lower price")


def test_what_an_oracle_said_before_it_went_away_is_not_told_as_news() -> None:
    reasons = idle_reasons(word(oracle_state="down"), (MissedRow("cpu", 3, 500),), 0)
    assert [why.code for why in reasons] == ["oracle_away"]


def test_every_reason_of_the_ledger_has_words() -> None:
    hint = get_type_hints(MissedWork)["reason"]
    assert set(get_args(hint)) == set(MISSED_WORDS)


def test_a_reason_of_a_newer_oracle_is_shown_as_it_is() -> None:
    assert "went_away" in missed_words(MissedRow("went_away", 1, 2))
