"""A job's log on its way from the container to the node's disk, bounded, with its hash.

Beside the log lies its index: now and then a line that says up to which byte the log holds which
records. After a restart of the worker or of the engine the records are read again from there on;
what the log already holds of them is compared, byte for byte, and dropped. Docker hands out all
it keeps then, at its own pace: on two cores, loaded 15 times over, 250,000 lines of 80 bytes took
22 s and a million empty ones 142 s.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

from nunet_dms.node.engine.place import Place, Position, Spot
from nunet_dms.node.engine.types import LogRecord

LOG_MAX_BYTES = 64 * 1024 * 1024
"""Of one job's log; what comes later is dropped, and the report says so."""
GAP_MARK = b"\n[nunet: part of this log was lost here]\n"
TELL_EVERY_S = 0.05
READ_BYTES = 1024 * 1024
BATCH_BYTES = 128 * 1024
BATCH_RECORDS = 2000
"""Records that are here at once are written together, up to so much."""
INDEX_EVERY_BYTES = 256 * 1024
INDEX_EVERY_RECORDS = 2000
"""An index line is written after so much, and the batch that it fell in."""
INDEX_MAX_BYTES = 256 * 1024
"""Then it begins anew with its last line, which is all that is needed of it."""


@dataclass(frozen=True, slots=True)
class LogEnd:
    """A finished log: its length and SHA-256, and whether nothing is missing from it."""

    length: int
    sha256: str
    complete: bool
    dropped_bytes: int = 0
    """What the job wrote past the limit: not in the log, but counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """One line of an index: the log's first `length` bytes hold the records up to `spot`."""

    length: int
    spot: Spot | None
    gaps: int
    dropped_bytes: int

    def line(self) -> bytes:
        """Return the entry as a line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> IndexEntry:
        """Read a line; raises ValueError, KeyError or TypeError when it is torn."""
        known = json.loads(line)
        spot = known["spot"]
        if spot is not None:
            positions = tuple([Position(**each) for each in spot["positions"]])
            spot = Spot(**spot | {"positions": positions})
        return cls(**known | {"spot": spot})


START = IndexEntry(length=0, spot=None, gaps=0, dropped_bytes=0)
EMPTY_LOG = LogEnd(0, hashlib.sha256().hexdigest(), complete=True)


def pump(
    records: Callable[[int], Iterator[LogRecord]], path: Path, grew: Callable[[], None]
) -> LogEnd:
    """Write a container's output to `path` until it ends; `grew` is called soon after a write.

    `records` gives what the engine keeps from a time on (Unix nanoseconds). Where it has thrown
    away what was not read, or has other bytes than the log, GAP_MARK is written and the log
    counts as incomplete. Raises OSError when the disk takes no more; to be called again.
    """
    path.touch(mode=0o600)
    with path.open("r+b", buffering=0) as file:
        return _Pump(file, _Index(_index_of(path)), grew).run(records)


def finished(path: Path) -> LogEnd:
    """Return the end of a log that nothing will be added to; empty when there is no file.

    Nobody saw its end come, so it counts as incomplete.
    """
    if not path.exists():
        return EMPTY_LOG
    dropped_bytes = _Index(_index_of(path)).last().dropped_bytes
    with path.open("rb") as file:
        sha256 = _sha256_of(file).hexdigest()
    return LogEnd(path.stat().st_size, sha256, complete=False, dropped_bytes=dropped_bytes)


class _Index:
    """The index file: lines are added; a torn last one is as if it had not been written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def last(self) -> IndexEntry:
        """Return the last whole line, START where there is none."""
        text = self._path.read_bytes() if self._path.exists() else b""
        for line in reversed(text.split(b"\n")[:-1]):
            try:
                return IndexEntry.of_line(line)
            except (ValueError, KeyError, TypeError):
                continue
        return START

    def add(self, entry: IndexEntry) -> None:
        """Add a line; a file that has grown long is replaced by this line alone."""
        line = entry.line()
        is_long = self._path.exists() and self._path.stat().st_size > INDEX_MAX_BYTES
        if is_long:
            fresh = self._path.with_suffix(".new")
            fresh.write_bytes(line)
            fresh.chmod(0o600)
            fresh.replace(self._path)
            return
        self._path.touch(mode=0o600)
        with self._path.open("r+b") as file:
            if file.seek(0, os.SEEK_END) and _last_byte(file) != b"\n":
                line = b"\n" + line
            file.write(line)


