"""The owner's pause: kept in a file, in force until its end, never lifted by an accident."""

from __future__ import annotations

from pathlib import Path

import pytest

from nunet_dms.node.pause import Pause, lift_pause, read_pause, write_pause

NOW_S = 1_800_000_000


def test_a_pause_without_an_end_holds_until_it_is_lifted(tmp_path: Path) -> None:
    path = tmp_path / "pause.json"
    write_pause(path, Pause(since_s=NOW_S))
    assert read_pause(path, NOW_S + 10**9) == Pause(since_s=NOW_S)
    assert lift_pause(path)
    assert read_pause(path, NOW_S) is None
    assert not lift_pause(path)


def test_a_pause_with_an_end_is_over_at_that_second(tmp_path: Path) -> None:
    path = tmp_path / "pause.json"
    write_pause(path, Pause(since_s=NOW_S, until_s=NOW_S + 60))
    assert read_pause(path, NOW_S + 59.9) is not None
    assert read_pause(path, NOW_S + 60) is None


@pytest.mark.parametrize("content", ["", "paused", '{"since_s": "yesterday"}'])
def test_a_file_that_makes_no_sense_pauses_without_end(tmp_path: Path, content: str) -> None:
    (tmp_path / "pause.json").write_text(content)
    assert read_pause(tmp_path / "pause.json", NOW_S) == Pause(since_s=0)
