"""Where a reader stands in a container's output, found again in whatever the engine still has.

An engine numbers no records, and their times alone tell no place: the parts of a long line all
have the time of its beginning, so times go back where another stream wrote in between, and a
clock may be set back. A place is therefore what was read last: the last few runs of records that
are alike, of each its time, its content's digest and how many there were.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, replace

from nunet_dms.node.engine.types import LogRecord

RUNS_KEPT = 8
"""Enough to be told from any other place of the same output: times have nanoseconds."""
DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Run:
    """Records that followed one another and are alike, such as the parts of a line of zeros."""

    at_ns: int
    digest: str
    count: int


@dataclass(slots=True)
class _Alike:
    """A run that may still grow; of one from before a restart only the digest is known."""

    at_ns: int
    data: bytes | None
    digest: str
    count: int

    def is_of(self, record: LogRecord) -> bool:
        """Whether a record is one more of it."""
        if self.at_ns != record.at_ns:
            return False
        if self.data is None:
            return self.digest == _digest(record.data)
        return self.data == record.data

    def told(self) -> Run:
        """Return it as a value; a digest is made only when it is asked for."""
        if not self.digest and self.data is not None:
            self.digest = _digest(self.data)
        return Run(self.at_ns, self.digest, self.count)


class Place:
    """The last runs of records that were read; empty at the start of an output."""

    def __init__(self, runs: tuple[Run, ...] = ()) -> None:
        known = (_Alike(run.at_ns, None, run.digest, run.count) for run in runs)
        self._runs = deque(known, RUNS_KEPT)

    @property
    def runs(self) -> tuple[Run, ...]:
        """What was read last, oldest first."""
        return tuple([run.told() for run in self._runs])

    @property
    def since_ns(self) -> int:
        """From when on records are to be read so that all of these runs are among them."""
        return min((run.at_ns for run in self._runs), default=0)

    @property
    def until_ns(self) -> int:
        """The latest time in these runs: a later record comes after them, or they are gone."""
        return max((run.at_ns for run in self._runs), default=0)

    def add(self, record: LogRecord) -> None:
        """Step past a record."""
        if self._runs and self._runs[-1].is_of(record):
            self._runs[-1].count += 1
            return
        self._runs.append(_Alike(record.at_ns, record.data, "", 1))

    @property
    def needs_start(self) -> bool:
        """Whether it can only be found by reading on from the start of the output.

        So it is with a single run: whoever begins in the midst of it cannot count it.
        """
        return len(self._runs) == 1

    def is_at(self, place: Place) -> bool:
        """Whether a reader that came here by reading on from further up stands at that place.

        Of several runs the first may have been longer than what the reader saw of it.
        """
        if place._runs and (not self._runs or self._runs[-1].at_ns != place._runs[-1].at_ns):
            return False  # told without a digest
        theirs = place.runs
        ours = self.runs[-len(theirs) :] if theirs else ()
        if ours and not place.needs_start:
            ours = (replace(ours[0], count=theirs[0].count), *ours[1:])
        return ours == theirs


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).hexdigest()