class _Pump:
    """One run of the pump. `_at` is where the next record belongs; the file may reach further."""

    def __init__(self, file: BinaryIO, index: _Index, grew: Callable[[], None]) -> None:
        self._file = file
        self._index = index
        self._grew = grew
        self._told_s = 0.0
        self._size = os.fstat(file.fileno()).st_size
        # The hash of what is there cannot be stored, so the file is read once for each life of a
        # worker, in this thread. Its end then needs no reading.
        self._sha256 = _sha256_of(file)
        entry = index.last()
        if entry.length > self._size:  # the log was lost, and with it what the index is about
            entry = START
        self._at = entry.length
        self._gaps = entry.gaps
        self._dropped = entry.dropped_bytes
        self._place = Place(entry.spot)
        self._batch: list[bytes] = []
        self._unindexed_bytes = self._unindexed_records = 0

    def run(self, records: Callable[[int], Iterator[LogRecord]]) -> LogEnd:
        """Write until the records end."""
        found, batch, size = self._after_place(records), self._batch, 0
        step = self._place.add
        for record in found:
            if record.after_gap:
                self._flush()
                self._gap()
                size = 0
            step(record)
            batch.append(record.data)
            size += len(record.data)
            if not record.more or size >= BATCH_BYTES or len(batch) >= BATCH_RECORDS:
                self._flush()
                size = 0
        self._flush()
        if self._at < self._size:
            self._gap()  # the log holds what the engine does not know of
        self._note()
        return LogEnd(self._size, self._sha256.hexdigest(), self._is_complete, self._dropped)

    def _flush(self) -> None:
        """Write the records that were put aside, and now and then to the index where we are."""
        if not self._batch:
            return
        data = b"".join(self._batch)
        self._write(data)
        self._unindexed_bytes += len(data)
        self._unindexed_records += len(self._batch)
        self._batch.clear()
        if (
            self._unindexed_bytes >= INDEX_EVERY_BYTES
            or self._unindexed_records >= INDEX_EVERY_RECORDS
        ):
            self._note()

    @property
    def _is_complete(self) -> bool:
        return not (self._gaps or self._dropped)

    def _after_place(self, read: Callable[[int], Iterator[LogRecord]]) -> Iterator[LogRecord]:
        """Yield the records past our place; where it is gone, say so and yield all there are."""
        sought = self._place.spot
        if sought is None:
            return read(0)
        records = read(sought.since_ns)
        if not _skip_to(sought, records):
            self._gap()
            return _after_gap(read(sought.since_ns))
        return records

    def _write(self, data: bytes) -> None:
        """Put what a record says where it belongs; what is there already must be the same."""
        kept = data[: max(LOG_MAX_BYTES - self._at, 0)]
        self._dropped += len(data) - len(kept)
        if self._at < self._size and kept:
            held = os.pread(self._file.fileno(), min(len(kept), self._size - self._at), self._at)
            if held != kept[: len(held)]:
                self._dropped -= len(data) - len(kept)
                self._gap()
                self._write(data)
                return
            self._at += len(held)
            kept = kept[len(held) :]
        if kept:
            self._append(kept)
            self._tell()

    def _tell(self) -> None:
        """Say that the log grew, not for every one of many lines: each time wakes the worker."""
        now_s = time.monotonic()
        if now_s >= self._told_s + TELL_EVERY_S:
            self._told_s = now_s
            self._grew()

    def _append(self, data: bytes) -> None:
        written = os.pwrite(self._file.fileno(), data, self._at)
        self._sha256.update(data[:written])
        self._at += written
        self._size = self._at
        if written < len(data):
            self._append(data[written:])

    def _gap(self) -> None:
        """Mark that something is missing; what the log holds beyond our place stays."""
        size, file = len(GAP_MARK), self._file.fileno()
        self._gaps += 1
        if os.pread(file, size, self._at) == GAP_MARK:
            self._at += size  # an earlier life marked it, and died before it was noted
            return
        if self._at == self._size >= size and os.pread(file, size, self._at - size) == GAP_MARK:
            return
        self._at = self._size
        self._write(GAP_MARK[: max(LOG_MAX_BYTES - self._at, 0)])

    def _note(self) -> None:
        """Write to the index where we are; nowhere while the log holds more than was compared."""
        if self._at < self._size:
            return
        self._index.add(
            IndexEntry(
                length=self._at,
                spot=self._place.spot,
                gaps=self._gaps,
                dropped_bytes=self._dropped,
            )
        )
        self._unindexed_bytes = self._unindexed_records = 0


def _skip_to(spot: Spot, records: Iterator[LogRecord]) -> bool:
    """Read records up to a place; False where there is none such."""
    seen = Place(from_start=spot.needs_start)
    for record in records:
        seen.add(record)
        if seen.is_at(spot):
            return True
        if record.at_ns > spot.latest_ns:
            return False
    return False


def _after_gap(records: Iterator[LogRecord]) -> Iterator[LogRecord]:
    """Yield records of which it is not known what came before them."""
    for first in records:
        yield replace(first, after_gap=True)
        break
    yield from records


def _index_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.index")


def _last_byte(file: BinaryIO) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)


def _sha256_of(file: BinaryIO) -> hashlib._Hash:
    """Return the running hash of all that is in a file."""
    file.seek(0)
    found = hashlib.sha256()
    while part := file.read(READ_BYTES):
        found.update(part)
    return found
