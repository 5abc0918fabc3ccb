"""What blocks runs here, in a few threads; what comes of it is an event for the next step."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Task:
    """What a thread was asked to do: which job (empty for the worker itself), and what."""

    job_id: str
    what: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a task: a value, or the error that ended it."""

    task: Task
    value: object = None
    error: Exception | None = None


class Pool:
    """At most one thread for each task; outcomes wait in order until they are collected.

    Threads are daemons and a stop does not wait for them: what they do may be repeated, and only
    the step writes to the journal.
    """

    def __init__(self) -> None:
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._running: dict[Task, threading.Thread] = {}
        self.wake = threading.Event()
        """Set when something waits to be looked at."""

    def submit(self, task: Task, work: Callable[[], object]) -> bool:
        """Start a task in a thread of its own; False if the same one is still running."""
        if task in self._running:
            return False
        thread = threading.Thread(
            target=self._run, args=(task, work), name=f"{task.what}:{task.job_id[:8]}", daemon=True
        )
        self._running[task] = thread
        thread.start()
        return True

    def is_busy(self, task: Task) -> bool:
        """Whether such a task is under way; its outcome may still wait to be collected."""
        return task in self._running

    def jobs_doing(self, what: str) -> list[str]:
        """Return the jobs for which such a task is under way."""
        return [task.job_id for task in self._running if task.what == what]

    def collect(self) -> list[Outcome]:
        """Return what has come of tasks since the last call."""
        self.wake.clear()
        found = []
        while not self._outcomes.empty():
            outcome = self._outcomes.get()
            del self._running[outcome.task]
            found.append(outcome)
        return found

    def _run(self, task: Task, work: Callable[[], object]) -> None:
        try:
            outcome = Outcome(task, value=work())
        except Exception as error:  # noqa: BLE001 - handed to the step, which knows what to do
            outcome = Outcome(task, error=error)
        self._outcomes.put(outcome)
        self.wake.set()
