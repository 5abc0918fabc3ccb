"""Who gets what: the whole table of reasons, at every length of a run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_oracle_states import job

from nunet_dms.oracle.jobs import JobRow
from nunet_dms.oracle.verdicts import decide, ran_ms_of, reason_of
from nunet_dms.protocol.report import PAY, Pay, Reason, Report
from nunet_dms.protocol.submission import JobState

LIMIT_S = 100
PRICE = 1000


def reported(reason: Reason | None, ran_ms: int, price: int = PRICE) -> JobRow:
    return replace(
        job(JobState.REPORTED), reason=reason, ran_ms=ran_ms, price=price, report_hash="34" * 32
    )


def report(reason: Reason, ran_ms: int = 0) -> Report:
    return Report(
        job_id="ab" * 16,
        ticket_id="cd" * 16,
        node_id="ef" * 28,
        attempt=1,
        reason=reason,
        ran_ms=ran_ms,
        log_sha256="0" * 64,
        log_complete=True,
        results_hash="0" * 64,
        results_complete=True,
    )


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize(("ran_ms", "share"), [(0, 0), (1, 1), (50_000, 500), (100_000, 1000)])
def test_a_metered_reason_pays_for_the_time_and_any_other_nothing(
    reason: Reason, ran_ms: int, share: int
) -> None:
    verdict = decide(reported(reason, ran_ms), issued_s=7)
    assert verdict.provider_amount == (share if PAY[reason] is Pay.METERED else 0)
    assert verdict.provider_amount + verdict.requester_amount == PRICE
    assert (verdict.reason, verdict.report_hash, verdict.issued_s) == (reason, "34" * 32, 7)


@given(
    price=st.integers(1, 10**15), ran_ms=st.integers(0, 10**9), reason=st.sampled_from(list(Reason))
)
def test_a_verdict_divides_the_price_exactly(price: int, ran_ms: int, reason: Reason) -> None:
    verdict = decide(reported(reason, ran_ms, price), issued_s=7)
    assert verdict.provider_amount + verdict.requester_amount == price
    assert 0 <= verdict.provider_amount <= price


def test_a_job_without_a_reason_is_the_node_s_fault() -> None:
    verdict = decide(reported(None, 50_000), issued_s=7)
    assert (verdict.reason, verdict.provider_amount) == (Reason.NODE_FAULT, 0)


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("cancel_requested", [True, False])
@pytest.mark.parametrize("payment_lost", [True, False])
def test_what_a_node_may_say_only_when_it_was_told_to_stop(
    reason: Reason, cancel_requested: bool, payment_lost: bool
) -> None:
    found = reason_of(report(reason), cancel_requested=cancel_requested, payment_lost=payment_lost)
    if reason not in {Reason.CANCELLED, Reason.PAYMENT_LOST}:
        assert found is reason
    elif payment_lost:
        assert found is Reason.PAYMENT_LOST
    else:
        assert found is (Reason.CANCELLED if cancel_requested else Reason.NODE_FAULT)


@pytest.mark.parametrize(
    ("said_ms", "passed_ms", "counted_ms"),
    [
        (10_000, 20_000, 10_000),
        (20_000, 10_000, 10_000),
        (500_000, 500_000, 100_000),
        (10_000, -5_000, 0),
    ],
)
def test_time_counts_within_our_clock_and_the_limit(
    said_ms: int, passed_ms: int, counted_ms: int
) -> None:
    said = report(Reason.SUCCEEDED, said_ms)
    assert ran_ms_of(said, 1_000_000, 1_000_000 + passed_ms, LIMIT_S) == counted_ms
