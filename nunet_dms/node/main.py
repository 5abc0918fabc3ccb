"""`nunet-dms`: the worker's process, under its lock, until it is asked to stop."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import NoReturn

from nunet_dms import __version__
from nunet_dms.config import Config, loads
from nunet_dms.config_file import read_text
from nunet_dms.errors import NunetError
from nunet_dms.node.clock import Clock
from nunet_dms.node.composition import compose
from nunet_dms.node.engine.docker import DockerEngine
from nunet_dms.node.journal_trouble import JournalError, JournalUnusableError
from nunet_dms.node.lock import WorkerLock
from nunet_dms.node.pool import Pool
from nunet_dms.node.settings import SettingsWatch
from nunet_dms.node.worker import Worker
from nunet_dms.paths import Paths, resolve
from nunet_dms.wholefile import failing_to

log = logging.getLogger(__name__)

STEP_EVERY_S = 0.5
"""Longest sleep between two steps while there are jobs; an event wakes it at once."""
IDLE_STEP_EVERY_S = 3.0
"""The same without jobs: news still comes at once, by the long poll."""
SETTINGS_VARIABLE = b"NUNET_SETTINGS"
"""The settings with which a worker starts again: the file may be another by then."""
FAULTS_VARIABLE = b"NUNET_FAULTS"
"""How many lives of this process in a row were ended by the journal's disk."""
FAULT_WAIT_S = 1.0
FAULT_WAIT_MAX_S = 60.0
"""Before it starts again after such an end, doubled each time."""
FAULT_OVER_S = 600.0
"""A life that was longer than this counts as one that the disk let be."""


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
        words = f"nunet-dms: {error}\n{error.hint}\n" if error.hint else f"{error}\n"
        with suppress(OSError):  # a log on a full disk must not change the exit code
            sys.stderr.write(words)
        return int(error.exit_code)


def run() -> int:
    """Hold the lock, build the worker, turn it until SIGTERM or SIGINT.

    When the settings change, or the journal's disk fails, start again: same process, same lock,
    and every thread and object of the old life is gone. Jobs run on in their containers and are
    adopted.
    """
    paths = resolve()
    text, faults = _handed_on()
    text = text or read_text(paths.config_file)
    config = loads(text, str(paths.config_file))
    with failing_to("lock", paths.lock_file):
        lock = WorkerLock(paths.lock_file)
    began_s = time.monotonic()
    life = Life(paths, config)
    fault = life.live(starts_again=faults > 0)
    # From here on a signal simply ends this process: until the next life listens, none is lost.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if not life.stopping and fault is None:
        _start_again(lock, life.settings.changed_text, 0)
    if not life.stopping:
        faults = 0 if time.monotonic() - began_s > FAULT_OVER_S else faults
        wait_s = min(FAULT_WAIT_S * float(1 << min(faults, 10)), FAULT_WAIT_MAX_S)
        log.error("journal_failed starts_again_s=%g: %s", wait_s, fault)
        threading.Event().wait(wait_s)
        _start_again(lock, text, faults + 1)
    lock.release()
    return 0


class Life:
    """One life of the worker in this process."""

    def __init__(self, paths: Paths, config: Config) -> None:
        self.settings = SettingsWatch(paths.config_file, config, paths.journal)
        self.stopping: list[int] = []
        """The signals that asked it to stop."""
        self._paths = paths
        self._config = config
        self._engine = DockerEngine()

    def live(self, *, starts_again: bool) -> JournalError | None:
        """Turn the worker until it is asked to stop, its settings change, or its disk fails.

        Returns why, in the last case; `starts_again` says that the last life ended so. Raises
        JournalError where the first life does not even begin.
        """
        begun = starts_again
        try:
            worker, pool = compose(
                self._paths, self._config, self._engine, Clock(), starts_again=starts_again
            )
            begun = True
            self._listen(pool)
            log.info("worker_started version=%s pid=%d", __version__, os.getpid())
            turn(worker, pool, self.settings, self.stopping)
            worker.drain(lambda: len(self.stopping) > 1)  # a second signal is a wish for haste
        except JournalUnusableError:
            raise
        except JournalError as error:
            if not begun:
                raise
            return error
        self._engine.close()
        return None

    def _listen(self, pool: Pool) -> None:
        def ask_to_stop(number: int, _frame: object) -> None:
            self.stopping.append(number)
            pool.wake.set()

        signal.signal(signal.SIGTERM, ask_to_stop)
        signal.signal(signal.SIGINT, ask_to_stop)


def turn(worker: Worker, pool: Pool, settings: SettingsWatch, stopping: list[int]) -> None:
    """Step until asked to stop or the settings change; between steps, sleep till news comes."""
    while not (stopping or settings.look()):
        worker.config_problem = settings.problem
        worker.step()
        is_busy = worker.has_jobs or settings.is_unsettled
        pool.wake.wait(STEP_EVERY_S if is_busy else IDLE_STEP_EVERY_S)


def _handed_on() -> tuple[str, int]:
    """Return the settings and the faults that this process's former life handed on, if any."""
    text = os.environb.pop(SETTINGS_VARIABLE, b"").decode()
    faults = os.environb.pop(FAULTS_VARIABLE, b"")
    return text, int(faults) if faults.isdigit() else 0


def _start_again(lock: WorkerLock, settings: str, faults: int) -> NoReturn:
    """Become the same program anew, and keep the lock; raises NunetError if that cannot be."""
    lock.hand_on()
    os.environb[SETTINGS_VARIABLE] = settings.encode()
    os.environb[FAULTS_VARIABLE] = b"%d" % faults
    try:
        os.execv(sys.argv[0], sys.argv)  # noqa: S606 - no shell is what we want
    except OSError as error:
        raise NunetError(
            f"cannot start again: {sys.argv[0]}: {error.strerror}",
            hint="type: nunet worker start",
        ) from error
