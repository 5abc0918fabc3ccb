"""The log pump: gapless over restarts, bounded, and honest about what is missing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunet_dms.node import logs
from nunet_dms.node.logs import GAP_MARK, LogEnd, finished, pump


def run(chunks: Iterable[bytes], path: Path) -> LogEnd:
    return pump(iter(chunks), path, lambda: None)


def test_everything_is_written_and_hashed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    end = run([b"one\n", b"\xff\x00", b"no newline"], path)
    said = b"one\n\xff\x00no newline"
    assert path.read_bytes() == said
    assert end == LogEnd(len(said), hashlib.sha256(said).hexdigest(), complete=True)
    assert path.stat().st_mode & 0o077 == 0


@given(st.lists(st.binary(max_size=20), max_size=8), st.data())
def test_a_pump_that_died_anywhere_goes_on_without_a_gap_or_a_repeat(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes], data: st.DataObject
) -> None:
    said = b"".join(chunks)
    kept = data.draw(st.integers(0, len(said)))
    path = tmp_path_factory.mktemp("log") / "log"
    path.write_bytes(said[:kept])
    end = run(chunks, path)
    assert (path.read_bytes(), end.complete, end.length) == (said, True, len(said))


@pytest.mark.parametrize("again", [[], [b"rotated away"], [b"shor"]])
def test_a_log_that_begins_otherwise_now_is_marked_incomplete(
    tmp_path: Path, again: list[bytes]
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before")
    end = run(again, path)
    assert not end.complete
    assert path.read_bytes().startswith(b"before" + GAP_MARK)
    assert end.length == path.stat().st_size


def test_a_log_over_its_limit_is_cut_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LOG_MAX_BYTES", 10)
    end = run([b"12345678", b"9012", b"more"], tmp_path / "log")
    assert (end.length, end.complete) == (10, False)
    assert (tmp_path / "log").read_bytes() == b"1234567890"


def test_a_job_that_never_ran_has_an_empty_log(tmp_path: Path) -> None:
    assert finished(tmp_path / "none") == LogEnd(0, hashlib.sha256().hexdigest(), complete=True)
