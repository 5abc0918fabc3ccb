"""`nunet oracle disputes|revise|uphold|alerts`: what only the Oracle's operator decides or hears.

These work on the Oracle's own folder, beside a running `serve`: whoever may read its keys may sign
its verdicts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nunet_dms import paths
from nunet_dms.cli import render
from nunet_dms.cli.times import clock_time
from nunet_dms.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from nunet_dms.oracle.alerts import Alert
    from nunet_dms.oracle.composition import Oracle
    from nunet_dms.oracle.disputing import Dispute

DISPUTES_MAX = 10_000
"""Decided jobs that are looked through."""
WHY_MAX_CHARS = 500
"""As `ShortText` in the protocol."""

DIR = typer.Option(None, "--dir", help="The Oracle's folder.", file_okay=False)
JOB = typer.Argument(help="The job's id.")
JSON = typer.Option(False, "--json", help="One line of JSON.")


def disputes(folder: Path | None = DIR, as_json: bool = JSON) -> None:
    """List the jobs whose verdict somebody objects to; what waits for an answer stands first.

    Example: nunet oracle disputes
    """
    with opened(folder) as oracle:
        from nunet_dms.oracle import disputing  # noqa: PLC0415 - the extra `oracle`, when needed

        found = disputing.disputes(oracle, DISPUTES_MAX)
    facts = {"disputes": [_dispute_facts(each) for each in found]}
    lines = [line for each in found for line in _dispute_lines(each)]
    text = tuple(lines) or ("nobody objects",)
    render.show(render.Shown("nunet.oracle.disputes/1", facts, text), as_json)


def revise(
    job: str = JOB,
    percent: int = typer.Option(min=0, max=100, help="What the provider gets of the price."),
    why: str = typer.Option(help="What both parties read."),
    folder: Path | None = DIR,
    as_json: bool = JSON,
) -> None:
    """Put another verdict in the place of a job's first one; that can be done once.

    Example: nunet oracle revise JOB --percent 40 --why "the log stops after 40 s"
    """
    if not 0 < len(why.strip()) <= WHY_MAX_CHARS:
        raise UsageError(f"cannot revise: give --why with at most {WHY_MAX_CHARS} characters")
    with opened(folder) as oracle:
        from nunet_dms.oracle import disputing  # noqa: PLC0415 - as above

        new = disputing.revise(oracle, job, percent, why.strip())
    facts = {
        "job_id": job,
        "provider_amount": new.provider_amount,
        "requester_amount": new.requester_amount,
    }
    line = (
        f"job {job}: {new.provider_amount} to the provider, {new.requester_amount} back to the "
        f"requester (base units); settled when the window has ended"
    )
    render.show(render.Shown("nunet.oracle.revise/1", facts, (line,)), as_json)


def uphold(job: str = JOB, folder: Path | None = DIR, as_json: bool = JSON) -> None:
    """Let the verdict on a job stand against the objections so far.

    Example: nunet oracle uphold JOB
    """
    with opened(folder) as oracle:
        from nunet_dms.oracle import disputing  # noqa: PLC0415 - as above

        answered = disputing.uphold(oracle, job)
    facts = {"job_id": job, "answered": answered}
    line = f"the verdict on job {job} stands; settled when the window has ended"
    render.show(render.Shown("nunet.oracle.uphold/1", facts, (line,)), as_json)


def alerts(folder: Path | None = DIR, as_json: bool = JSON) -> None:
    """List jobs whose deadline is near, or has passed, with a provider's money unsettled.

    The exit code is 5 when there is one, so that cron can tell. Example: nunet oracle alerts
    """
    with opened(folder) as oracle:
        from nunet_dms.oracle.alerts import find  # noqa: PLC0415 - as above

        found = find(oracle)
    facts = {"alerts": [_alert_facts(each) for each in found]}
    text = tuple(_alert_line(each) for each in found) or ("no deadline is near",)
    render.show(render.Shown("nunet.oracle.alerts/1", facts, text), as_json)
    if found:
        raise typer.Exit(int(ExitCode.DEGRADED))


@contextmanager
def opened(folder: Path | None) -> Iterator[Oracle]:
    """Open an Oracle's folder; raises UsageError where the extra `oracle` is not installed."""
    if find_spec("sqlalchemy") is None:
        raise UsageError(
            "cannot look into an Oracle: sqlalchemy is not installed",
            hint="install 'nunet-dms[oracle]'",
        )
    from nunet_dms.oracle.composition import open_oracle  # noqa: PLC0415 - as above
    from nunet_dms.oracle.config import load  # noqa: PLC0415 - as above

    oracle = open_oracle(load(folder or paths.resolve().oracle_dir), time.time)
    try:
        yield oracle
    finally:
        oracle.close()


def _dispute_facts(dispute: Dispute) -> dict[str, object]:
    return {
        "job_id": dispute.job.job_id,
        "reason": dispute.verdict.reason.value,
        "price": dispute.verdict.price,
        "provider_amount": dispute.verdict.provider_amount,
        "revised_percent": dispute.verdict.revised_percent,
        "window_ends_s": dispute.job.window_ends_s,
        "is_held": dispute.is_held,
        "held_until_s": dispute.held_until_s,
        "objections": [
            {
                "party": each.party,
                "statement": each.statement,
                "evidence_sha256": each.evidence_sha256,
                "verdict_hash": each.verdict_hash,
                "issued_s": each.issued_s,
            }
            for each in dispute.objections
        ],
    }


def _dispute_lines(dispute: Dispute) -> tuple[str, ...]:
    verdict = dispute.verdict
    state = f"held until {clock_time(dispute.held_until_s)}" if dispute.is_held else "answered"
    return (
        f"job {dispute.job.job_id}  {verdict.reason.value}, {verdict.provider_amount} of "
        f"{verdict.price} base units to the provider; {state}",
        *(
            f"  {each.party}: {each.statement} (evidence sha256 {each.evidence_sha256})"
            for each in dispute.objections
        ),
    )


def _alert_facts(alert: Alert) -> dict[str, object]:
    return {
        "job_id": alert.job_id,
        "node_id": alert.node_id,
        "state": alert.state,
        "level": alert.level.name.lower(),
        "amount": alert.amount,
        "slots_left": alert.slots_left,
    }


def _alert_line(alert: Alert) -> str:
    when = f"{alert.slots_left} s left" if alert.slots_left >= 0 else "deadline passed"
    return (
        f"{alert.level.name.lower()}: job {alert.job_id} is {alert.state}, {alert.amount} base "
        f"units are not paid out, {when}"
    )
