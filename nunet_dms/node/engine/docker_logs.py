"""A container's output out of Docker, record by record, with nothing lost unnoticed.

Measured with Docker 20.10, a job that writes 100 MB in lines of 80 bytes, and a reader that
follows: of 1.25 million records it got 333,584 with the driver json-file and 280,374 with `local`
(both 10m x 2), in the first case with times that went back, and with no sign of any loss. A job
writes four times as fast as the daemon hands out, and a file that is rotated away is skipped. A
reader that follows also loses a last line without its newline. So nothing that is followed is
believed: it is only a bell.

What is read comes from plain readings: each is one state of all files under the daemon's own lock,
and must begin where the one before ended (`Place`). If it does not, the record after the loss says
so.

`since` of the API filters by time, and times go back (see `place`), so the end of the output is
asked for by a number of records instead, the more the further we are behind.

The driver `local` of Docker 20.10 keeps every byte but one: a line of more than 16 KiB is stored
in parts, and the newline after its last part is left out. What follows it in the same stream at
another time can only be a new line, so the newline is put back there. Only of a last line so long
it cannot be known whether a newline came after it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

import docker
import requests
from urllib3.exceptions import ReadTimeoutError

from nunet_dms.errors import EngineUnreachableError
from nunet_dms.node.engine.place import Place, Spot
from nunet_dms.node.engine.profile import LOG_FILE_MB, LOG_FILES
from nunet_dms.node.engine.types import Facts, LogRecord
from nunet_dms.protocol.job import MB

BELL_TIMEOUT_S = 60
"""Of silence; then it is looked anyway: a bell may be broken. Of one read too."""
PACE_S = 0.2
"""Between the bell and the reading: what comes in it is read at once."""
TAIL_FIRST = 256
"""Records asked for when nothing is known of how many are new."""
TAIL_MAX = 1_000_000
"""More than that, and everything is asked for."""
FAR_BEHIND = 1000
"""So many new records in one reading: the job writes fast, go on without a pause."""
READ_BYTES = 64 * 1024
FRAME_HEAD_BYTES = 8
"""Stream, three zeros, and the length in four bytes (Docker API, ContainerAttach)."""
SECOND_CHARS, STAMP_CHARS = 19, 30
"""`2026-01-02T03:04:05` and `.123456789Z`: Docker writes all nine digits."""
EVERYTHING = 0
SURELY_KEPT_BYTES = (LOG_FILES - 1) * LOG_FILE_MB * MB
"""Docker throws away its oldest file once the newest is full: what it still has is then more than
this. A first reading that finds less begins where the output began."""
LINE_HEAD_MAX_BYTES, PART_HEAD_MAX_BYTES = 32, 128
"""What a record takes in Docker's files besides what it says (its lengths, stream and time: 27 were
seen); a part of a long line has the line's id too."""


class ContainerLog:
    """One container's log by Docker's API; raises what the SDK raises."""

    def __init__(
        self, client: docker.DockerClient, name: str, facts: Callable[[], Facts | None]
    ) -> None:
        self._api = client.api
        self._name = name
        self._facts = facts

    def is_over(self) -> bool:
        """Whether the container has ended, or is gone: then all it wrote is with the driver."""
        facts = self._facts()
        return facts is None or facts.has_ended

    def read(self, tail: int) -> Iterator[LogRecord]:
        """Yield the last `tail` records there are now, all for EVERYTHING; none if it is gone."""
        with self._open(tail=tail or "all", follow=0, timestamps=1) as response:
            if response.status_code == requests.codes.not_found:
                return
            yield from parse(iter(lambda: response.raw.read(READ_BYTES), b""))

    def bell(self) -> requests.Response:
        """Return an answer whose body gets longer when the container writes, or ends."""
        return self._open(tail=0, follow=1, timestamps=0)

    def _open(self, **parameters: int | str) -> requests.Response:
        path = f"{self._api.base_url}/v{self._api.api_version}/containers/{self._name}/logs"
        asked: dict[str, int | str] = {"stdout": 1, "stderr": 1, **parameters}
        response = self._api.get(path, params=asked, stream=True, timeout=BELL_TIMEOUT_S)
        if response.status_code != requests.codes.not_found:
            response.raise_for_status()
        return response


