"""What blocks runs here, in a few threads; what comes of it is an event for the next step."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from nunet_dms.errors import UnreachableError

HUNG_MAX = 3
"""Threads of one task that were given up and have not come back; then it is not started again."""

log = logging.getLogger(__name__)


class Task(NamedTuple):
    """What a thread was asked to do: which job (empty for the worker itself), and what."""

    job_id: str
    what: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a task: a value, or the error that ended it."""

    task: Task
    value: object = None
    error: Exception | None = None


@dataclass(slots=True, eq=False)
class _Run:
    """One try at a task, in a thread of its own."""

    task: Task
    limit_s: float | None
    began_s: float
    thread: threading.Thread = field(init=False)

    def is_over(self, now_s: float) -> bool:
        return self.limit_s is not None and now_s - self.began_s >= self.limit_s


class Pool:
    """At most one thread for each task; outcomes wait in order until they are collected.

    A task that takes longer than its limit is given up: that is its outcome, and what its thread
    still brings is dropped. Nothing can end a thread from outside; so a task of which HUNG_MAX
    threads hang is not started again before one of them has come back. Threads are daemons and a
    stop does not wait for them: what they do may be repeated, and only the step writes to the
    journal.
    """

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = monotonic_s
        self._outcomes: queue.SimpleQueue[tuple[_Run, Outcome]] = queue.SimpleQueue()
        self._running: dict[Task, _Run] = {}
        self._hung: dict[Task, list[_Run]] = {}
        self.wake = threading.Event()
        """Set when something waits to be looked at."""

    def submit(self, task: Task, work: Callable[[], object], limit_s: float | None = None) -> bool:
        """Start a task in a thread of its own.

        False if the same one is still running, or if too many tries at it hang.
        """
        if self.is_busy(task):
            return False
        run = _Run(task, limit_s, self._now_s())
        run.thread = threading.Thread(
            target=self._work, args=(run, work), name=f"{task.what}:{task.job_id[:8]}", daemon=True
        )
        self._running[task] = run
        run.thread.start()
        return True

    def is_busy(self, task: Task) -> bool:
        """Whether such a task is under way or hangs; its outcome may wait to be collected."""
        return task in self._running or (
            task in self._hung and len(self._hanging(task)) >= HUNG_MAX
        )

    def jobs_doing(self, what: str) -> list[str]:
        """Return the jobs for which such a task is under way."""
        return [task.job_id for task in self._running if task.what == what]

    def collect(self) -> list[Outcome]:
        """Return what has come of tasks since the last call."""
        self.wake.clear()
        found = []
        while not self._outcomes.empty():
            run, outcome = self._outcomes.get()
            if self._running.get(run.task) is run:  # else it was given up
                del self._running[run.task]
                found.append(outcome)
        now_s = self._now_s()
        for run in [run for run in self._running.values() if run.is_over(now_s)]:
            del self._running[run.task]
            found.append(self._given_up(run))
        return found

    def _given_up(self, run: _Run) -> Outcome:
        for task in list(self._hung):
            self._hanging(task)  # forget those that came back
        hung = [*self._hanging(run.task), run]
        self._hung[run.task] = hung
        wait = ", not tried again before one of them ends" if len(hung) >= HUNG_MAX else ""
        what, limit_s = run.task.what, run.limit_s
        log.warning(
            "task_hangs task=%s job=%s threads=%d%s", what, run.task.job_id, len(hung), wait
        )
        return Outcome(
            run.task, error=UnreachableError(f"cannot {what}: no answer within {limit_s:.0f} s")
        )

    def _hanging(self, task: Task) -> list[_Run]:
        """Return the given-up runs of a task that are still there; forget the others."""
        alive = [run for run in self._hung.pop(task, ()) if run.thread.is_alive()]
        if alive:
            self._hung[task] = alive
        return alive

    def _work(self, run: _Run, work: Callable[[], object]) -> None:
        try:
            value = work()
        except Exception as error:  # noqa: BLE001 - handed to the step, which knows what to do
            # Never in a variable: the error knows this frame, and both would stay.
            self._outcomes.put((run, Outcome(run.task, error=error)))
        else:
            self._outcomes.put((run, Outcome(run.task, value=value)))
        self.wake.set()
