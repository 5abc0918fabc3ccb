"""How a job ended: the reason comes from several facts, and never from the exit code alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from nunet_dms.node.ending import Ending, classify, end_of, frozen_report
from nunet_dms.node.engine.types import Facts, Failure
from nunet_dms.node.logs import EMPTY_LOG
from nunet_dms.node.rows import JobRow
from nunet_dms.protocol import strict
from nunet_dms.protocol.job import Manifest
from nunet_dms.protocol.report import PAY, Reason, Report, provider_share
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed
from tests.unit.node.conftest import World

ENDED = Facts("c", "exited", 1000, 3500, 0, oom_killed=False, error="")
BOOT = "this boot"


@pytest.mark.parametrize(
    ("facts", "row", "reason"),
    [
        ({}, {}, "succeeded"),
        ({"exit_code": 7}, {}, "failed"),
        ({"exit_code": 137, "oom_killed": True}, {}, "out_of_memory"),
        ({"exit_code": 0, "oom_killed": True}, {}, "succeeded"),
        ({"exit_code": 137}, {}, "failed"),
        ({"exit_code": 137}, {"stop_reason": "time_limit", "stop_ms": 3000}, "time_limit"),
        ({"exit_code": 143}, {"stop_reason": "cancelled", "stop_ms": 3500}, "cancelled"),
        ({}, {"stop_reason": "time_limit", "stop_ms": 4000}, "succeeded"),
        ({"exit_code": 1}, {"stop_reason": "disk_limit", "stop_ms": 3000}, "disk_limit"),
        ({"exit_code": 1}, {"stop_reason": "node_fault", "stop_ms": 3000}, "node_fault"),
        ({"status": "created", "started_ms": None}, {}, "node_fault"),
        ({"status": "running"}, {}, "node_fault"),
        ({}, {"boot_id": "an earlier boot"}, "node_fault"),
        (None, {}, "node_fault"),
    ],
)
def test_the_reason_follows_from_the_facts(
    admit: Callable[..., JobRow],
    facts: dict[str, object] | None,
    row: dict[str, object],
    reason: str,
) -> None:
    job = replace(admit(), **{"boot_id": BOOT, **row})
    seen = None if facts is None else replace(ENDED, **facts)
    assert classify(seen, job, BOOT).reason.value == reason


def test_the_report_is_sealed_by_the_node_and_says_what_the_journal_keeps(
    world: World, admit: Callable[..., JobRow]
) -> None:
    job = admit()
    ending = Ending(Failure(Reason.FAILED, "why"), ENDED, EMPTY_LOG, Manifest(), True)
    key, body = frozen_report(world.us, job, ending)
    sealed = strict.decode(Sealed, body)
    report = open_sealed(sealed, Report, Domain.REPORT, world.us.key.public)
    end = end_of(job, ending)
    assert key == f"{world.us.node_id}:{job.ticket_id}:report"
    assert (report.ran_ms, report.exit_code, report.reason) == (2500, 0, Reason.FAILED)
    assert (end.ran_ms, end.exit_code, end.reason) == (2500, 0, "failed")


def test_every_reason_has_a_consequence() -> None:
    assert set(PAY) == set(Reason)


@pytest.mark.parametrize(
    ("reason", "ran_ms", "due"),
    [
        ("succeeded", 60_000, 1000), ("succeeded", 90_000, 1000), ("failed", 30_000, 500),
        ("cancelled", 1, 1), ("out_of_memory", 0, 0), ("time_limit", 60_000, 1000),
        ("node_fault", 60_000, 0), ("image_unavailable", 1, 0), ("succeeded", -5, 0),
    ],
)  # fmt: skip
def test_what_ran_is_paid_rounded_up_and_never_more_than_the_price(
    reason: str, ran_ms: int, due: int
) -> None:
    assert provider_share(1000, Reason(reason), ran_ms, time_limit_s=60) == due
