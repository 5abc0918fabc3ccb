"""`nunet status`: whether this machine works and earns, from the config, the lock, the journal."""

from __future__ import annotations

import time
from dataclasses import dataclass

import typer

from nunet_dms import config, paths
from nunet_dms.cli import render
from nunet_dms.cli.amounts import UNKNOWN_TOKEN, Token, pinned_token
from nunet_dms.cli.idle import IdleReason, idle_reasons
from nunet_dms.cli.times import clock_time
from nunet_dms.config import CapacityConfig, Config
from nunet_dms.errors import ExitCode, NunetError
from nunet_dms.node.earnings import earning_of, worth_of
from nunet_dms.node.journal_life import is_made
from nunet_dms.node.journal_reader import JournalReader
from nunet_dms.node.lock import holder
from nunet_dms.node.rows import (
    NOT_YET,
    OK,
    STALE_AFTER_S,
    Capacity,
    MissedRow,
    NoteRow,
    OutboxRow,
    WorkerRow,
)
from nunet_dms.node.states import RESERVING, State

NOTES_FOR_S = 7 * 86_400
"""How long a change of the machine, or a report that was refused for good, is shown."""
UNKNOWN = "unknown"
DEGRADED = "degraded"
RESTING = "resting"
"""Nothing is wrong; the owner wants no new jobs just now."""
NOTHING = Capacity(0, 0, 0)

app = typer.Typer()


@dataclass(frozen=True, slots=True)
class Seen:
    """What the lock and the journal tell about the worker and its jobs."""

    pid: int | None
    """Of the process that holds the lock, or None."""
    row: WorkerRow | None
    """What that very process last said of itself, or None."""
    reserved: Capacity = NOTHING
    running: int = 0
    """Jobs whose container runs."""
    coming: int = 0
    """Jobs that are admitted but do not run yet."""
    outbox: tuple[OutboxRow, ...] = ()
    """Reports that the Oracle has not taken."""
    earned: int = 0
    pending: int = 0
    token: Token = UNKNOWN_TOKEN
    missed: tuple[MissedRow, ...] = ()
    notes: tuple[NoteRow, ...] = ()
    """What changed in the machine lately, the newest first."""


@dataclass(frozen=True, slots=True)
class Health:
    """One word, why, and the exit code."""

    state: str
    reason: str
    code: ExitCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The facts of `nunet status --json`, schema nunet.status/1; amounts in base units."""

    health: str
    reason: str
    worker_pid: int | None
    worker_version: str
    uptime_s: int
    accepting: bool
    oracle_url: str
    oracle_state: str
    engine_state: str
    wallet: str
    cpu_mhz: int
    ram_mb: int
    disk_mb: int
    free_cpu_mhz: int
    free_ram_mb: int
    free_disk_mb: int
    jobs_running: int
    jobs_coming: int
    outbox_waiting: int
    outbox_worth: int
    """What the reports that wait come to, by their own facts."""
    reports_parked: int
    """Reports of the last days that the Oracle refuses for good, or that cannot be delivered."""
    parked_worth: int
    earned: int
    pending: int
    """What open jobs will pay; those that have not ended yet count with their whole price."""
    token: str
    token_decimals: int | None
    """None before first contact with an Oracle: then it is not known."""
    note: str
    """What the worker wants said, such as a warning of the Oracle's."""
    idle: tuple[IdleReason, ...]
    missed: tuple[MissedRow, ...]
    machine_notes: tuple[NoteRow, ...]


@app.command()
def status(
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
    check: bool = typer.Option(False, "--check", help="One line and the exit code, for cron."),
) -> None:
    """Show whether this machine works and earns.

    The exit code says it too: 0 fine, 3 not onboarded, 4 worker not running, 5 degraded,
    6 Oracle or engine unreachable.
    """
    where = paths.resolve()
    now_s = time.time()
    if check:
        raise typer.Exit(_check(where, now_s))
    settings = config.load(where.config_file)
    seen = look(where)
    health = judge(seen, now_s)
    facts = _status(settings, seen, health, now_s)
    render.show(render.Shown("nunet.status/1", facts, _lines(facts, seen.token)), as_json)
    raise typer.Exit(int(health.code))


