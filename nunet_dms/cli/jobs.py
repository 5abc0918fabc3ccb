"""`nunet jobs`: what ran and runs on this machine, from the journal."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from nunet_dms import config, paths
from nunet_dms.cli import objection, render
from nunet_dms.cli.times import clock_time
from nunet_dms.errors import UsageError, WorkerNotRunningError
from nunet_dms.node.cancel import ask_to_cancel
from nunet_dms.node.earnings import worth_of
from nunet_dms.node.journal_life import is_made
from nunet_dms.node.journal_reader import JournalReader
from nunet_dms.node.lock import holder
from nunet_dms.node.rows import CheckpointRow, EventRow, JobRow, OutboxRow
from nunet_dms.node.states import OPEN, RESERVING, State

FOLLOW_EVERY_S = 0.2
READ_BYTES = 256 * 1024

app = typer.Typer(invoke_without_command=True)


@dataclass(frozen=True, slots=True)
class JobStory:
    """A job and what happened to it, schema nunet.job/1."""

    job: JobRow
    events: tuple[EventRow, ...]
    report: OutboxRow | None
    """Its report, while the Oracle has not taken it."""
    checkpoint: CheckpointRow | None

    @property
    def facts(self) -> dict[str, object]:
        """All of it for `--json`; of a checkpoint not its content."""
        saved = self.checkpoint
        return {
            "job": asdict(self.job),
            "events": [asdict(event) for event in self.events],
            "checkpoint": saved
            and {"number": saved.number, "taken_ms": saved.taken_ms, "stored": saved.stored},
            "report": self.report and _report_facts(self.report),
        }


@app.callback()
def root(
    ctx: typer.Context, as_json: bool = typer.Option(False, "--json", help="One line of JSON.")
) -> None:
    """List jobs, read their logs, cancel them. Alone: the list."""
    if ctx.invoked_subcommand is None:
        _list(as_json)


@app.command(name="list")
def list_jobs(as_json: bool = typer.Option(False, "--json", help="One line of JSON.")) -> None:
    """List the jobs of this machine, newest first."""
    _list(as_json)


@app.command()
def show(
    job: str = typer.Argument(help="The job's id, or how it begins."),
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Show one job and its story."""
    with JournalReader(paths.resolve().journal) as journal:
        row = journal.job(job)
        report = next((each for each in journal.outbox() if each.job_id == row.job_id), None)
        saved = journal.checkpoint(row.job_id)
        story = JobStory(row, journal.events(row.job_id), report, saved)
    render.show(render.Shown("nunet.job/1", story.facts, _story_lines(story)), as_json)


@app.command()
def logs(
    job: str = typer.Argument(help="The job's id, or how it begins."),
    follow: bool = typer.Option(False, "-f", "--follow", help="Go on until the job ends."),
) -> None:
    """Print what a job wrote to stdout and stderr."""
    where = paths.resolve()
    with JournalReader(where.journal) as journal:
        row = journal.job(job)
    path = where.jobs_dir / row.job_id / "log"
    if row.state not in OPEN and not path.parent.exists():
        raise UsageError(
            f"cannot show the log of job {row.job_id}: there is none, or none any more",
            hint="the logs of jobs that are over are kept for 30 days, 1 GiB of them in all",
        )
    view = render.LogView()
    at = _print_from(path, 0, view)
    pause = threading.Event()  # never set
    while follow and _is_in_hand(where, row.job_id):
        pause.wait(FOLLOW_EVERY_S)
        at = _print_from(path, at, view)
    _print_from(path, at, view)
    view.close()


