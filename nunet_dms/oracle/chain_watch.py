"""What the clockwork last saw of the chain, so that health never waits for a slow backend."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from nunet_dms.cardano.chain.backend import ChainBackend
from nunet_dms.errors import UnreachableError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChainSeen:
    """The last tip's height, and what is wrong with the chain now; empty if nothing is."""

    height: int = 0
    problem: str = "the chain was not asked yet"


class ChainWatch:
    """Looks at the tip once a turn; any thread may read what was seen."""

    def __init__(self, chain: ChainBackend) -> None:
        self._chain = chain
        self._lock = threading.Lock()
        self._seen = ChainSeen()

    @property
    def seen(self) -> ChainSeen:
        """What the last look saw."""
        with self._lock:
            return self._seen

    def look(self) -> None:
        """Ask for the tip; a chain that does not answer is noted, once in the log."""
        before = self.seen
        try:
            now = ChainSeen(self._chain.tip().height, "")
        except UnreachableError as error:
            now = ChainSeen(before.height, str(error))
        with self._lock:
            self._seen = now
        if bool(before.problem) != bool(now.problem):
            log.warning("chain_%s why=%s", "lost" if now.problem else "found", now.problem)
