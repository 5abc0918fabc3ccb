"""How a container's output is read in pieces that must join, on an engine that rotates at will."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunet_dms.errors import EngineUnreachableError
from nunet_dms.node.engine import docker_logs
from nunet_dms.node.engine.docker_logs import StreamRecord, parse, read_records, unix_ns
from nunet_dms.node.engine.types import LogRecord

OUT, ERR = 1, 2


class RecordedLog:
    """An output that grows, and is thrown away from its start, between two readings."""

    def __init__(self, said: list[StreamRecord], moves: Iterator[tuple[int, int]]) -> None:
        """`moves` says how many records come before each reading, and how many then go."""
        self.said, self._moves = said, moves
        self.written = self.thrown = 0

    def bell(self) -> AbstractContextManager[None]:
        return nullcontext()

    def is_over(self) -> bool:
        come, go = next(self._moves, (len(self.said), 0))
        self.written = min(self.written + come, len(self.said))
        self.thrown = min(self.thrown + go, self.written)
        return self.written == len(self.said)

    def read(self, tail: int) -> Iterator[StreamRecord]:
        kept = self.said[self.thrown : self.written]
        yield from kept[-tail:] if tail else kept


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every bound small, so that few records reach it; no bell rings here."""
    monkeypatch.setattr(docker_logs, "TAIL_FIRST", 2)
    monkeypatch.setattr(docker_logs, "TAIL_MAX", 40)
    monkeypatch.setattr(docker_logs, "_wait", lambda _bell: None)


def all_of(log: RecordedLog, since_ns: int = 0) -> list[LogRecord]:
    return list(read_records(log, since_ns))  # type: ignore[arg-type]


@st.composite
def outputs(draw: st.DrawFn) -> list[StreamRecord]:
    """Two streams of lines, some in alike parts with the time of their beginning."""
    at_ns, made = 1000, list[StreamRecord]()
    open_ns = {OUT: 0, ERR: 0}
    for _ in range(draw(st.integers(0, 40))):
        at_ns += draw(st.integers(1, 3))
        stream = draw(st.sampled_from([OUT, OUT, ERR]))
        began_ns = open_ns[stream] or at_ns
        is_part = draw(st.booleans())
        open_ns[stream] = began_ns if is_part else 0
        made.append(StreamRecord(began_ns, b"part" if is_part else b"end\n", stream=stream))
    return made


steps = st.lists(st.tuples(st.integers(0, 12), st.just(0)), max_size=12)


@given(outputs(), steps)
def test_whatever_comes_between_two_readings_every_record_is_given_once_in_order(
    said: list[StreamRecord], moves: list[tuple[int, int]]
) -> None:
    assert all_of(RecordedLog(said, iter(moves))) == said


@given(outputs(), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 9)), max_size=12))
def test_a_record_that_was_thrown_away_unread_is_told_of(
    said: list[StreamRecord], moves: list[tuple[int, int]]
) -> None:
    """But for those before the first reading: `SURELY_KEPT_BYTES` is there for them."""
    log = RecordedLog(said, iter([(3, 0), *moves]))
    given = all_of(log)
    if not any(record.after_gap for record in given):
        assert given == said


@given(outputs(), st.integers(995, 1100))
def test_reading_from_a_time_begins_there_and_leaves_nothing_out_after_it(
    said: list[StreamRecord], since_ns: int
) -> None:
    first = next((at for at, record in enumerate(said) if record.at_ns >= since_ns), len(said))
    assert all_of(RecordedLog(said, iter([])), since_ns) == said[first:]


def test_alike_parts_of_a_long_line_are_counted_and_not_taken_for_one_another() -> None:
    said = [StreamRecord(7, b"zeros", stream=OUT)] * 30
    moves = [(10, 0), (11, 0), (9, 0)]
    assert all_of(RecordedLog(said, iter(moves))) == said


def test_the_newline_that_the_driver_leaves_out_after_a_long_line_is_put_back() -> None:
    said = [
        StreamRecord(1, b"long ", stream=OUT), StreamRecord(2, b"error\n", stream=ERR),
        StreamRecord(1, b"line", stream=OUT), StreamRecord(3, b"next\n", stream=OUT),
        StreamRecord(4, b"no newline", stream=OUT),
    ]  # fmt: skip
    given = all_of(RecordedLog(said, iter([(3, 0)])))
    assert b"".join(record.data for record in given) == b"long error\nline\nnext\nno newline"


def test_more_than_docker_surely_keeps_may_have_begun_earlier(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(docker_logs, "SURELY_KEPT_BYTES", 200)
    said = [StreamRecord(at, b"line\n", stream=OUT) for at in range(1, 6)]
    assert [record.after_gap for record in all_of(RecordedLog(said, iter([])))] == [
        False, False, True, False, False,
    ]  # fmt: skip


def test_frames_are_told_apart_wherever_they_are_cut() -> None:
    text = b"2026-11-26T04:08:12.605051254Z e\xff\n"
    frames = b"\x02\0\0\0" + len(text).to_bytes(4, "big") + text
    expected = [StreamRecord(1_795_666_092_605_051_254, b"e\xff\n", stream=ERR)] * 2
    for cut in range(len(frames) * 2):
        both = frames * 2
        assert list(parse(iter([both[:cut], both[cut:]]))) == expected
    with pytest.raises(EngineUnreachableError, match="broke off"):
        list(parse(iter([frames[:-1]])))


def test_docker_s_time_is_read_to_the_nanosecond() -> None:
    assert unix_ns(b"1970-01-01T00:00:01.000000002Z") == 1_000_000_002