def look(where: paths.Paths) -> Seen:
    """Return what is known of the worker and its jobs; raises NunetError for a broken journal."""
    pid = holder(where.lock_file)
    if not is_made(where.journal):
        return Seen(pid, None)
    with JournalReader(where.journal) as journal:
        row = journal.worker()
        jobs = [job for job in journal.jobs() if job.state in RESERVING]
        running = sum(job.state is State.RUNNING for job in jobs)
        pin, still_open = journal.pin(), journal.earnings(settled_too=False)
        return Seen(
            pid=pid,
            row=row if row is not None and row.pid == pid else None,
            reserved=journal.reserved(),
            running=running,
            coming=len(jobs) - running,
            outbox=journal.outbox(),
            earned=journal.earned(),
            pending=sum(earning_of(row).pending for row in still_open),
            token=pinned_token(pin[1]) if pin else UNKNOWN_TOKEN,
            missed=journal.missed(),
            notes=journal.machine_notes(),
        )


def judge(seen: Seen, now_s: float) -> Health:
    """Say how the worker is; the worst thing first."""
    row = seen.row
    if seen.pid is None:
        return Health("not_running", "the worker is not running", ExitCode.WORKER_NOT_RUNNING)
    if row is None:
        return Health(DEGRADED, "the worker is just starting", ExitCode.DEGRADED)
    return _judge_word(row, now_s)


def _judge_word(row: WorkerRow, now_s: float) -> Health:
    """Judge a running worker by what it last said."""
    silent_s = int(now_s - row.heartbeat_s)
    if silent_s > STALE_AFTER_S:
        why = f"the worker has said nothing for {silent_s} s"
        return Health(DEGRADED, why, ExitCode.DEGRADED)
    for name, state in (("container engine", row.engine_state), ("Oracle", row.oracle_state)):
        if state not in {OK, NOT_YET}:
            return Health("unreachable", f"{name}: {state}", ExitCode.UNREACHABLE)
    if not row.ready:
        return Health(DEGRADED, "the worker is starting or stopping", ExitCode.DEGRADED)
    if row.rests:
        return Health(RESTING, row.hold_note, ExitCode.FINE)
    if not row.accepting:
        why = f"no new jobs are taken: {row.hold_note or row.note or 'no reason given'}"
        return Health(DEGRADED, why, ExitCode.DEGRADED)
    return Health(OK, "", ExitCode.FINE)


def _check(where: paths.Paths, now_s: float) -> int:
    """Print one line whatever happens, and return the exit code."""
    try:
        config.load(where.config_file)
        seen = look(where)
        health = judge(seen, now_s)
    except NunetError as error:
        health = Health("error", str(error), error.exit_code)
        seen = Seen(None, None)
    if health.code is ExitCode.FINE:
        line = f"ok: worker {seen.pid} runs {seen.running} jobs, {len(_waiting(seen))} reports wait"
        line += f"; {health.reason}" if health.reason else ""
    else:
        line = health.reason
    facts = {"health": health.state, "reason": health.reason}
    render.show(render.Shown("nunet.check/1", facts, (line,)))
    return int(health.code)