@app.command()
def cancel(
    job: str = typer.Argument(help="The job's id, or how it begins."),
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Stop a job; it counts as this node's fault, and its requester gets the whole price back."""
    where = paths.resolve()
    with JournalReader(where.journal) as journal:
        row = journal.job(job)
    if row.state not in RESERVING:
        raise UsageError(f"cannot cancel job {row.job_id}: it is {row.state.value} already")
    if holder(where.lock_file) is None:
        raise WorkerNotRunningError(
            "cannot cancel the job: the worker is not running", hint="type: nunet worker start"
        )
    ask_to_cancel(where.cancel_dir, row.job_id)
    text = f"job {row.job_id} is being stopped; its requester gets the whole price back"
    render.show(render.Shown("nunet.job.cancel/1", {"job_id": row.job_id}, (text,)), as_json)


@app.command(name="object")
def object_to(
    job: str = typer.Argument(help="The job's id, or how it begins."),
    why: str = objection.WHY,
    evidence: Path | None = objection.EVIDENCE,
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Object to the verdict on a job while its window is open; the settlement waits for an answer.

    Example: nunet jobs object JOB --why "it ran for 90 s" --evidence job.log
    """
    from nunet_dms.node import objecting  # noqa: PLC0415 - requests, when needed
    from nunet_dms.node.identity import read_identity  # noqa: PLC0415 - as above
    from nunet_dms.node.oracle_pin import trusted_key  # noqa: PLC0415 - as above
    from nunet_dms.oracle_http import NodeProof, OracleHttp  # noqa: PLC0415 - as above

    where, grounds = paths.resolve(), objection.grounds_of(why, evidence)
    settings = config.load(where.config_file)
    with JournalReader(where.journal) as journal:
        row, key = journal.job(job), trusted_key(settings.oracle, journal)
    us = read_identity(where, settings.wallet.address)
    proof = NodeProof(us.key, us.node_id)
    with OracleHttp(settings.oracle.url, proof, ticket_key=key) as http:
        given = (row.job_id, grounds)
        decision = objecting.object_to(http, us, key, given, int(time.time()))
    render.show(objection.shown(decision), as_json)


def _list(as_json: bool) -> None:
    where = paths.resolve()
    rows: tuple[JobRow, ...] = ()
    pulled: set[str] = set()
    if is_made(where.journal):
        with JournalReader(where.journal) as journal:
            rows = journal.jobs()
            pulled = {image.reference for image in journal.images() if not image.image_id}
    table = render.Table(
        ("job", "state", "reason", "cpu MHz", "RAM MB", "ran s", "earned", "taken at"),
        tuple(
            (
                row.job_id[:12], _state_text(row, pulled), row.reason, str(row.cpu_mhz),
                str(row.ram_mb), f"{row.ran_ms / 1000:.1f}",
                "" if row.earned is None else str(row.earned), clock_time(row.admitted_ms / 1000),
            )
            for row in rows
        ),
    )  # fmt: skip
    text: tuple[str | render.Table, ...] = (table,) if rows else ("no jobs yet",)
    facts = {"jobs": [asdict(row) for row in rows]}
    render.show(render.Shown("nunet.jobs/1", facts, text), as_json)


def _report_facts(report: OutboxRow) -> dict[str, object]:
    return {"worth": worth_of(report), "parked": report.parked}


def _state_text(row: JobRow, pulled: set[str]) -> str:
    """Return a job's state, and whether it waits for its image."""
    waits = row.state is State.ACCEPTED and row.image in pulled
    return f"{row.state.value}, pulling" if waits else row.state.value


def _is_in_hand(where: paths.Paths, job_id: str) -> bool:
    """Look anew each time: what a reader sees of a journal of an older version stands still."""
    with JournalReader(where.journal) as journal:
        row = journal.find(job_id)
    return row is not None and row.state in RESERVING


def _story_lines(story: JobStory) -> tuple[str, ...]:
    job = story.job
    lines = [
        f"job       {job.job_id}",
        f"state     {job.state.value}" + (f" ({job.reason})" if job.reason else ""),
        f"image     {job.image}",
        f"promised  {job.cpu_mhz} MHz, {job.ram_mb} MB RAM, {job.disk_mb} MB disk,"
        f" {job.time_limit_s} s",
        f"price     {job.price} base units; earned {job.earned if job.earned is not None else '-'}",
    ]
    if job.detail:
        lines.append(f"detail    {job.detail}")
    if job.engine_gone_ms is not None:
        lines.append(f"engine    did not answer at {clock_time(job.engine_gone_ms / 1000)}")
    if job.exit_code is not None:
        lines.append(f"exit code {job.exit_code} after {job.ran_ms / 1000:.1f} s")
    if story.report is not None:
        fate = f"is kept: {story.report.parked}" if story.report.parked else "waits for the Oracle"
        lines.append(f"report    worth {worth_of(story.report)} base units; it {fate}")
    if (saved := story.checkpoint) is not None:
        where = "at the Oracle" if saved.stored else "not sent yet"
        lines.append(
            f"saved     {clock_time(saved.taken_ms / 1000)}, checkpoint {saved.number}, {where}"
        )
    lines += [
        f"{clock_time(each.at_ms / 1000)}  {each.what}  {each.detail}".rstrip()
        for each in story.events
    ]
    return tuple(lines)


def _print_from(path: Path, at: int, view: render.LogView) -> int:
    """Print what a log has from byte `at` on; return where it ended."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return at
    with file:
        os.lseek(file.fileno(), at, os.SEEK_SET)
        while part := file.read(READ_BYTES):
            view.write(part)
            at += len(part)
    return at
