"""`nunet offboard`: finish what is in hand, stop, and leave; keys and history stay."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import typer

from nunet_dms import config, paths
from nunet_dms.cli import render
from nunet_dms.cli.status import look
from nunet_dms.cli.worker import start_worker, stop_worker
from nunet_dms.errors import DegradedError, UsageError, WorkerNotRunningError
from nunet_dms.node.cancel import ask_to_cancel
from nunet_dms.node.journal_life import is_made
from nunet_dms.node.journal_reader import JournalReader
from nunet_dms.node.lock import holder
from nunet_dms.node.pause import Pause, lift_pause, write_pause
from nunet_dms.node.rows import HoldCode, JobRow
from nunet_dms.node.states import RESERVING

LOOK_EVERY_S = 0.5
FORCED_WAIT_S = 60.0
"""For jobs that were told to stop to end, and their reports to reach the Oracle."""
KEPT_SUFFIX = ".offboarded"
"""The settings stay beside their old place, for whoever wants to look something up."""

app = typer.Typer()


@dataclass(frozen=True, slots=True)
class Offboarded:
    """The facts of `nunet offboard --json`, schema nunet.offboard/1."""

    settings_kept_in: str
    keys_deleted: bool
    jobs_left: int
    """Open jobs that were not waited for; only with --force."""


@app.command()
def offboard(
    timeout_s: float | None = typer.Option(None, "--timeout", min=0, help="Seconds to wait."),
    force: bool = typer.Option(False, "--force", help="Stop jobs; their requesters are repaid."),
    delete_keys: bool = typer.Option(False, "--delete-keys", help="Delete this node's identity."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Take no new jobs, wait until all are paid, stop the worker, take the settings away.

    Interrupted, it goes on where it was when it is typed again; `nunet resume` takes it back.
    The wallet, the keys and the history of jobs stay. Example: nunet offboard --yes
    """
    where = paths.resolve()
    config.check_exists(where.config_file)
    _confirm(delete_keys=delete_keys, yes=yes)
    write_pause(where.pause_file, Pause(int(time.time()), offboarding=True))
    if force:
        _stop_jobs(where)
    wait_s = timeout_s if timeout_s is not None else FORCED_WAIT_S if force else None
    left = _finish(where, wait_s, leaves_unpaid=force and not delete_keys)
    facts = _leave(where, left, delete_keys=delete_keys)
    render.show(render.Shown("nunet.offboard/1", facts, _lines(facts, where)), as_json)


def _confirm(*, delete_keys: bool, yes: bool) -> None:
    if yes:
        return
    what = "Leave and delete this node's keys?" if delete_keys else "Finish all jobs and leave?"
    if not render.can_ask():
        raise UsageError("cannot offboard: nobody can be asked here", hint="if you are sure: --yes")
    if not render.confirm(what):
        raise UsageError("nothing was changed", hint="to skip the question: --yes")


def _open_jobs(where: paths.Paths) -> tuple[JobRow, ...]:
    if not is_made(where.journal):
        return ()
    with JournalReader(where.journal) as journal:
        return journal.open_jobs()


def _takes_no_more(where: paths.Paths) -> bool:
    """Whether the worker has heard that it is to take no new jobs; true where none runs."""
    seen = look(where)
    return seen.pid is None or (seen.row is not None and seen.row.hold == HoldCode.OFFBOARDING)


def _stop_jobs(where: paths.Paths) -> None:
    """Leave a wish to stop every job that runs or is coming, as `nunet jobs cancel` does."""
    for job in _open_jobs(where):
        if job.state in RESERVING:
            ask_to_cancel(where.cancel_dir, job.job_id)


def _finish(where: paths.Paths, wait_s: float | None, *, leaves_unpaid: bool) -> tuple[JobRow, ...]:
    """Wait for the jobs in hand, then stop the worker; return those that are not settled.

    There are such only with `leaves_unpaid`, and none of them runs. A job that came in at the last
    moment, by a quote from before, is waited for as well. Raises DegradedError when time is over.
    """
    ends_s = None if wait_s is None else time.monotonic() + wait_s
    while True:
        left = _wait_for_jobs(where, ends_s, leaves_unpaid=leaves_unpaid)
        if left and not (leaves_unpaid and _nothing_runs(left)):
            raise DegradedError(
                f"cannot offboard yet: {_words_on(left)}",
                hint="no new jobs are taken meanwhile; type it again to wait on, --force (without"
                " --delete-keys) to leave them unpaid, or: nunet resume",
            )
        stop_worker(where)
        if len(_open_jobs(where)) <= len(left):
            return left
        start_worker(where)


def _wait_for_jobs(
    where: paths.Paths, ends_s: float | None, *, leaves_unpaid: bool
) -> tuple[JobRow, ...]:
    """Return when the worker takes no more and no job is open, or with those open in the end.

    Where no worker runs, raises WorkerNotRunningError unless nobody is needed to finish them.
    """
    pause, told = threading.Event(), ""
    while (jobs := _open_jobs(where)) or not _takes_no_more(where):
        if holder(where.lock_file) is None:
            if not jobs or (leaves_unpaid and _nothing_runs(jobs)):
                break
            raise WorkerNotRunningError(
                f"cannot offboard: {_words_on(jobs)}, and no worker runs to finish them",
                hint="type: nunet worker start, then nunet offboard",
            )
        if ends_s is not None and time.monotonic() >= ends_s:
            break
        if jobs and (words := _words_on(jobs)) != told:
            render.progress(f"waiting: {words}")
            told = words
        pause.wait(LOOK_EVERY_S)
    return jobs


def _nothing_runs(jobs: tuple[JobRow, ...]) -> bool:
    return not any(job.state in RESERVING for job in jobs)


def _words_on(jobs: tuple[JobRow, ...]) -> str:
    running = sum(job.state in RESERVING for job in jobs)
    waiting = len(jobs) - running
    parts = []
    if running:
        parts.append(f"{running} job{'s' if running > 1 else ''} in hand")
    if waiting:
        parts.append(f"{waiting} to be reported or paid")
    return ", ".join(parts)


def _leave(where: paths.Paths, left: tuple[JobRow, ...], *, delete_keys: bool) -> Offboarded:
    kept = Path(f"{where.config_file}{KEPT_SUFFIX}")
    where.config_file.replace(kept)
    lift_pause(where.pause_file)
    if delete_keys:
        for key in (where.identity_key, where.settlement_key):
            key.unlink(missing_ok=True)
    return Offboarded(str(kept), delete_keys, len(left))


def _lines(facts: Offboarded, where: paths.Paths) -> tuple[str, ...]:
    lines = [f"offboarded; the settings are kept in {facts.settings_kept_in}"]
    if facts.keys_deleted:
        lines.append(f"the node's keys are deleted; wallets stay in {where.wallets_dir}")
    else:
        lines.append("keys, wallets and the history of jobs stay for the next onboarding")
    if facts.jobs_left:
        lines.append(
            f"{facts.jobs_left} jobs are not settled yet: onboarded again, the worker goes on with"
            " their reports"
        )
    return tuple(lines)
