"""The production worker with crash points put around it from outside: nothing in it knows of them.

    python armed_worker.py  <--one Arms a line, JSON--  the sweep
                            --one process id a line-->

Each line forks one worker that has everything imported already: a real process, which dies by a
real SIGKILL. A point is named by who passes it (the pool's task, or the step), what it does, and
whether before or after; names come from the code under test, never from a list.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import os
import shutil
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from nunet_dms import wholefile
from nunet_dms.node import backoff, inbox, poison, worker
from nunet_dms.node import main as node_main
from nunet_dms.node.engine.docker import DockerEngine
from nunet_dms.node.engine.types import Engine
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.journal import Journal
from nunet_dms.node.oracle_client import OracleClient
from nunet_dms.node.states import State
from tests.sweep import mutants

HURRIED_S = 2.0
"""Longest wait of a hurried worker: for an answer, or between two tries."""
LIVES_WELL_S = 5.0
"""In place of two minutes, for which a report would wait after two deaths in its presence."""
STEP = "step"
"""Who passes a point that no task of the pool passes."""


@dataclass(frozen=True)
class Arms:
    """How one life of a worker is to go."""

    home: str
    passed: str
    """The file that gets a line for each point passed."""
    log: str
    point: str = ""
    """Where it dies; empty: nowhere."""
    pass_number: int = 1
    mutant: str = ""
    hurried: bool = False
    """Whether it waits for seconds where it would wait for minutes: for a faulty network."""


class Points:
    """Counts the points passed, writes them down, and kills at the one that is armed."""

    def __init__(self, arms: Arms) -> None:
        self._arms = arms
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._file = os.open(arms.passed, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def say(self, line: str) -> None:
        """Write a line that outlives us."""
        os.write(self._file, f"{line}\n".encode())

    def pass_by(self, what: str) -> None:
        """Pass a point; where it is the armed one, die."""
        who = threading.current_thread().name
        name = f"{STEP if who == 'MainThread' else who.partition(':')[0]} {what}"
        with self._lock:
            self._counts[name] += 1
            self.say(name)
            if (name, self._counts[name]) == (self._arms.point, self._arms.pass_number):
                self.say("KILLED")
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method with a point before it and one after it, and at each piece it yields."""

        @functools.wraps(method)
        def armed(*args: Any, **kwargs: Any) -> Any:
            state = next((f"({arg.value})" for arg in args if isinstance(arg, State)), "")
            self.pass_by(f"{name}{state} before")
            value = method(*args, **kwargs)
            if inspect.isgenerator(value):
                return self._each(f"{name} yields", value)
            self.pass_by(f"{name}{state} after")
            return value

        return armed

    def _each(self, name: str, values: Iterator[Any]) -> Iterator[Any]:
        for value in values:
            self.pass_by(name)
            yield value


def arm(points: Points) -> None:
    """Put points around everything by which the worker touches what outlives it."""
    seams: tuple[tuple[type, tuple[str, ...]], ...] = (
        (Journal, tuple(vars(Journal))),
        (DockerEngine, tuple(vars(Engine))),
        (OracleClient, tuple(vars(OracleClient))),
        (JobFolder, tuple(vars(JobFolder))),
    )
    for kind, names in seams:
        for name in names:
            method = vars(kind).get(name)
            if not name.startswith("_") and inspect.isfunction(method):
                setattr(kind, name, points.around(f"{kind.__name__}.{name}", method))
    _arm_functions(points)
    _arm_files(points)
    _watch_reports(points)


def _arm_functions(points: Points) -> None:
    """Put points around `write_whole` wherever it was imported to."""
    armed = points.around("write_whole", wholefile.write_whole)
    for name, module in list(sys.modules.items()):
        if name.startswith("nunet_dms.") and hasattr(module, "write_whole"):
            module.write_whole = armed


def _arm_files(points: Points) -> None:
    """Put points around each step that the worker's own code takes on the file system."""
    calls: tuple[tuple[Any, str], ...] = (
        (os, "fsync"), (Path, "replace"), (Path, "rename"), (Path, "unlink"), (Path, "mkdir"),
        (Path, "touch"), (shutil, "rmtree"),
    )  # fmt: skip
    for place, name in calls:
        setattr(place, name, _in_our_code(points, name, getattr(place, name)))


def _in_our_code(points: Points, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def armed(*args: Any, **kwargs: Any) -> Any:
        frame = sys._getframe(1)
        module = str(frame.f_globals.get("__name__", ""))
        if not module.startswith("nunet_dms."):
            return call(*args, **kwargs)
        where = f"{name} in {module.rpartition('.')[2]}.{frame.f_code.co_name}"
        points.pass_by(f"{where} before")
        value = call(*args, **kwargs)
        points.pass_by(f"{where} after")
        return value

    return armed


def _watch_reports(points: Points) -> None:
    """Write down the hash of every report that is sent: a job must never have two."""
    send = OracleClient.report

    def report(self: OracleClient, job_id: str, body: bytes) -> Any:
        points.say(f"REPORT {job_id} {hashlib.sha256(body).hexdigest()}")
        return send(self, job_id, body)

    OracleClient.report = report  # type: ignore[method-assign]


def hurry() -> None:
    """Shorten what the worker waits for; none of it decides what it does."""
    inbox.POLL_WAIT_S = 1
    worker.HEARTBEAT_EVERY_S = 1.0
    backoff.MAX_S = HURRIED_S
    ask = requests.Session.request

    def request(self: requests.Session, *args: Any, timeout: Any = None, **kw: Any) -> Any:
        if isinstance(timeout, tuple):  # ours; the engine's client gives a number
            timeout = (timeout[0], min(timeout[1], HURRIED_S))
        return ask(self, *args, timeout=timeout, **kw)

    requests.Session.request = request  # type: ignore[assignment]


def live(arms: Arms) -> None:
    """Be the worker until its end."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    out = os.open(arms.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ["NUNET_HOME"] = arms.home
    sys.argv = ["nunet-dms"]
    poison.POISON_LIFE_S = LIVES_WELL_S
    points = Points(arms)
    if arms.hurried:
        hurry()
    if arms.mutant:
        mutants.MUTANTS[arms.mutant](points.pass_by)
    arm(points)
    os._exit(node_main.main())


def serve() -> None:
    """Fork a worker for each line that comes in; children are reaped by the kernel."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                live(Arms(**json.loads(line)))
            finally:
                traceback.print_exc()
                os._exit(1)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
