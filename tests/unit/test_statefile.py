"""Small state files: what was written is read, and nothing else is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunet_dms.errors import NunetError
from nunet_dms.statefile import FILE_MAX_BYTES, read_state, write_state


@dataclass(frozen=True, slots=True)
class Note:
    since_s: int
    until_s: int | None = None
    final: bool = False


@pytest.mark.parametrize("note", [Note(1), Note(1, 2, True), Note(0, None, False)])
def test_what_is_written_is_read_and_closed_to_others(tmp_path: Path, note: Note) -> None:
    write_state(tmp_path / "new" / "note.json", note)
    assert read_state(tmp_path / "new" / "note.json", Note) == note
    assert (tmp_path / "new" / "note.json").stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_written_is_an_error_that_names_file_and_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NunetError, match=r"cannot write .*/file/note\.json: File exists"):
        write_state(tmp_path / "file" / "note.json", Note(1))


def test_no_file_is_none(tmp_path: Path) -> None:
    assert read_state(tmp_path / "note.json", Note) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "7",
        '{"since_s": 1}',
        '{"since_s": "1", "until_s": null, "final": false}',
        '{"since_s": null, "until_s": null, "final": false}',
        '{"since_s": true, "until_s": null, "final": false}',
        '{"since_s": -1, "until_s": null, "final": false}',
        '{"since_s": 1.5, "until_s": null, "final": false}',
        '{"since_s": 1, "until_s": false, "final": false}',
        '{"since_s": 1, "until_s": null, "final": 1}',
        '{"since_s": 9999999999999999999, "until_s": null, "final": false}',
        "[" * 3000,
        " " * FILE_MAX_BYTES + '{"since_s": 1, "until_s": null, "final": false}',
    ],
)
def test_anything_else_is_an_error_that_names_the_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "note.json").write_text(content)
    with pytest.raises(ValueError, match=r"note\.json"):
        read_state(tmp_path / "note.json", Note)


def test_a_file_that_cannot_be_read_is_another_error(tmp_path: Path) -> None:
    (tmp_path / "note.json").mkdir()
    with pytest.raises(OSError, match=r"note\.json"):
        read_state(tmp_path / "note.json", Note)


@given(content=st.binary(max_size=300))
def test_no_content_raises_another_kind_of_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "note.json"
    path.write_bytes(content)
    try:
        note = read_state(path, Note)
    except ValueError:
        return
    assert note == Note(**json.loads(content))