def read_records(log: ContainerLog, since_ns: int) -> Iterator[LogRecord]:
    """Yield a container's records from `since_ns` on until it has ended."""
    place, lines = Place(), _Lines()
    new, is_wanted = 0, False
    while True:
        with log.bell() as bell:  # before the reading: what is written after it rings
            is_over = log.is_over()
            if (spot := place.spot) is None:
                found = _from_start(log, since_ns)
            else:
                found = _from_place(log, spot, place.span + new + new // 4 + TAIL_FIRST)
            new = 0
            for record in found:
                place.add(record)
                new += 1
                whole = lines.restored(record)
                is_wanted = is_wanted or record.at_ns >= since_ns
                if is_wanted:
                    yield whole
            if is_over:
                return
            if new < FAR_BEHIND:
                _wait(bell)


class _Lines:
    """The lines that are begun and not ended, by stream: of when they are."""

    def __init__(self) -> None:
        self._open: dict[int, int] = {}

    def restored(self, record: LogRecord) -> LogRecord:
        """Return a record with the newline that the driver left out before it."""
        begun_ns = self._open.pop(record.stream, None)
        if not record.data.endswith(b"\n"):
            self._open[record.stream] = record.at_ns
        if begun_ns is None or begun_ns == record.at_ns:
            return record
        return replace(record, data=b"\n" + record.data)


def parse(parts: Iterator[bytes]) -> Iterator[LogRecord]:
    """Yield the records in the frames of an answer; raises EngineUnreachableError if it is torn."""
    held, second, second_ns = b"", b"", 0
    for part in parts:
        held = held + part if held else part
        at, size = 0, len(held)
        while size - at >= FRAME_HEAD_BYTES:
            start = at + FRAME_HEAD_BYTES
            end = start + int.from_bytes(held[at + 4 : start], "big")
            if end > size:
                break
            fraction = start + SECOND_CHARS
            if held[start:fraction] != second:  # nearly every record has that of the one before
                second = held[start:fraction]
                second_ns = unix_s(second) * 1_000_000_000
            text = start + STAMP_CHARS + 1
            at_ns = second_ns + int(held[fraction + 1 : text - 2])
            yield LogRecord(at_ns, held[text:end], False, held[at], end < size)
            at = end
        held = held[at:]
    if held:
        raise EngineUnreachableError("cannot read the log: Docker's answer broke off")


def unix_s(second: bytes) -> int:
    """Read `2026-01-02T03:04:05`, UTC; raises ValueError."""
    return int(datetime.fromisoformat(f"{second.decode()}+00:00").timestamp())


def _from_start(log: ContainerLog, since_ns: int = 0) -> Iterator[LogRecord]:
    """Yield everything; past the point where the start may be gone, one record says so.

    None does where there is more than what is asked for, which is from `since_ns` on.
    """
    size, is_sure = 0, True
    for record in log.read(EVERYTHING):
        if size == 0 and record.at_ns < since_ns:
            is_sure = False
        if is_sure:
            is_whole = record.data.endswith(b"\n")
            size += len(record.data) + (LINE_HEAD_MAX_BYTES if is_whole else PART_HEAD_MAX_BYTES)
            if size > SURELY_KEPT_BYTES:
                is_sure = False
                yield replace(record, after_gap=True)
                continue
        yield record


def _from_place(log: ContainerLog, sought: Spot, tail: int) -> Iterator[LogRecord]:
    """Yield what comes after a place; the first record says if something between is gone.

    Where the place hangs on the start of the output, and that may be gone, a later one says so.
    """
    while sought.is_known:
        is_found, seen = False, Place(from_start=sought.needs_start)
        for record in _from_start(log) if sought.needs_start else log.read(tail):
            if is_found:
                yield record
                continue
            seen.add(record)
            is_found = seen.is_at(sought)
            if record.at_ns > sought.latest_ns:
                break  # it begins too late
        if is_found:
            return
        if sought.needs_start or tail == EVERYTHING:
            break
        tail = _wider(tail)
    yield from _after_gap(log, sought)


def _after_gap(log: ContainerLog, place: Spot) -> Iterator[LogRecord]:
    """Yield what there is where the engine has thrown a place away, and what came after it."""
    is_first = True
    for record in log.read(EVERYTHING):
        if is_first and record.at_ns <= place.latest_ns:
            continue
        yield replace(record, after_gap=True) if is_first else record
        is_first = False
    if is_first:  # nothing is left, as of a container that somebody removed
        yield LogRecord(place.latest_ns, b"", after_gap=True)


def _wider(tail: int) -> int:
    return tail * 4 if tail * 4 <= TAIL_MAX else EVERYTHING


def _wait(bell: requests.Response) -> None:
    """Return when the container has written or ended, or when it is time to look anyway."""
    try:
        bell.raw.read1(1)
    except ReadTimeoutError:
        return
    threading.Event().wait(PACE_S)
