"""`nunet-dms`: the worker's process, under its lock, until it is asked to stop."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from nunet_dms import __version__
from nunet_dms.config import Config, load, loads
from nunet_dms.errors import NunetError
from nunet_dms.node.clock import Clock
from nunet_dms.node.engine.docker import DockerEngine
from nunet_dms.node.lock import WorkerLock
from nunet_dms.node.pool import Pool
from nunet_dms.node.settings import SettingsWatch
from nunet_dms.node.worker import Worker, compose
from nunet_dms.paths import resolve

log = logging.getLogger(__name__)

STEP_EVERY_S = 0.5
"""Longest sleep between two steps while there are jobs; an event wakes it at once."""
IDLE_STEP_EVERY_S = 3.0
"""The same without jobs: news still comes at once, by the long poll."""
SETTINGS_VARIABLE = b"NUNET_SETTINGS"
"""The settings with which a worker starts again: the file may be another by then."""


def main() -> int:
    """Run the worker; returns the exit code of the error that ended it, 0 after a drain."""
    parser = argparse.ArgumentParser(
        prog="nunet-dms", description="The NuNet worker. Started by: nunet worker start"
    )
    parser.add_argument("--version", action="version", version=f"nunet-dms {__version__}")
    parser.parse_args()
    os.umask(0o077)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    try:
        return run()
    except NunetError as error:
        sys.stderr.write(f"nunet-dms: {error}\n{error.hint}\n" if error.hint else f"{error}\n")
        return int(error.exit_code)


def run() -> int:
    """Hold the lock, build the worker, turn it until SIGTERM or SIGINT.

    When the settings change, start again with them: same process, same lock, and every thread and
    object of the old life is gone. Jobs run on in their containers and are adopted.
    """
    paths = resolve()
    config = _settings(paths.config_file)
    lock = WorkerLock(paths.lock_file)
    engine = DockerEngine()
    worker, pool = compose(paths, config, engine, Clock())
    settings = SettingsWatch(paths.config_file, config, paths.journal)
    stopping: list[int] = []

    def ask_to_stop(number: int, _frame: object) -> None:
        stopping.append(number)
        pool.wake.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    log.info("worker_started version=%s pid=%d", __version__, os.getpid())
    turn(worker, pool, settings, stopping)
    worker.drain()
    engine.close()
    # From here on a signal simply ends this process: until the next life listens, none is lost.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if not stopping:
        _start_again(lock, settings.changed_text)
    lock.release()
    return 0


def turn(worker: Worker, pool: Pool, settings: SettingsWatch, stopping: list[int]) -> None:
    """Step until asked to stop or the settings change; between steps, sleep till news comes."""
    while not (stopping or settings.look()):
        worker.config_problem = settings.problem
        worker.step()
        is_busy = worker.has_jobs or settings.is_unsettled
        pool.wake.wait(STEP_EVERY_S if is_busy else IDLE_STEP_EVERY_S)


def _settings(file: Path) -> Config:
    """Return the settings that this process's former life handed on, else what is in the file."""
    text = os.environb.pop(SETTINGS_VARIABLE, b"").decode()
    return loads(text, f"{file} as it was") if text else load(file)


def _start_again(lock: WorkerLock, settings: str) -> NoReturn:
    """Become the same program anew, and keep the lock; raises NunetError if that cannot be."""
    lock.hand_on()
    os.environb[SETTINGS_VARIABLE] = settings.encode()
    try:
        os.execv(sys.argv[0], sys.argv)  # noqa: S606 - no shell is what we want
    except OSError as error:
        raise NunetError(
            f"cannot start again with the new settings: {sys.argv[0]}: {error.strerror}",
            hint="type: nunet worker start",
        ) from error
