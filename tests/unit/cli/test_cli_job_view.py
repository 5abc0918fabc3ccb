"""A requester's job in words: what is said of a log that is not whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nunet_dms.cli.job_view import view_facts, view_lines
from nunet_dms.protocol.amount import ADA
from nunet_dms.protocol.submission import JobState, JobView

VIEW = JobView(
    job_id="a" * 32, state=JobState.SETTLED, reason=None, detail="", node_id="b" * 56, exit_code=0,
    price=1, provider_amount=1, requester_amount=0, payment_tx_id="c" * 64, settlement_tx_id=None,
    log_bytes=70, log_complete=True, cancel_requested=False, submitted_ms=1, started_ms=1,
    finished_ms=1, settled_ms=None, deadline_slot=1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"log_complete": False, "log_dropped_bytes": 12},
            "log        70 bytes, not complete: the job wrote 12 bytes past the limit of a log",
        ),
        (
            {"log_complete": False},
            "log        70 bytes, not complete: part of what the job wrote is missing",
        ),
    ],
)
def test_a_log_that_is_not_whole_says_what_is_missing(
    changes: dict[str, object], line: str
) -> None:
    view = replace(VIEW, **changes)
    assert line in view_lines(view, ADA)
    assert view_facts(view, ADA)["log_dropped_bytes"] == changes.get("log_dropped_bytes", 0)


def test_of_a_whole_log_nothing_is_said() -> None:
    assert not any(line.startswith("log ") for line in view_lines(VIEW, ADA))
