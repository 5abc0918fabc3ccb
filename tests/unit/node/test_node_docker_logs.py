"""How a container's output is read in pieces that must join, on an engine that rotates at will."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nunet_dms.errors import EngineUnreachableError
from nunet_dms.node.engine import docker_logs
from nunet_dms.node.engine.docker_logs import parse, read_records
from nunet_dms.node.engine.types import LogRecord

OUT, ERR = 1, 2


class RecordedLog:
    """An output that grows, and is thrown away from its start, between two readings."""

    def __init__(self, said: list[LogRecord], moves: Iterator[tuple[int, int]]) -> None:
        """`moves` says how many records come before each reading, and how many then go."""
        self.said, self._moves = said, moves
        self.written = self.thrown = 0

    def bell(self) -> AbstractContextManager[None]:
        return nullcontext()

    def is_over(self) -> bool:
        come, go = next(self._moves, (len(self.said), 0))
        self.written = min(self.written + come, len(self.said))
        for _ in range(go):
            kept_bytes = sum(_stored_bytes(each) for each in self._kept[1:])
            if kept_bytes <= docker_logs.SURELY_KEPT_BYTES:
                break
            self.thrown += 1
        return self.written == len(self.said)

    @property
    def _kept(self) -> list[LogRecord]:
        return self.said[self.thrown : self.written]

    def read(self, tail: int) -> Iterator[LogRecord]:
        yield from self._kept[-tail:] if tail else self._kept


def _stored_bytes(record: LogRecord) -> int:
    """What Docker's file takes for a record, as seen: a part has its line's id beside it."""
    return len(record.data) + (27 if record.data.endswith(b"\n") else 105)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every bound small, so that few records reach it; no bell rings here."""
    monkeypatch.setattr(docker_logs, "TAIL_FIRST", 2)
    monkeypatch.setattr(docker_logs, "TAIL_MAX", 40)
    monkeypatch.setattr(docker_logs, "_wait", lambda _bell: None)


def all_of(log: RecordedLog, since_ns: int = 0) -> list[LogRecord]:
    return list(read_records(log, since_ns))  # type: ignore[arg-type]


@st.composite
def outputs(draw: st.DrawFn) -> list[LogRecord]:
    """Two streams of lines, some in alike parts with the time of their beginning.

    The last digit of a time is how often the clock was set back: no two settings give the same
    nanosecond.
    """
    at_ns, made = 1000, list[LogRecord]()
    open_ns = {OUT: 0, ERR: 0}
    for _ in range(draw(st.integers(0, 40))):
        at_ns += draw(st.integers(1, 3)) * 10
        if at_ns % 10 < 9 and draw(st.integers(0, 19)) == 19:
            at_ns += 1 - 100
        stream = draw(st.sampled_from([OUT, OUT, ERR]))
        began_ns = open_ns[stream] or at_ns
        is_part = draw(st.booleans())
        open_ns[stream] = began_ns if is_part else 0
        made.append(LogRecord(began_ns, b"part" if is_part else b"end\n", stream=stream))
    return made


def parts(*said: tuple[int, int]) -> list[LogRecord]:
    return [LogRecord(at_ns, b"part", stream=stream) for at_ns, stream in said]


steps = st.lists(st.tuples(st.integers(0, 12), st.just(0)), max_size=12)


@given(outputs(), steps)
@example(
    parts((1001, OUT), (1002, ERR), (1001, OUT), (1001, OUT), (1001, OUT), (1002, ERR)), [(2, 0)]
)
def test_whatever_comes_between_two_readings_every_record_is_given_once_in_order(
    said: list[LogRecord], moves: list[tuple[int, int]]
) -> None:
    assert all_of(RecordedLog(said, iter(moves))) == said


@given(
    outputs(),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 30)), max_size=12),
    st.integers(0, 2500),
)
def test_a_record_that_was_thrown_away_unread_is_told_of(
    said: list[LogRecord], moves: list[tuple[int, int]], kept_bytes: int
) -> None:
    """It is thrown away as Docker does: what is kept is more than `SURELY_KEPT_BYTES`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(docker_logs, "SURELY_KEPT_BYTES", kept_bytes)
        log = RecordedLog(said, iter(moves))
        given = all_of(log)
    if not any(record.after_gap for record in given):
        assert given == said


@given(outputs(), st.integers(800, 1500))
def test_reading_from_a_time_begins_there_and_leaves_nothing_out_after_it(
    said: list[LogRecord], since_ns: int
) -> None:
    first = next((at for at, record in enumerate(said) if record.at_ns >= since_ns), len(said))
    assert all_of(RecordedLog(said, iter([])), since_ns) == said[first:]


def test_alike_parts_of_a_long_line_are_counted_and_not_taken_for_one_another() -> None:
    said = [LogRecord(7, b"zeros", stream=OUT)] * 30
    moves = [(10, 0), (11, 0), (9, 0)]
    assert all_of(RecordedLog(said, iter(moves))) == said


def test_the_newline_that_the_driver_leaves_out_after_a_long_line_is_put_back() -> None:
    said = [
        LogRecord(1, b"long ", stream=OUT), LogRecord(2, b"error\n", stream=ERR),
        LogRecord(1, b"line", stream=OUT), LogRecord(3, b"next\n", stream=OUT),
        LogRecord(4, b"no newline", stream=OUT),
    ]  # fmt: skip
    given = all_of(RecordedLog(said, iter([(3, 0)])))
    assert b"".join(record.data for record in given) == b"long error\nline\nnext\nno newline"


def test_more_than_docker_surely_keeps_may_have_begun_earlier(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(docker_logs, "SURELY_KEPT_BYTES", 100)
    said = [LogRecord(at, b"line\n", stream=OUT) for at in range(1, 6)]
    assert [record.after_gap for record in all_of(RecordedLog(said, iter([])))] == [
        False, False, True, False, False,
    ]  # fmt: skip


def test_frames_are_told_apart_wherever_they_are_cut() -> None:
    text = b"2026-11-26T04:08:12.605051254Z e\xff\n"
    frames = b"\x02\0\0\0" + len(text).to_bytes(4, "big") + text
    expected = [(1_795_666_092_605_051_254, b"e\xff\n", ERR)] * 2
    for cut in range(len(frames) * 2):
        both = frames * 2
        given = list(parse(iter([both[:cut], both[cut:]])))
        assert [(each.at_ns, each.data, each.stream) for each in given] == expected
        assert [each.more for each in given] == [cut != len(frames), False]
    with pytest.raises(EngineUnreachableError, match="broke off"):
        list(parse(iter([frames[:-1]])))


def test_docker_s_time_is_read_to_the_nanosecond() -> None:
    text = b"1970-01-01T00:00:01.000000002Z "
    frame = b"\x01\0\0\0" + len(text).to_bytes(4, "big") + text
    assert [record.at_ns for record in parse(iter([frame]))] == [1_000_000_002]
