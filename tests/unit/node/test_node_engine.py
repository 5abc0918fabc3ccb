"""What Docker writes of a container's run, and what it means."""

from __future__ import annotations

import pytest

from nunet_dms.node.engine.docker import run_times

NEVER = "0001-01-01T00:00:00Z"
SECOND_MS = 1_795_653_206_000


@pytest.mark.parametrize(
    ("started_at", "finished_at", "times"),
    [
        (NEVER, NEVER, (None, None)),
        ("2026-11-26T00:33:26.5Z", NEVER, (SECOND_MS + 500, None)),
        (
            "2026-11-26T00:33:26.923711858Z",
            "2026-11-26T00:33:27.001Z",
            (SECOND_MS + 923, SECOND_MS + 1001),
        ),
    ],
    ids=["created", "running", "ended"],
)
def test_the_times_of_a_run_are_dockers(
    started_at: str, finished_at: str, times: tuple[int | None, int | None]
) -> None:
    assert run_times(started_at, finished_at) == times


def test_a_program_that_ends_at_once_did_not_end_before_it_started() -> None:
    # As Docker wrote them of `exit 7`: it heard of the start 8 ms after the end.
    late_start, end = "2026-11-26T00:33:26.931Z", "2026-11-26T00:33:26.923Z"
    assert run_times(late_start, end) == (SECOND_MS + 923, SECOND_MS + 923)
