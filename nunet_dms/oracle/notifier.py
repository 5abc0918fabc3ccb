"""Wake-ups for long polls: whoever waits for a name is woken when something happens to it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Notifier:
    """Waiters are coroutines of one loop; any thread may wake them. See `waiting`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiters: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._closed = False

    def start(self) -> None:
        """Take the running loop; called by the server as it starts."""
        self._loop = asyncio.get_running_loop()

    def wake(self, *names: str) -> None:
        """Wake whoever waits for one of these names; harmless without a server."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, names)

    def close(self) -> None:
        """Wake everybody and let nobody wait again, so that the server can stop."""
        self._closed = True
        self._wake(tuple(self._waiters))

    @property
    def waiters(self) -> int:
        """How many wait."""
        return sum(len(events) for events in self._waiters.values())

    @contextmanager
    def waiting(self, name: str) -> Iterator[asyncio.Event]:
        """Give an event that is set at the next wake-up of this name.

        Take it *before* looking into the database: what happens in between is not missed.
        """
        event = asyncio.Event()
        if self._closed:
            event.set()
        self._waiters[name].add(event)
        try:
            yield event
        finally:
            self._waiters[name].discard(event)
            if not self._waiters[name]:
                del self._waiters[name]

    @property
    def closed(self) -> bool:
        """Whether the server is stopping."""
        return self._closed

    def _wake(self, names: tuple[str, ...]) -> None:
        for name in names:
            for event in self._waiters.get(name, ()):
                event.set()


async def wait_for(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event at most so long; returns whether it came."""
    if seconds <= 0:
        return event.is_set()
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except asyncio.TimeoutError:
        return False
    return True
