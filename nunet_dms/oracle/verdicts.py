"""Decide who gets what of a job's payment, by its reason and the time that it ran."""

from __future__ import annotations

from dataclasses import replace

from nunet_dms.oracle.jobs import JobRow
from nunet_dms.protocol.report import (
    ONLY_WHEN_TOLD,
    Reason,
    Report,
    Verdict,
    provider_share,
    revised_share,
)


def reason_of(report: Report, *, cancel_requested: bool, payment_lost: bool) -> Reason:
    """Return the reason that counts.

    A node that says "cancelled" of a job that its requester did not cancel, or that its payment is
    lost where we did not say so, has stopped it itself.
    """
    if report.reason not in ONLY_WHEN_TOLD:
        return report.reason
    if payment_lost:
        return Reason.PAYMENT_LOST
    return Reason.CANCELLED if cancel_requested else Reason.NODE_FAULT


def ran_ms_of(report: Report, started_ms: int, now_ms: int, time_limit_s: int) -> int:
    """Return how long the job ran: never longer than our own clock and its time limit allow."""
    return max(0, min(report.ran_ms, now_ms - started_ms, time_limit_s * 1000))


def decide(job: JobRow, issued_s: int) -> Verdict:
    """Return the verdict on a reported job: its price, divided."""
    reason = job.reason or Reason.NODE_FAULT
    provider = provider_share(job.price, reason, job.ran_ms, job.time_limit_s)
    return Verdict(
        job_id=job.job_id,
        report_hash=job.report_hash,
        reason=reason,
        price=job.price,
        ran_ms=job.ran_ms,
        provider_amount=provider,
        requester_amount=job.price - provider,
        issued_s=issued_s,
    )


def revise(first: Verdict, revises: str, percent: int, why: str, issued_s: int) -> Verdict:
    """Return the verdict that takes the place of `first`, whose sealed digest is `revises`."""
    provider = revised_share(first.price, percent)
    return replace(
        first,
        provider_amount=provider,
        requester_amount=first.price - provider,
        issued_s=issued_s,
        revises=revises,
        revised_percent=percent,
        revised_why=why,
    )
