"""A container engine that fails on demand, before and after each effect.

It answers as the real one does where tests/docker/test_stand_in_engine.py compares the two. What
really happened in a container (`Container.truth`) is kept apart from what the engine says of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nunet_dms.errors import EngineUnreachableError
from nunet_dms.node.engine.types import (
    ContainerSpec,
    Facts,
    Failure,
    History,
    Labelled,
    LogRecord,
    Owned,
    PullProgress,
    StoredImage,
    Usage,
)

if TYPE_CHECKING:
    from tests.simulation.daemon import Daemon
    from tests.simulation.world import World

T = TypeVar("T")


class StandInEngine:
    """The `Engine` of a simulated node: calls to its daemon."""

    def __init__(self, world: World, daemon: Daemon) -> None:
        self._world = world
        self._daemon = daemon

    # What the worker may ask.

    def ping(self) -> None:
        self._call("ping", lambda: None)

    def find_image(self, reference: str) -> str | None:
        if self._daemon.programs[reference].poison == "find_image":
            self._world.faults.crash("of poison at find_image")
        return self._call("find_image", lambda: self._daemon.image_of(reference))

    def pull_image(self, reference: str, heard: Callable[[PullProgress], None]) -> str | Failure:
        heard(PullProgress(0, 0))
        return self._call("pull_image", lambda: self._daemon.pull(reference))

    def create(self, spec: ContainerSpec) -> str | Failure:
        return self._call("create", lambda: self._daemon.create(spec))

    def start(self, container_id: str) -> Failure | None:
        return self._call("start", lambda: self._daemon.start(container_id))

    def facts(self, name: str) -> Facts | None:
        return self._call("facts", lambda: self._daemon.facts(name))

    def wait(self, name: str, timeout_s: int) -> bool:
        """Two calls, as at the real one: wait, then look."""
        until_s = self._world.now_s + timeout_s
        self._call("wait", lambda: None)
        while (found := self._daemon.find(name)) is not None and found.status == "running":
            if self._world.now_s >= until_s:
                return False
            self._daemon.news.wait(until_s - self._world.now_s)
            self._check_here()
        facts = self.facts(name)
        return facts is None or not (facts.is_alive or facts.status == "created")

    def stop(self, name: str, grace_s: int) -> None:
        self._call("stop", lambda: self._daemon.terminate(name, grace_s, "stop"))
        while (found := self._daemon.find(name)) is not None and found.status == "running":
            self._daemon.news.wait(grace_s)
            self._check_here()

    def remove(self, name: str) -> None:
        self._call("remove", lambda: self._daemon.take_away(name, "remove"))

    def records(self, name: str, since_ns: int) -> Iterator[LogRecord]:
        self._call("records", lambda: None)
        return self._follow(name, since_ns)

    def usage(self, name: str) -> Usage | None:
        self._poisoned(name, "usage")
        return self._call("usage", lambda: self._daemon.usage(name))

    def owned(self, node_id: str) -> tuple[Owned, ...]:
        return self._call("owned", lambda: self._daemon.owned(node_id))

    def history(self, name: str) -> History:
        self._poisoned(name, "history")
        return self._call("history", lambda: self._daemon.history(name))

    def keeps_running(self) -> bool:
        return self._call("keeps_running", lambda: self._daemon.live_restore)

    def labelled(self, _node_id: str) -> tuple[Labelled, ...]:
        self._check_here()
        return ()

    def remove_labelled(self, _thing: Labelled) -> bool:
        return self._call("remove_labelled", lambda: False)

    def images(self) -> tuple[StoredImage, ...]:
        self._check_here()
        return tuple(map(self._daemon.stored, sorted(self._daemon.images_here)))

    def remove_image(self, image_id: str) -> bool:
        return self._call("remove_image", lambda: self._daemon.remove_image(image_id))

    def data_root(self) -> Path:
        """On another machine: how full its disk is nobody here can tell."""
        self._check_here()
        return Path("/nowhere")

    # How it does it.

    def _call(self, what: str, effect: Callable[[], T]) -> T:
        return self._world.faults.call(f"engine {what}", self._check_here, effect, _silent)

    def _poisoned(self, name: str, what: str) -> None:
        """Some jobs kill the worker whenever it does a certain thing with them."""
        found = self._daemon.find(name)
        if found is not None and found.program.poison == what:
            self._world.faults.crash(f"of poison at {what}")

    def _check_here(self) -> None:
        if self._daemon.is_away:
            raise EngineUnreachableError("cannot use Docker: connection refused")

    def _follow(self, name: str, since_ns: int) -> Iterator[LogRecord]:
        """Yield by number; where records were thrown away that this reader lacks, one says so."""
        found, number, is_wanted = self._daemon.find(name), 0, False
        while found is not None:
            self._check_here()
            while number < found.thrown_away + len(found.records):
                has_gap = number < found.thrown_away
                number = max(number, found.thrown_away)
                record = found.records[number - found.thrown_away]
                number += 1
                is_wanted = is_wanted or record.at_ns >= since_ns
                if is_wanted:
                    yield replace(record, after_gap=has_gap)
            if found.status != "running" or self._daemon.find(name) is not found:
                return
            self._daemon.news.wait(3600.0)


def _silent(what: str) -> EngineUnreachableError:
    return EngineUnreachableError(f"cannot use Docker: {what}: connection reset")
