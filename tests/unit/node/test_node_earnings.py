"""What each job has paid or will, what it waits for; and sums that agree with one another."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunet_dms.node.earnings import WORDS, Earning, WaitsFor, by_period, earning_of
from nunet_dms.node.journal import Journal
from nunet_dms.node.journal_reader import JournalReader
from nunet_dms.node.rows import DECLINED, RECEIPT_REFUSED, Capacity, EarningRow, JobEnd, JobRow
from nunet_dms.node.states import State
from nunet_dms.protocol.report import Reason

TAKEN_MS, ENDED_MS, CHANGED_MS = 1_000, 2_000, 3_000
DAY_MS = 86_400_000
JOB = "ab" * 16


def row(state: State, **changes: object) -> EarningRow:
    ended = state in {State.EXITED, State.REPORTED, State.SIGNED, State.SETTLED}
    known: dict[str, object] = {
        "job_id": JOB,
        "state": state,
        "reason": "succeeded" if ended else "",
        "price": 1000,
        "time_limit_s": 100,
        "ran_ms": 50_000 if ended else 0,
        "earned": 499 if state in {State.SIGNED, State.SETTLED} else None,
        "settlement_tx_id": "",
        "admitted_ms": TAKEN_MS,
        "finished_ms": ENDED_MS if ended else None,
        "changed_ms": CHANGED_MS,
        "why": "",
    }
    return EarningRow(**(known | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "paid", "pending", "waits", "at_ms"),
    [
        (State.ADMITTED, 0, 1000, WaitsFor.START, TAKEN_MS),
        (State.ACCEPTED, 0, 1000, WaitsFor.START, TAKEN_MS),
        (State.CREATED, 0, 1000, WaitsFor.START, TAKEN_MS),
        (State.STARTING, 0, 1000, WaitsFor.START, TAKEN_MS),
        (State.RUNNING, 0, 1000, WaitsFor.END, TAKEN_MS),
        (State.EXITED, 0, 500, WaitsFor.DELIVERY, ENDED_MS),
        (State.REPORTED, 0, 500, WaitsFor.VERDICT, ENDED_MS),
        (State.SIGNED, 0, 499, WaitsFor.RECEIPT, ENDED_MS),
        (State.SETTLED, 499, 0, WaitsFor.NOTHING, CHANGED_MS),
        (State.LOST, 0, 0, WaitsFor.NEVER, TAKEN_MS),
    ],
)
def test_each_state_has_an_amount_and_what_it_waits_for(
    state: State, paid: int, pending: int, waits: WaitsFor, at_ms: int
) -> None:
    found = earning_of(row(state))
    assert (found.paid, found.pending, found.waits_for, found.at_ms) == (
        paid, pending, waits, at_ms,
    )  # fmt: skip
    assert found.at_most == (waits in {WaitsFor.START, WaitsFor.END})


def test_every_state_and_everything_that_is_waited_for_has_words() -> None:
    assert {earning_of(row(state)).waits_for for state in State} | {WaitsFor.OUR_SIGNATURE} == set(
        WaitsFor
    )
    assert set(WORDS) == set(WaitsFor)


@pytest.mark.parametrize("reason", list(Reason))
def test_what_is_pending_is_what_our_report_comes_to(reason: Reason) -> None:
    found = earning_of(row(State.REPORTED, reason=reason.value))
    assert found.pending == (
        0
        if reason
        in {
            Reason.IMAGE_UNAVAILABLE,
            Reason.START_ERROR,
            Reason.NODE_FAULT,
            Reason.NOT_ACCEPTED,
        }
        else 500
    )


def test_a_settlement_that_we_do_not_sign_is_what_is_waited_for() -> None:
    declined = earning_of(row(State.REPORTED, why="it pays too little"))
    assert (declined.waits_for, declined.why) == (WaitsFor.OUR_SIGNATURE, "it pays too little")


def days_of(at_ms: int) -> str:
    return f"{at_ms // DAY_MS:08d}"


ROWS = st.builds(
    row,
    st.sampled_from(State),
    price=st.integers(1, 2**53 - 1),
    ran_ms=st.integers(0, 200_000),
    earned=st.none() | st.integers(0, 2**53 - 1),
    admitted_ms=st.integers(0, 10 * DAY_MS),
    finished_ms=st.none() | st.integers(0, 10 * DAY_MS),
    changed_ms=st.integers(0, 10 * DAY_MS),
)


@given(st.lists(ROWS, max_size=30))
def test_jobs_and_days_and_months_come_to_the_same_sum(rows: list[EarningRow]) -> None:
    found = [earning_of(each) for each in rows]
    days = by_period(found, days_of)
    months = by_period(found, lambda at_ms: days_of(at_ms)[:7])
    for periods in (days, months):
        assert sum(each.jobs for each in periods) == len(found)
        assert sum(each.paid for each in periods) == sum(each.paid for each in found)
        assert sum(each.pending for each in periods) == sum(each.pending for each in found)
        assert [each.name for each in periods] == sorted({each.name for each in periods})
    assert all(min(each.paid, each.pending) == 0 <= each.paid + each.pending for each in found)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.db", lambda: 5_000)


def admitted(journal: Journal) -> JobRow:
    values = {
        "job_id": JOB, "ticket_id": JOB, "cpu_mhz": 1000, "ram_mb": 512, "disk_mb": 100,
        "time_limit_s": 60, "price": 600, "image": "alpine", "offer": b"{}",
    }  # fmt: skip
    journal.admit(values, Capacity(4000, 2000, 10_000))
    return journal.job(JOB)


def read(journal: Journal) -> Earning:
    with JournalReader(journal._path) as reader:
        (found,) = reader.earnings()
    return earning_of(found)


def test_the_journal_tells_it_from_the_first_state_to_the_last(journal: Journal) -> None:
    job = admitted(journal)
    assert (read(journal).waits_for, read(journal).pending) == (WaitsFor.START, 600)
    job = journal.move(job, State.ACCEPTED)
    end = JobEnd("succeeded", "", 0, 30_000, None, None, 4_000)
    job = journal.ended(job, end, "key", b"{}")
    assert (read(journal).waits_for, read(journal).pending) == (WaitsFor.DELIVERY, 300)
    job = journal.reported(job)
    assert read(journal).waits_for is WaitsFor.VERDICT
    journal.note(JOB, DECLINED, "too little")
    assert (read(journal).waits_for, read(journal).why) == (WaitsFor.OUR_SIGNATURE, "too little")
    job = journal.signed(job, 299, "ff" * 32)
    assert (read(journal).waits_for, read(journal).pending) == (WaitsFor.RECEIPT, 299)
    assert read(journal).why == ""
    journal.note(JOB, RECEIPT_REFUSED, "broken at settlement")
    assert read(journal).why == "broken at settlement"
    journal.settled(job, 299, "ff" * 32)
    found = read(journal)
    assert (found.paid, found.pending, found.at_ms, found.why) == (299, 0, 5_000, "")
    assert found.settlement_tx_id == "ff" * 32
    journal.close()


def test_a_lost_job_says_why_nothing_comes_of_it(journal: Journal) -> None:
    job = journal.move(admitted(journal), State.ACCEPTED)
    job = journal.ended(job, JobEnd("failed", "", 1, 9, None, None, None), "key", b"{}")
    journal.parked(job, "not_running: its lease was lost")
    found = read(journal)
    assert (found.waits_for, found.paid, found.pending) == (WaitsFor.NEVER, 0, 0)
    assert found.why == "not_running: its lease was lost"
    journal.close()
