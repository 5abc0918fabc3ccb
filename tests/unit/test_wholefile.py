"""Files written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nunet_dms.wholefile import remove_unfinished, write_whole


def test_what_a_death_left_half_written_is_removed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "whole.json", b"{}")
    (tmp_path / ".hidden").write_bytes(b"somebody's")
    child = os.fork()
    if not child:
        monkeypatch.setattr(os, "fsync", lambda _file: os._exit(0))
        write_whole(tmp_path / "half.json", b"{}")
    os.waitpid(child, 0)
    assert len(list(tmp_path.iterdir())) == 3
    remove_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"whole.json", ".hidden"}


def test_a_folder_that_is_not_there_has_nothing_unfinished(tmp_path: Path) -> None:
    remove_unfinished(tmp_path / "none")
