"""Virtual time: events in order, and greenlets in the place of threads.

Nothing here waits. A task that would block (a wait, a long poll) hands over to the loop and is
resumed at a later moment of virtual time. Which of several things that are due at the same moment
goes first is drawn from the seed.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from greenlet import GreenletExit, getcurrent, greenlet


class Crash(BaseException):
    """The worker's process is gone, as by SIGKILL: nothing of it runs any more."""


class Signal:
    """Something that tasks wait for; whoever waits is resumed once each time it is given."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time
        self._waiting: list[Task] = []

    def give(self) -> None:
        """Resume all who wait now."""
        waiting, self._waiting = self._waiting, []
        for task in waiting:
            self._time.resume(task)

    def wait(self, timeout_s: float) -> None:
        """Block the task that calls until the signal is given, or for so long."""
        task = self._time.current
        self._waiting.append(task)
        self._time.sleep(timeout_s)
        if task in self._waiting:
            self._waiting.remove(task)


class VirtualTime:
    """Seconds since the history began, and what is to happen at which of them."""

    def __init__(self, chance: random.Random) -> None:
        self.now_s = 0.0
        self.chance = chance
        self._due: list[tuple[float, float, int, Callable[[], object]]] = []
        self._count = 0
        self._tasks: dict[greenlet, Task] = {}
        """Those of the present life."""

    @property
    def next_s(self) -> float | None:
        """When the next thing happens; None if nothing is to come."""
        return self._due[0][0] if self._due else None

    def at(self, when_s: float, act: Callable[[], object]) -> None:
        """Have something happen; those of one moment come in an order by chance."""
        self._count += 1
        if when_s < self.now_s:  # noqa: PLR1730 - as in run_next
            when_s = self.now_s
        heapq.heappush(self._due, (when_s, self.chance.random(), self._count, act))

    def after(self, delay_s: float, act: Callable[[], object]) -> None:
        """Have something happen so many seconds from now."""
        self.at(self.now_s + delay_s, act)

    def run_next(self) -> None:
        """Let the next thing happen; raises Crash when a task met one."""
        when_s, _, _, act = heapq.heappop(self._due)
        if when_s > self.now_s:  # noqa: PLR1730 - max() is slow, and this is asked most
            self.now_s = when_s
        act()

    # Tasks: greenlets that belong to one life of the worker.

    def start(self, work: Callable[[], object], delay_s: float) -> Task:
        """Start a task some time from now, and return it."""
        task = Task(_IDLE.pop() if _IDLE else greenlet(_work_on), work)
        self._tasks[task.greenlet] = task
        self.at(self.now_s + delay_s, lambda: self._switch(task, 0))
        return task

    @property
    def in_task(self) -> bool:
        """Whether the caller is a task, which may block."""
        return getcurrent() in self._tasks

    @property
    def current(self) -> Task:
        """The task that calls."""
        return self._tasks[getcurrent()]

    def sleep(self, seconds: float) -> None:
        """Block the task that calls; others go on."""
        task = self.current
        task.pause += 1
        pause = task.pause
        self.at(self.now_s + seconds, lambda: self._switch(task, pause))
        parent = task.greenlet.parent
        assert parent is not None
        parent.switch()

    def resume(self, task: Task) -> None:
        """Wake a sleeping task before its time."""
        if (pause := task.pause) != OVER:
            self.at(self.now_s, lambda: self._switch(task, pause))

    def _switch(self, task: Task, pause: int) -> None:
        """Let a task run to its next pause, or its end, unless that pause is over."""
        if task.pause != pause:
            return
        own, work = task.greenlet, task.work
        own.parent = getcurrent()
        if work is None:
            came = own.switch()
        else:
            task.work = None
            came = own.switch(work)
        if came is DONE:
            task.pause = OVER
            del self._tasks[own]
            _IDLE.append(own)

    def end_life(self) -> None:
        """Drop every task where it stands."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            own, task.pause = task.greenlet, OVER
            if own and task.work is None:
                own.parent = getcurrent()
                own.throw(GreenletExit)
            if own:
                _IDLE.append(own)


class Task:
    """Work under way in a greenlet that is its own until it is over."""

    __slots__ = ("greenlet", "pause", "work")

    def __init__(self, own: greenlet, work: Callable[[], object]) -> None:
        self.greenlet = own
        self.work: Callable[[], object] | None = work
        """What is to be done, until it is begun."""
        self.pause = 0
        """The number of the pause that it makes."""

    @property
    def is_over(self) -> bool:
        """Whether it is done, or its life has ended."""
        return self.pause == OVER


OVER = -1
DONE = object()
"""What a greenlet hands over when its work is done."""
_IDLE: list[greenlet] = []
"""Greenlets whose work is done: to make a new one for each task takes a tenth of all time."""


def _work_on(work: Callable[[], object]) -> None:
    """Do one work after the other; what is dropped makes room for the next."""
    while True:
        with suppress(GreenletExit):
            work()
        parent = getcurrent().parent
        assert parent is not None
        work = parent.switch(DONE)


@contextmanager
def replaced(*changes: tuple[object, str, object]) -> Iterator[None]:
    """Give names of modules or classes other values for a while."""
    before = [(owner, name, vars(owner)[name]) for owner, name, _ in changes]
    for owner, name, value in changes:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in reversed(before):
            setattr(owner, name, value)
