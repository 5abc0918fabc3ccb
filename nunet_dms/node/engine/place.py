"""Where a reader stands in a container's output, found again in whatever the engine still has.

An engine numbers no records, and their times alone tell no place: the parts of a long line all
have the time of its beginning, so the times of two streams are not in one order. Within one stream
they are: records of one time follow one another. So a place is told by its last record's stream,
its time, which of that stream's records with this time it is, and which time that stream had
before. Whoever reads on from further up finds the same, and nowhere else; that no two settings of
a clock give the same nanosecond twice in a row, with the same content, is taken for granted.

A stream's first time has nothing before it: such a place is only found by counting from the start
of the output, and only if the start is still there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from nunet_dms.node.engine.types import LogRecord

START_NS = 0
"""What comes before the first time of a stream."""
UNKNOWN_NS = -1
"""So too, of a reader that began in the midst: there may be more before it."""
DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Position:
    """How far one stream was read: to the `nth` of its records at `at_ns`, Unix nanoseconds."""

    stream: int
    before_ns: int
    at_ns: int
    nth: int


@dataclass(frozen=True, slots=True)
class Spot:
    """A place as it is kept and sought."""

    positions: tuple[Position, ...]
    """Of each stream that was read from; last that of the last record."""
    digest: str
    """Of the last record's content."""
    latest_ns: int
    """The latest time up to here: a record with a later one comes after."""

    @property
    def is_known(self) -> bool:
        """Whether it can be found again at all: not right after a gap."""
        return self.positions[-1].before_ns != UNKNOWN_NS

    @property
    def needs_start(self) -> bool:
        """Whether it can only be found by counting from the start of the output."""
        return self.positions[-1].before_ns == START_NS

    @property
    def since_ns(self) -> int:
        """From when on records are to be read so that this place can be told among them."""
        last = self.positions[-1]
        return max(min(last.before_ns, last.at_ns), START_NS)


@dataclass(slots=True)
class _Stream:
    """A stream's position; `last` and `begun` count all records, to its last one and the last
    one of the time before."""

    before_ns: int
    at_ns: int
    nth: int = 1
    begun: int = 0
    last: int = 0


class Place:
    """What a reader has stepped past, from the start of an output or from anywhere in it."""

    def __init__(self, spot: Spot | None = None, *, from_start: bool = True) -> None:
        self._unseen_ns = START_NS if from_start else UNKNOWN_NS
        self._streams: dict[int, _Stream] = {}
        self._known, self._last = spot, LogRecord(0, b"")
        self._latest_ns = self._count = 0
        if spot is not None:
            for each in spot.positions:
                self._streams[each.stream] = _Stream(each.before_ns, each.at_ns, each.nth)
            self._latest_ns = spot.latest_ns

    @property
    def spot(self) -> Spot | None:
        """The place to come back to; None before the first record."""
        if not self._count:
            return self._known
        positions = [
            Position(number, stream.before_ns, stream.at_ns, stream.nth)
            for number, stream in self._streams.items()
        ]
        positions.sort(key=lambda each: each.stream == self._last.stream)
        return Spot(tuple(positions), _digest(self._last.data), self._latest_ns)

    @property
    def span(self) -> int:
        """How many of the last records tell this place, as far as this reader knows."""
        last = self._streams.get(self._last.stream)
        return 0 if last is None else self._count - last.begun + 1

    def add(self, record: LogRecord) -> None:
        """Step past a record; after a gap nothing is known of what comes before it."""
        if record.after_gap:
            self._unseen_ns = UNKNOWN_NS
            self._streams.clear()
        at_ns = record.at_ns
        self._count = count = self._count + 1
        self._last = record
        stream = self._streams.get(record.stream)
        if stream is None:
            stream = self._streams[record.stream] = _Stream(self._unseen_ns, at_ns)
        elif stream.at_ns == at_ns:
            stream.nth += 1
            stream.last = count
            return
        else:
            stream.before_ns, stream.at_ns, stream.nth = stream.at_ns, at_ns, 1
            stream.begun = stream.last
        stream.last = count
        self._latest_ns = max(self._latest_ns, at_ns)

    def is_at(self, spot: Spot) -> bool:
        """Whether a reader that came here from further up surely stands at that place."""
        sought, last = spot.positions[-1], self._last
        if last.at_ns != sought.at_ns or last.stream != sought.stream:
            return False
        own = self._streams[last.stream]
        return (
            own.nth == sought.nth
            and own.before_ns == sought.before_ns
            and spot.is_known
            and _digest(last.data) == spot.digest
        )


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).hexdigest()
