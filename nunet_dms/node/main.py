"""`nunet-dms`: the worker's process, under its lock, until it is asked to stop."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys

from nunet_dms import __version__
from nunet_dms.config import load
from nunet_dms.errors import NunetError
from nunet_dms.node.clock import Clock
from nunet_dms.node.engine.docker import DockerEngine
from nunet_dms.node.lock import WorkerLock
from nunet_dms.node.pool import Pool
from nunet_dms.node.worker import Worker, compose
from nunet_dms.paths import resolve

log = logging.getLogger(__name__)

STEP_EVERY_S = 0.5
"""Longest sleep between two steps while there are jobs; an event wakes it at once."""
IDLE_STEP_EVERY_S = 3.0
"""The same without jobs: news still comes at once, by the long poll."""


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
    """Hold the lock, build the worker, turn it until SIGTERM or SIGINT."""
    paths = resolve()
    config = load(paths.config_file)
    lock = WorkerLock(paths.lock_file)
    engine = DockerEngine()
    worker, pool = compose(paths, config, engine, Clock())
    stopping: list[int] = []

    def ask_to_stop(number: int, _frame: object) -> None:
        stopping.append(number)
        pool.wake.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    log.info("worker_started version=%s pid=%d", __version__, os.getpid())
    turn(worker, pool, stopping)
    worker.drain()
    engine.close()
    lock.release()
    return 0


def turn(worker: Worker, pool: Pool, stopping: list[int]) -> None:
    """Step until asked to stop; between steps, sleep until something happens."""
    while not stopping:
        worker.step()
        pool.wake.wait(STEP_EVERY_S if worker.has_jobs else IDLE_STEP_EVERY_S)
