"""The log pump: gapless over restarts, bounded, and honest about what is missing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import dropwhile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunet_dms.errors import EngineUnreachableError
from nunet_dms.node import logs
from nunet_dms.node.engine.types import LogRecord
from nunet_dms.node.logs import GAP_MARK, LogEnd, finished, pump

Records = list[LogRecord]


def lines(*said: bytes) -> Records:
    return [LogRecord(1000 + number, text) for number, text in enumerate(said)]


def kept(records: Records) -> Callable[[int], Iterator[LogRecord]]:
    """Return what an engine answers that keeps these records, whatever was read of them."""
    return lambda since_ns: dropwhile(lambda each: each.at_ns < since_ns, iter(records))


def breaking(records: Records, after: int) -> Callable[[int], Iterator[LogRecord]]:
    """Return an engine that goes away after so many records of the output."""

    def read(since_ns: int) -> Iterator[LogRecord]:
        yield from kept(records[:after])(since_ns)
        raise EngineUnreachableError("cannot reach Docker")

    return read


def run(records: Records, path: Path) -> LogEnd:
    return pump(kept(records), path, lambda: None)


def text_of(records: Records) -> bytes:
    return b"".join(record.data for record in records)


def check_end(end: LogEnd, path: Path) -> None:
    said = path.read_bytes()
    assert (end.length, end.sha256) == (len(said), hashlib.sha256(said).hexdigest())


def test_everything_is_written_and_hashed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    end = run(lines(b"one\n", b"\xff\x00", b"no newline"), path)
    said = b"one\n\xff\x00no newline"
    assert path.read_bytes() == said
    assert end == LogEnd(len(said), hashlib.sha256(said).hexdigest(), complete=True)
    assert path.stat().st_mode & 0o077 == 0


@st.composite
def outputs(draw: st.DrawFn) -> Records:
    """Return two streams in which times repeat and records are alike, on a clock that is set back.

    The parts of a line have the time of its beginning, so times go back where the other stream
    wrote meanwhile. The last digit of a time is how often the clock was set: no two settings give
    the same nanosecond.
    """
    at_ns, made, begun = 1000, Records(), {1: 0, 2: 0}
    for data in draw(st.lists(st.sampled_from([b"\n", b"aa", b"b\n", b"\xff\x00"]), max_size=40)):
        at_ns += draw(st.sampled_from([0, 0, 10, 50]))
        if at_ns % 10 < 9 and draw(st.integers(0, 9)) == 9:
            at_ns += 1 - 200
        stream = draw(st.sampled_from([1, 1, 2]))
        line_ns = begun[stream] or at_ns
        begun[stream] = 0 if data.endswith(b"\n") else line_ns
        more = draw(st.booleans())
        made.append(LogRecord(line_ns, data, stream=stream, more=more))
    return made


@given(outputs(), st.data())
def test_a_pump_that_died_anywhere_goes_on_without_a_gap_or_a_repeat(
    tmp_path_factory: pytest.TempPathFactory, said: Records, data: st.DataObject
) -> None:
    """Killed at any byte of the log or of the index, several times."""
    path = tmp_path_factory.mktemp("log") / "log"
    index = path.with_name("log.index")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "INDEX_EVERY_RECORDS", data.draw(st.integers(1, 4)))
        patch.setattr(logs, "INDEX_MAX_BYTES", data.draw(st.sampled_from([300, 100_000])))
        for _ in range(data.draw(st.integers(1, 3))):
            alive = data.draw(st.integers(0, len(said)))
            with pytest.raises(EngineUnreachableError):
                pump(breaking([*said, LogRecord(2000, b"never")], alive), path, lambda: None)
            for file in (path, index):
                if file.exists():
                    size = file.stat().st_size
                    lost = data.draw(st.sampled_from([0, 0, 1, 2, 17, size]))
                    with file.open("r+b") as torn:
                        torn.truncate(max(size - lost, 0))
        end = run(said, path)
    assert (path.read_bytes(), end.complete) == (text_of(said), True)
    check_end(end, path)


@given(outputs(), st.data())
def test_what_the_engine_threw_away_unread_is_never_passed_over_in_silence(
    tmp_path_factory: pytest.TempPathFactory, said: Records, data: st.DataObject
) -> None:
    said = lines(b"first", *(each.data for each in said))
    read = data.draw(st.integers(1, len(said)))
    thrown = data.draw(st.integers(0, len(said)))
    path = tmp_path_factory.mktemp("log") / "log"
    with pytest.raises(EngineUnreachableError):
        pump(breaking([*said, LogRecord(9000, b"never")], read), path, lambda: None)
    end = run(said[thrown:], path)
    if end.complete:
        assert path.read_bytes() == text_of(said)
    else:
        assert path.read_bytes() == text_of(said[:read]) + GAP_MARK + text_of(said[thrown:])
    check_end(end, path)


def test_a_loss_that_the_engine_tells_of_is_marked_and_remembered(tmp_path: Path) -> None:
    path = tmp_path / "log"
    said = [LogRecord(1, b"before"), LogRecord(9, b"after", after_gap=True), LogRecord(10, b"x")]
    end = run(said, path)
    assert path.read_bytes() == b"before" + GAP_MARK + b"afterx"
    assert not end.complete
    assert run(said, path) == end


@pytest.mark.parametrize("again", [Records(), lines(b"rotated away"), lines(b"shor")])
def test_a_log_that_begins_otherwise_now_is_marked_incomplete(
    tmp_path: Path, again: Records
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before")
    end = run(again, path)
    assert not end.complete
    assert path.read_bytes() == b"before" + GAP_MARK + text_of(again)
    check_end(end, path)


def test_a_log_over_its_limit_is_cut_and_what_is_dropped_is_counted_over_restarts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LOG_MAX_BYTES", 10)
    monkeypatch.setattr(logs, "INDEX_EVERY_RECORDS", 2)
    path, said = tmp_path / "log", lines(b"12345678", b"9012", b"more", b"and more")
    with pytest.raises(EngineUnreachableError):
        pump(breaking(said, 3), path, lambda: None)
    end = run(said, path)
    assert (end.length, end.complete, end.dropped_bytes) == (10, False, 2 + 4 + 8)
    assert path.read_bytes() == b"1234567890"
    assert finished(path).dropped_bytes == 14
    check_end(end, path)


def test_a_log_that_was_lost_is_read_again_from_the_engine(tmp_path: Path) -> None:
    path, said = tmp_path / "log", lines(b"one\n", b"two\n")
    run(said, path)
    path.unlink()
    end = run(said, path)
    assert (path.read_bytes(), end.complete) == (b"one\ntwo\n", True)


def test_the_index_does_not_grow_with_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "INDEX_EVERY_RECORDS", 1)
    monkeypatch.setattr(logs, "INDEX_MAX_BYTES", 2000)
    run(lines(*[b"x"] * 500), tmp_path / "log")
    assert (tmp_path / "log.index").stat().st_size < 5000


def test_a_job_that_never_ran_has_an_empty_log(tmp_path: Path) -> None:
    assert finished(tmp_path / "none") == LogEnd(0, hashlib.sha256().hexdigest(), complete=True)


def test_a_container_that_was_removed_by_hand_leaves_one_mark_however_often_it_is_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log"
    run(lines(b"one\n"), path)
    for _ in range(2):
        end = run([], path)
        assert (path.read_bytes(), end.complete) == (b"one\n" + GAP_MARK, False)
