"""`nunet earnings`: what jobs have paid, by job, day and month, and what is pending."""

from __future__ import annotations

import calendar
import csv
import io
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta, timezone

import typer

from nunet_dms import paths
from nunet_dms.cli import render
from nunet_dms.cli.amounts import UNKNOWN_TOKEN, Token, pinned_token
from nunet_dms.errors import UsageError
from nunet_dms.node.earnings import WORDS, Earning, Period, by_period, earning_of
from nunet_dms.node.journal_life import is_made
from nunet_dms.node.journal_reader import JournalReader

DAYS_BACK_MAX = 36_500
"""A century: more is a slip of the finger."""
CSV_COLUMNS = (
    "job_id", "state", "reason", "taken", "ended", "at", "paid", "pending", "at_most", "waits_for",
    "price", "token", "token_decimals", "settlement_tx_id",
)  # fmt: skip
"""The order is kept; new columns come last."""
_DAYS = re.compile(r"([0-9]{1,6})d", re.ASCII)
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", re.ASCII)

Iso = Callable[[int], str]
"""From Unix milliseconds to a time as ISO 8601 has it, with its offset."""

app = typer.Typer()


@dataclass(frozen=True, slots=True, kw_only=True)
class Earnings:
    """The facts of `nunet earnings --json`, schema nunet.earnings/1; amounts in base units."""

    token: str
    token_decimals: int | None
    """None before first contact with an Oracle: then it is not known."""
    since_s: int | None
    paid: int
    pending: int
    at_most: bool
    """Whether `pending` may still become less, since jobs run."""
    months: tuple[Period, ...]
    days: tuple[Period, ...]
    jobs: tuple[Earning, ...]


@app.command()
def earnings(
    since: str = typer.Option(
        "", "--since", metavar="DATE|7d", help="From that day on, or from so many days ago."
    ),
    as_csv: bool = typer.Option(False, "--csv", help="A line for each job, for spreadsheets."),
    utc: bool = typer.Option(False, "--utc", help="Days of UTC, not of this machine's zone."),
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Show what jobs have paid, and what each open amount waits for.

    Read from this machine's journal: neither the worker nor the Oracle is asked. A job counts on
    the day it was paid; until then, on the day it ended or was taken. Exit code: 0; 2 for a wrong
    --since.

    Example: nunet earnings --since 2026-11-01 --csv > november.csv
    """
    if as_csv and as_json:
        raise UsageError("cannot do both: give either --csv or --json")
    iso = _iso(utc)
    since_s = _since(since, time.time(), utc=utc) if since else None
    token, jobs = _look(since_s)
    if as_csv:
        text = tuple(_csv_lines(jobs, token, iso))
        render.show(render.Shown("nunet.earnings/1", {}, text))
        return
    facts = Earnings(
        token=token.label,
        token_decimals=token.decimals,
        since_s=since_s,
        paid=sum(job.paid for job in jobs),
        pending=sum(job.pending for job in jobs),
        at_most=any(job.at_most for job in jobs),
        months=by_period(jobs, lambda at_ms: iso(at_ms)[:7]),
        days=by_period(jobs, lambda at_ms: iso(at_ms)[:10]),
        jobs=jobs,
    )
    render.show(render.Shown("nunet.earnings/1", facts, _page(facts, token, iso)), as_json)


def _look(since_s: int | None) -> tuple[Token, tuple[Earning, ...]]:
    """Return the token, and each job's earning from a time on; raises NunetError."""
    where = paths.resolve()
    if not is_made(where.journal):
        return UNKNOWN_TOKEN, ()
    with JournalReader(where.journal) as journal:
        pin, rows = journal.pin(), journal.earnings()
    found = (earning_of(row) for row in rows)
    jobs = tuple(each for each in found if since_s is None or each.at_ms >= since_s * 1000)
    return (pinned_token(pin[1]) if pin else UNKNOWN_TOKEN), jobs


def _page(facts: Earnings, token: Token, iso: Iso) -> tuple[str | render.Table, ...]:
    if not facts.jobs:
        return ("no jobs yet" if facts.since_s is None else "no jobs since then",)
    paid = sum(job.state == "settled" for job in facts.jobs)
    waiting = sum(job.pending > 0 for job in facts.jobs)
    more = "; it may become less, since jobs run" if facts.at_most else ""
    head = [
        f"paid      {token.show(facts.paid)} for {paid} jobs",
        f"pending   {token.show(facts.pending)} for {waiting} jobs{more}",
    ]
    if token.decimals is None:
        head.append("note      no Oracle has told the token's decimals yet: these are base units")
    jobs = render.Table(
        ("job", "at", "state", "reason", "paid", "pending", "waits for"),
        tuple(
            (
                job.job_id[:12], iso(job.at_ms), job.state, job.reason, token.show(job.paid),
                token.show(job.pending), ": ".join(filter(None, (WORDS[job.waits_for], job.why))),
            )
            for job in facts.jobs
        ),
    )  # fmt: skip
    months, days = _periods("month", facts.months, token), _periods("day", facts.days, token)
    return (*head, "", months, "", days, "", jobs)


def _periods(name: str, periods: tuple[Period, ...], token: Token) -> render.Table:
    return render.Table(
        (name, "jobs", "paid", "pending"),
        tuple(
            (each.name, str(each.jobs), token.show(each.paid), token.show(each.pending))
            for each in periods
        ),
    )


def _csv_lines(jobs: tuple[Earning, ...], token: Token, iso: Iso) -> list[str]:
    """Return a header and a line for each job.

    Only our own words, hex and numbers: what others wrote could be a formula to a spreadsheet.
    """
    to = io.StringIO()
    writer = csv.writer(to, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for job in jobs:
        known = asdict(job) | {
            "taken": iso(job.taken_ms),
            "ended": "" if job.ended_ms is None else iso(job.ended_ms),
            "at": iso(job.at_ms),
            "at_most": int(job.at_most),
            "waits_for": job.waits_for.value,
            "token": token.label,
            "token_decimals": "" if token.decimals is None else token.decimals,
        }
        writer.writerow([known[name] for name in CSV_COLUMNS])
    return to.getvalue().splitlines()


def _iso(utc: bool) -> Iso:
    def iso(at_ms: int) -> str:
        at = datetime.fromtimestamp(at_ms // 1000, tz=timezone.utc)
        return (at if utc else at.astimezone()).isoformat()

    return iso


def _since(text: str, now_s: float, *, utc: bool) -> int:
    """Return the midnight that a date or a number of days ago means, in Unix seconds.

    Raises UsageError.
    """
    try:
        if found := _DAYS.fullmatch(text):
            today = date.fromisoformat(_iso(utc)(int(now_s * 1000))[:10])
            day = today - timedelta(days=min(int(found[1]), DAYS_BACK_MAX))
        elif found := _DATE.fullmatch(text):
            day = date(*map(int, found.groups()))
        else:
            raise ValueError
        midnight = (*day.timetuple()[:6], 0, 0, -1)
        return calendar.timegm(midnight) if utc else int(time.mktime(midnight))
    except (ValueError, OverflowError):
        raise UsageError(
            f"cannot use --since {text!r:.40}: give a day such as 2026-11-01, or 7d for the last"
            " seven days and today"
        ) from None