def _status(settings: Config, seen: Seen, health: Health, now_s: float) -> Status:
    row, sold = seen.row, settings.capacity
    free, parked = free_of(sold, seen), _parked(seen, now_s)
    return Status(
        health=health.state,
        reason=health.reason,
        worker_pid=seen.pid,
        worker_version=row.version if row else "",
        uptime_s=max(0, int(now_s) - row.started_s) if row else 0,
        accepting=row is not None and row.accepting,
        oracle_url=settings.oracle.url,
        oracle_state=row.oracle_state if row else UNKNOWN,
        engine_state=row.engine_state if row else UNKNOWN,
        wallet=settings.wallet.address,
        cpu_mhz=sold.cpu_mhz,
        ram_mb=sold.ram_mb,
        disk_mb=sold.disk_mb,
        free_cpu_mhz=free.cpu_mhz,
        free_ram_mb=free.ram_mb,
        free_disk_mb=free.disk_mb,
        jobs_running=seen.running,
        jobs_coming=seen.coming,
        outbox_waiting=len(_waiting(seen)),
        outbox_worth=sum(map(worth_of, _waiting(seen))),
        reports_parked=len(parked),
        parked_worth=sum(map(worth_of, parked)),
        earned=seen.earned,
        pending=seen.pending,
        token=seen.token.label,
        token_decimals=seen.token.decimals,
        note=row.note if row else "",
        idle=idle_reasons(row, seen.missed, seen.running + seen.coming),
        missed=seen.missed,
        machine_notes=tuple(note for note in seen.notes if note.at_ms / 1000 > now_s - NOTES_FOR_S),
    )


def _waiting(seen: Seen) -> tuple[OutboxRow, ...]:
    return tuple(report for report in seen.outbox if not report.parked)


def _parked(seen: Seen, now_s: float) -> tuple[OutboxRow, ...]:
    """Return the reports of the last days that nothing can come of any more."""
    since_ms = (now_s - NOTES_FOR_S) * 1000
    return tuple(each for each in seen.outbox if each.parked and each.changed_ms > since_ms)


def free_of(offered: CapacityConfig, seen: Seen) -> Capacity:
    """Return what the next job may have: of what is offered, or of what the machine still has."""
    row = seen.row
    cpu_mhz = row.sold_cpu_mhz if row and row.sold_cpu_mhz else offered.cpu_mhz
    ram_mb = row.sold_ram_mb if row and row.sold_ram_mb else offered.ram_mb
    sold = Capacity(min(cpu_mhz, offered.cpu_mhz), min(ram_mb, offered.ram_mb), offered.disk_mb)
    return sold.less(seen.reserved)


def _lines(status: Status, token: Token) -> tuple[str, ...]:
    if status.worker_pid is None:
        worker = "not running (type: nunet worker start)"
    else:
        worker = f"running, process {status.worker_pid}, for {duration(status.uptime_s)}"
    known = status.oracle_state in {OK, NOT_YET, UNKNOWN}  # otherwise its words name the URL
    waiting = (
        f", {status.outbox_waiting} reports worth {token.show(status.outbox_worth)}"
        f" wait for the Oracle"
    )
    pending = f", {token.show(status.pending)} pending" if status.pending else ""
    lines = [
        f"worker    {worker}",
        f"oracle    {status.oracle_state}" + (f" ({status.oracle_url})" if known else ""),
        f"engine    {status.engine_state}",
        f"capacity  {status.cpu_mhz} MHz, {status.ram_mb} MB RAM, {status.disk_mb} MB disk",
        f"free      {status.free_cpu_mhz} MHz, {status.free_ram_mb} MB RAM,"
        f" {status.free_disk_mb} MB disk",
        f"jobs      {status.jobs_running} running, {status.jobs_coming} starting"
        + (waiting if status.outbox_waiting else ""),
        f"earned    {token.show(status.earned)}{pending}, paid to {status.wallet}",
    ]
    if status.reports_parked:
        lines.append(
            f"lost      {status.reports_parked} reports worth {token.show(status.parked_worth)}"
            f" cannot be delivered (why: nunet jobs show JOB)"
        )
    if status.health == DEGRADED:
        lines.append(f"degraded  {status.reason}")
    elif status.note:
        lines.append(f"note      {status.note}")
    lines += [f"{'idle' if not n else '':9} {why.text}" for n, why in enumerate(status.idle)]
    lines += [
        f"{'machine' if not n else '':9} {clock_time(note.at_ms / 1000)}  {note.text}"
        for n, note in enumerate(status.machine_notes)
    ]
    return tuple(lines)


def duration(seconds: int) -> str:
    """Return a length of time in its two largest units: `3 d 4 h`, `5 min 6 s`."""
    parts: list[str] = []
    rest = seconds
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
