"""The Oracle's database: moves are conditional, papers and logs are what was put in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from test_oracle_states import job

from nunet_dms.errors import InvalidTransitionError, RefusedError
from nunet_dms.oracle import jobs, logs
from nunet_dms.oracle.jobs import DETAIL_MAX_CHARS, JobRow, Paper
from nunet_dms.oracle.logs import LogOffsetError
from nunet_dms.oracle.store import Store
from nunet_dms.oracle.tables import events
from nunet_dms.protocol.report import Reason
from nunet_dms.protocol.submission import JobState

JOB = job(JobState.SUBMITTED)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store.open(tmp_path / "oracle.db")
    with made.writing() as db:
        jobs.add(db, JOB)
    yield made
    made.close()


def _running(store: Store) -> JobRow:
    with store.writing() as db:
        offered = jobs.move(db, JOB, JobState.OFFERED, 2)
        return jobs.move(db, offered, JobState.RUNNING, 3, lease_expires_s=50)


def test_every_commit_is_synced_in_wal_mode(store: Store) -> None:
    with store.reading() as db:
        assert db.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert db.execute(text("PRAGMA synchronous")).scalar() == 2


def test_an_error_inside_a_transaction_undoes_all_of_it(store: Store) -> None:
    def move_and_fail() -> None:
        with store.writing() as db:
            jobs.move(db, JOB, JobState.OFFERED, 2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        move_and_fail()
    with store.reading() as db:
        assert jobs.find(db, JOB.job_id) == JOB


@pytest.mark.parametrize("field", ["job_id", "quote_id", "payment_tx_id"])
def test_job_quote_and_payment_are_each_used_once(store: Store, field: str) -> None:
    other = replace(JOB, job_id="1" * 32, quote_id="2" * 32, payment_tx_id="3" * 64)
    clash = replace(other, **{field: getattr(JOB, field)})
    with pytest.raises(IntegrityError), store.writing() as db:
        jobs.add(db, clash)
    with store.writing() as db:
        jobs.add(db, other)
        first, second = jobs.in_state(db, JobState.SUBMITTED, limit=10)
        assert (first, second) == (other, JOB)  # as old as each other: in the order of their ids
        assert jobs.in_state(db, JobState.SUBMITTED, limit=1) == (first,)
        assert jobs.in_state(db, JobState.SUBMITTED, limit=9, after=first) == (second,)
        assert jobs.in_state(db, JobState.SUBMITTED, limit=9, after=second) == ()


def test_a_move_needs_the_state_that_the_caller_saw(store: Store) -> None:
    running = _running(store)
    assert (running.state, running.lease_expires_s) == (JobState.RUNNING, 50)
    with store.writing() as db, pytest.raises(InvalidTransitionError, match="not submitted any"):
        jobs.move(db, JOB, JobState.OFFERED, 4)
    with store.writing() as db, pytest.raises(InvalidTransitionError, match="no such move"):
        jobs.move(db, running, JobState.SETTLED, 4)
    with store.writing() as db, pytest.raises(InvalidTransitionError, match="cannot change"):
        jobs.change(db, JOB, cancel_requested=True)


def test_each_move_is_told_in_order(store: Store) -> None:
    running = _running(store)
    with store.writing() as db:
        ended = jobs.move(
            db, running, JobState.REPORTED, 4, reason=Reason.FAILED.value, detail="x" * 900
        )
        told = db.execute(select(events).order_by(events.c.seq)).all()
    assert (ended.reason, len(ended.detail)) == (Reason.FAILED, DETAIL_MAX_CHARS)
    assert [(row.at_ms, row.from_state, row.to_state) for row in told] == [
        (1, None, "submitted"),
        (2, "submitted", "offered"),
        (3, "offered", "running"),
        (4, "running", "reported"),
    ]


def test_leases_are_renewed_and_never_shortened(store: Store) -> None:
    job_id = _running(store).job_id
    for until, found in ((40, 50), (60, 60)):
        with store.writing() as db:
            jobs.renew_leases(db, until)
            found_job = jobs.find(db, job_id)
        assert found_job is not None
        assert found_job.lease_expires_s == found


def test_others_jobs_are_unknown(store: Store) -> None:
    with store.reading() as db:
        assert jobs.of_node(db, JOB.job_id, JOB.node_id) == JOB
        assert jobs.of_requester(db, JOB.job_id, JOB.requester) == JOB
        for find, who in ((jobs.of_node, JOB.requester), (jobs.of_requester, JOB.node_id)):
            for job_id in (JOB.job_id, "0" * 32, "'; DROP TABLE jobs; --"):
                with pytest.raises(RefusedError) as refused:
                    find(db, job_id, who)
                assert refused.value.code == "unknown_job"


def test_a_paper_is_kept_in_place_of_an_older_one(store: Store) -> None:
    with store.writing() as db:
        with pytest.raises(InvalidTransitionError, match="it has no ticket"):
            jobs.needed_paper(db, JOB.job_id, Paper.TICKET)
        jobs.keep(db, JOB.job_id, Paper.TICKET, "one")
        jobs.keep(db, JOB.job_id, Paper.TICKET, "two")
        assert jobs.needed_paper(db, JOB.job_id, Paper.TICKET) == "two"
        jobs.remove(db, JOB.job_id)
        assert jobs.paper(db, JOB.job_id, Paper.TICKET) is None
        assert jobs.find(db, JOB.job_id) is None


def test_a_log_grows_at_its_end_only_and_is_read_from_anywhere(store: Store) -> None:
    _running(store)
    whole = bytes(range(30))
    for offset in range(0, 30, 10):
        with store.writing() as db:
            row = jobs.of_node(db, JOB.job_id, JOB.node_id)
            assert logs.append(db, row, offset, whole[offset:][:10], 30) == offset + 10
    with store.writing() as db:
        row = jobs.of_node(db, JOB.job_id, JOB.node_id)
        for offset in (0, 29, 31):
            with pytest.raises(LogOffsetError) as wrong:
                logs.append(db, row, offset, b"x", 100)
            assert wrong.value.length == 30
        with pytest.raises(RefusedError) as full:
            logs.append(db, row, 30, b"x", 30)
        assert full.value.code == "log_full"
        with pytest.raises(RefusedError) as closed:
            logs.append(db, replace(row, state=JobState.REPORTED), 30, b"x", 100)
        assert closed.value.code == "not_running"
        assert logs.append(db, row, 30, b"", 30) == 30
        assert logs.sha256(db, JOB.job_id) == hashlib.sha256(whole).hexdigest()
        for offset in (0, 5, 10, 19, 29, 30, 99):
            assert logs.read(db, JOB.job_id, offset, 100) == whole[offset:]
            assert logs.read(db, JOB.job_id, offset, 12) == whole[offset:][:12]
