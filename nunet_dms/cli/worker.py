"""`nunet worker`: start, stop or become the process that runs jobs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import typer

from nunet_dms import config, paths
from nunet_dms.cli import render, set_aside
from nunet_dms.cli.status import judge, look
from nunet_dms.errors import DegradedError, NunetError, UsageError
from nunet_dms.node.lock import holder
from nunet_dms.node.rows import OK, WorkerRow

PROGRAM = "nunet-dms"
START_WAIT_S = 20.0
"""From the start of the process to its word that it is ready."""
STOP_WAIT_S = 30.0
"""From SIGTERM to a free lock: what is under way is written down first."""
LOOK_EVERY_S = 0.1
TAIL_LINES = 15
"""Of the worker's log, shown when it ends at once."""
TAIL_MAX_BYTES = 16 * 1024
LOG_MAX_BYTES = 10 * 1024 * 1024
"""Of the worker's log at a start: a larger one becomes `worker.log.1`, in place of the last."""
DETACHED_UMASK = 0o077
KEEP_RUNNING = "running jobs go on in their containers; the next start takes them up again"

app = typer.Typer(no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class Started:
    """The facts of `nunet worker start --json`, schema nunet.worker.start/1."""

    pid: int
    already_running: bool
    oracle_state: str
    engine_state: str
    log: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The facts of `nunet worker stop --json`, schema nunet.worker.stop/1."""

    pid: int | None
    """None if no worker was running."""
    jobs_running: int


@dataclass(frozen=True, slots=True)
class Restarted:
    """The facts of `nunet worker restart --json`, schema nunet.worker.restart/1."""

    former_pid: int | None
    """None if no worker was running."""
    pid: int
    version: str
    """Of the new worker: another one than before where the package was upgraded."""
    jobs: int
    """Jobs in hand that it has taken up."""
    oracle_state: str
    engine_state: str
    log: str


@app.command()
def start(as_json: bool = typer.Option(False, "--json", help="One line of JSON.")) -> None:
    """Start the worker in the background and wait until it is ready."""
    where = paths.resolve()
    config.load(where.config_file)
    started = start_worker(where)
    render.show(render.Shown("nunet.worker.start/1", started, started_lines(started)), as_json)


@app.command()
def stop(
    timeout_s: float = typer.Option(STOP_WAIT_S, "--timeout", min=0, help="Seconds to wait."),
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Stop the worker; jobs keep running in their containers until it is started again."""
    stopped = stop_worker(paths.resolve(), timeout_s)
    if stopped.pid is None:
        lines: tuple[str, ...] = ("the worker is not running",)
    else:
        lines = (f"worker stopped (process {stopped.pid})",)
        if stopped.jobs_running:
            lines += (f"{stopped.jobs_running} {KEEP_RUNNING}",)
    render.show(render.Shown("nunet.worker.stop/1", stopped, lines), as_json)


@app.command()
def restart(
    timeout_s: float = typer.Option(STOP_WAIT_S, "--timeout", min=0, help="Seconds to wait."),
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Replace the worker by a new one, as after an upgrade; jobs run on and are taken up.

    Returns when the new worker has the lock, has looked after its containers, and has asked the
    Oracle. Example: nunet worker restart
    """
    where = paths.resolve()
    config.load(where.config_file)  # what could not start again is not stopped
    find_program()
    stopped = stop_worker(where, timeout_s)
    started = start_worker(where)
    seen = look(where)
    facts = Restarted(
        former_pid=stopped.pid,
        pid=started.pid,
        version=seen.row.version if seen.row else "",
        jobs=seen.running + seen.coming,
        oracle_state=started.oracle_state,
        engine_state=started.engine_state,
        log=started.log,
    )
    lines = started_lines(started)
    if facts.jobs:
        lines += (f"{facts.jobs} jobs in hand were taken up",)
    render.show(render.Shown("nunet.worker.restart/1", facts, lines), as_json)


@app.command()
def run() -> None:
    """Become the worker: in the foreground, until Ctrl-C or SIGTERM."""
    where = paths.resolve()
    config.load(where.config_file)
    program = find_program()
    os.environ.update(_environment(where))
    os.execv(program, [program])  # noqa: S606 - no shell is what we want


app.command(name="set-aside")(set_aside.set_journal_aside)


def start_worker(where: paths.Paths, wait_s: float = START_WAIT_S) -> Started:
    """Start the worker detached, unless one runs already, and return when it is ready.

    Raises NunetError with the end of its log if it ends at once, and DegradedError if it is not
    ready after `wait_s`.
    """
    if (pid := holder(where.lock_file)) is not None:
        return _started(where, pid, look(where).row, already=True)
    written_before = _log_size(where)
    process = _spawn(find_program(), where)
    ready: WorkerRow | None = None

    def is_settled() -> bool:
        nonlocal ready
        row = look(where).row
        ready = row if row is not None and row.ready else None
        return ready is not None or process.poll() is not None

    _wait_for(is_settled, wait_s)
    if ready is not None:
        return _started(where, ready.pid, ready, already=ready.pid != process.pid)
    if process.poll() is None:
        raise DegradedError(
            f"the worker (process {process.pid}) runs but is not ready after {wait_s:g} s: "
            + judge(look(where), time.time()).reason,
            hint=f"look into {where.worker_log}, or type: nunet status",
        )
    if (pid := holder(where.lock_file)) is not None:  # another `worker start` was faster
        return _started(where, pid, look(where).row, already=True)
    raise NunetError(
        f"cannot start the worker: it ended with code {process.returncode};"
        f" the end of {where.worker_log}:\n{log_tail(where.worker_log, written_before)}"
    )


def stop_worker(where: paths.Paths, timeout_s: float = STOP_WAIT_S) -> Stopped:
    """Ask the worker to end, and return when its lock is free.

    Raises NunetError if it is not after `timeout_s`, or if the worker belongs to another user.
    """
    pid = holder(where.lock_file)
    if pid is None:
        return Stopped(None, 0)
    jobs_running = look(where).running
    if pid == 0:
        raise NunetError(
            "cannot stop the worker: it is just starting", hint="try again in a second"
        )
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass  # it ended by itself just now
    except PermissionError:
        raise UsageError(
            f"cannot stop the worker: process {pid} belongs to another user", hint="use sudo"
        ) from None
    if not _wait_for(lambda: holder(where.lock_file) is None, timeout_s):
        raise NunetError(
            f"cannot stop the worker: process {pid} still runs after {timeout_s:g} s",
            hint=f"wait, or type: kill -9 {pid} ({KEEP_RUNNING})",
        )
    return Stopped(pid, jobs_running)


def find_program() -> str:
    """Return the path of `nunet-dms`: this environment's, else the first on the PATH."""
    beside = Path(sys.prefix, "bin", PROGRAM)
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(PROGRAM)
    if found is None:
        raise UsageError(
            f"cannot find the program {PROGRAM}: it is neither {beside} nor on the PATH",
            hint="install nunet-dms again",
        )
    return found


def started_lines(started: Started) -> tuple[str, ...]:
    """Return a start in words, with what is not well yet."""
    again = "already runs" if started.already_running else "started"
    states = (("oracle", started.oracle_state), ("engine", started.engine_state))
    return (
        f"worker {again} (process {started.pid}), log in {started.log}",
        *(f"{name}: {state}" for name, state in states if state != OK),
    )


def log_tail(path: Path, since: int = 0) -> str:
    """Return the last lines of a text file from a byte on; nothing if there is none."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            begins = since if since <= size else 0  # else it was begun anew
            file.seek(max(begins, size - TAIL_MAX_BYTES))
            text = file.read(TAIL_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-TAIL_LINES:])


def _started(where: paths.Paths, pid: int, row: WorkerRow | None, *, already: bool) -> Started:
    return Started(
        pid=pid,
        already_running=already,
        oracle_state=row.oracle_state if row else "unknown",
        engine_state=row.engine_state if row else "unknown",
        log=str(where.worker_log),
    )


def _spawn(program: str, where: paths.Paths) -> subprocess.Popen[bytes]:
    """Start the worker in a session of its own, so that it outlives this terminal."""
    try:
        where.worker_log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if where.worker_log.exists() and where.worker_log.stat().st_size > LOG_MAX_BYTES:
            where.worker_log.replace(where.worker_log.with_suffix(".log.1"))
        log = os.open(where.worker_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise NunetError(f"cannot write {where.worker_log}: {error.strerror}") from error
    try:
        return subprocess.Popen(
            [program],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_environment(where),
            start_new_session=True,
            umask=DETACHED_UMASK,
        )
    except OSError as error:
        raise NunetError(f"cannot start {program}: {error.strerror}") from error
    finally:
        os.close(log)


def _log_size(where: paths.Paths) -> int:
    return where.worker_log.stat().st_size if where.worker_log.exists() else 0


def _environment(where: paths.Paths) -> dict[str, str]:
    """Return our environment with an absolute NUNET_HOME: the worker's own folder is `/`."""
    environment = dict(os.environ)
    if environment.get(paths.HOME_VARIABLE):
        environment[paths.HOME_VARIABLE] = str(where.config_dir)
    return environment


def _wait_for(condition: Callable[[], bool], wait_s: float) -> bool:
    """Look again and again until the condition holds or the time is over; say whether it does."""
    pause = threading.Event()  # never set
    end_s = time.monotonic() + wait_s
    while not condition():
        if time.monotonic() >= end_s:
            return False
        pause.wait(LOOK_EVERY_S)
    return True
