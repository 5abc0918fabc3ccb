"""Live through the history of a seed: everything that is not the seed's is the same each time."""

from __future__ import annotations

import gc
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from nunet_dms.node import (
    checkpoints,
    delivery,
    inbox,
    journal,
    logs,
    pool,
    prepare,
    running,
    snapshot,
    status_row,
    worker,
)
from nunet_dms.node.deps import Deps
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.rows import JobRow
from nunet_dms.node.snapshot import take
from tests.simulation import checks, papers
from tests.simulation.disk import LogDisk, Room, on_this_disk, taken_on_this_disk
from tests.simulation.memory import MemoryFile
from tests.simulation.papers import LEASE_S
from tests.simulation.virtual import replaced
from tests.simulation.world import World

MEMORY_DISK = Path("/dev/shm")  # noqa: S108 - a file system in memory, where there is one


@dataclass(frozen=True)
class History:
    """What came of one seed."""

    seed: int
    story: tuple[str, ...]
    violations: tuple[str, ...]
    crashes: int
    lives: int
    met: frozenset[str]
    """Kinds of fault, and places of crashes."""


class Errors(logging.Handler):
    """Notes what the worker logs of unexpected errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not getattr(error, "is_simulated", False):
            self.found.append(f"{record.getMessage()}: {error!r}")


class Lab:
    """A folder in memory in which histories are lived, one after the other."""

    def __init__(self, folder: Path, errors: Errors) -> None:
        self._folder = folder / "history"
        self._folder.mkdir()
        self._errors = errors
        self._file = MemoryFile()
        self.changes = (
            (prepare, "_write_deadline", _write_deadline),
            *papers.CHANGES,
            *self._file.changes,
            *PACE,
        )
        """What is to be replaced for all histories: module or class, name, value."""

    def live(self, seed: int) -> History:
        """Live through one history."""
        folder = self._folder
        _empty(str(folder))
        self._file.clear()
        self._errors.found.clear()
        world = World(seed, folder)
        write, threads = on_this_disk(world.faults, _write), _threads(world)
        changes = (
            (journal, "Storage", lambda path: Room(path, world.faults)),
            (pool, "threading", threads),
            (logs, "time", SimpleNamespace(monotonic=world.monotonic_s)),
            (logs, "os", LogDisk(world.faults)),
            (checkpoints, "threading", threads),
            (checkpoints, "take", taken_on_this_disk(world.faults, take)),
            (delivery, "write_whole", write),
            (inbox, "write_whole", write),
        )
        with replaced(*changes):
            self._run(world)
        found = History(
            seed,
            tuple(world.story),
            tuple(world.violations),
            world.faults.crashes,
            world.lives,
            frozenset(world.faults.met),
        )
        vars(world).clear()  # all in it knows it: cut these circles, so that its memory is free
        return found

    def _run(self, world: World) -> None:
        try:
            world.run()
        except AssertionError:
            raise
        except Exception as error:  # noqa: BLE001 - the worker's process would end with it
            world.violated(f"the worker ended itself: {error!r}")
        for found in self._errors.found:
            world.violated(f"unexpected: {found}")
        if not world.violations:
            checks.check_end(world)


@contextmanager
def lab() -> Iterator[Lab]:
    """Make a lab, in memory where that can be, and clear it away."""
    parent = MEMORY_DISK if os.access(MEMORY_DISK, os.W_OK) else None
    papers.paper_of.cache_clear()
    try:
        with uncollected(), tempfile.TemporaryDirectory(prefix="nunet-sim-", dir=parent) as folder:
            place = Lab(Path(folder), errors := Errors())
            with _logged_to(errors), replaced(*place.changes):
                yield place
    finally:
        papers.paper_of.cache_clear()


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage, and where the caller does not either, not at the end: see many.py."""
    if not gc.isenabled():
        yield
        return
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


@contextmanager
def _logged_to(errors: Errors) -> Iterator[None]:
    """Let nothing but errors be logged, and to us alone."""
    logger = logging.getLogger("nunet_dms")
    before = logger.level, logger.propagate
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    logger.addHandler(errors)
    try:
        yield
    finally:
        logger.removeHandler(errors)
        logger.level, logger.propagate = before


def _write_deadline(_deps: Deps, _row: JobRow, folder: JobFolder) -> Path:
    """Do what `prepare._write_deadline` does, on a disk from which programs can be run."""
    _put(folder.deadline, b"a program")
    return folder.deadline


def _threads(world: World) -> SimpleNamespace:
    """Return what the pool takes for the module `threading`: its threads are tasks of the world."""

    class Thread:
        def __init__(
            self, target: Callable[..., None], args: tuple[object, ...], **_: object
        ) -> None:
            self._work: Callable[[], None] | None = lambda: target(*args)

        def start(self) -> None:
            latency_s = 0.0 if world.faults.is_calm else world.plan.latency_s
            work, self._work = self._work, None  # it knows us: a circle, which would stay
            assert work is not None
            self._task = world.time.start(work, world.draw(0, latency_s) if latency_s else 0.0)

        def is_alive(self) -> bool:
            return not self._task.is_over

    return SimpleNamespace(Thread=Thread, Event=partial(Flag, world))


class Flag:
    """A `threading.Event` in a process of one thread."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def clear(self) -> None:
        self._is_set = False

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout_s: float) -> None:
        if self._world.time.in_task:
            self._world.time.sleep(timeout_s)
        else:
            self._world.let_pass(timeout_s, self.is_set)


def _write(path: Path, content: bytes) -> None:
    """Write a file whole; `on_this_disk` is what may end in the middle of it."""
    try:
        _put(path, content)
    except FileNotFoundError:
        path.parent.mkdir(parents=True)
        _put(path, content)


def _put(path: Path, content: bytes) -> None:
    """Do what `Path.write_bytes` does, with half of the system calls."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(file, content)
    os.close(file)


def _empty(folder: str) -> None:
    """Remove all that is in a folder, with half of the system calls of `shutil.rmtree`."""
    with os.scandir(folder) as entries:
        for each in entries:
            if each.is_dir(follow_symlinks=False):
                _empty(each.path)
                os.rmdir(each.path)  # noqa: PTH106 - of a text, which costs less
            else:
                os.unlink(each.path)  # noqa: PTH108 - as above


PACE: tuple[tuple[object, str, object], ...] = (
    (worker, "HEARTBEAT_EVERY_S", LEASE_S / 4),
    (worker, "ENGINE_CHECK_EVERY_S", 90.0),
    (status_row, "STATUS_EVERY_S", 120.0),
    (running, "SAMPLE_EVERY_S", 45.0),
    (inbox, "POLL_WAIT_S", 150),
    (worker, "check_oracle", lambda info, *_: info),
    (snapshot, "SETTLED_NS", -1),
)
"""Less of what only shows that a worker lives; what Oracle it trusts has tests of its own. And
files are dated by another clock than the worker's: how long ago one changed cannot be told here."""
