"""Decide who gets what of a job's payment, by its reason and the time that it ran."""

from __future__ import annotations

from nunet_dms.oracle.jobs import JobRow
from nunet_dms.protocol.report import Reason, Report, Verdict, provider_share


def reason_of(report: Report, *, cancel_requested: bool) -> Reason:
    """Return the reason that counts.

    A node that says "cancelled" of a job that its requester did not cancel has stopped it itself.
    """
    if report.reason is Reason.CANCELLED and not cancel_requested:
        return Reason.NODE_FAULT
    return report.reason


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
