"""What a node is told of its unpaid shares: once in the job's story, and when time runs out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nunet_dms.node.journal import Journal
from nunet_dms.node.rows import Capacity
from nunet_dms.node.unsettled import DEADLINE_NEAR_S, UnsettledShares
from nunet_dms.protocol.node import HeartbeatReply, Unsettled

JOB = "ab" * 16
NOW_S = 1_800_000_000
SHARE = Unsettled(
    job_id=JOB, amount=500, window_ends_s=NOW_S + 3600, deadline_s=NOW_S + DEADLINE_NEAR_S + 1
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal with one job."""
    made = Journal(tmp_path / "journal.db", lambda: 1)
    row = {
        "job_id": JOB, "ticket_id": JOB, "cpu_mhz": 1, "ram_mb": 8, "disk_mb": 1,
        "time_limit_s": 60, "price": 500, "image": "x", "offer": b"{}",
    }  # fmt: skip
    made.admit(row, Capacity(10, 10, 10))
    yield made
    made.close()


def reply(*found: Unsettled, now_s: int = NOW_S) -> HeartbeatReply:
    return HeartbeatReply(time_s=now_s, unsettled=found)


def verdicts(journal: Journal) -> list[str]:
    return [event.detail for event in journal.events(JOB) if event.what == "verdict"]


def test_a_verdict_is_told_once_in_the_job_s_story(journal: Journal) -> None:
    shares = UnsettledShares(journal)
    shares.take(reply(SHARE))
    shares.take(reply(SHARE))
    UnsettledShares(journal).take(reply(SHARE))  # after a restart
    assert verdicts(journal) == ["pays 500 base units; objections until 2027-01-15 09:00 UTC"]


def test_an_objection_is_told_besides(journal: Journal) -> None:
    shares = UnsettledShares(journal)
    shares.take(reply(SHARE))
    shares.take(reply(replace(SHARE, objections=("requester",))))
    assert verdicts(journal)[1].endswith("objection by the requester")


def test_a_share_of_an_unknown_job_is_told_in_no_story(journal: Journal) -> None:
    UnsettledShares(journal).take(reply(replace(SHARE, job_id="cd" * 16)))
    assert verdicts(journal) == []


def test_the_owner_hears_when_a_deadline_is_near_and_no_more_when_it_is_paid(
    journal: Journal,
) -> None:
    shares = UnsettledShares(journal)
    shares.take(reply(SHARE))
    assert shares.note == ""
    shares.take(reply(SHARE, now_s=NOW_S + 1))
    assert shares.note == (
        "job abababab: 500 base units are not paid out, and in 360 min its requester may take "
        "them back"
    )
    shares.take(reply(SHARE, now_s=SHARE.deadline_s))
    assert "now its requester" in shares.note
    shares.take(reply())
    assert shares.note == ""
