"""Named queries are read from a file, whole, and mistakes in the file are told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nunet_dms.cardano.chain import blocks, devnet, mempool, store
from nunet_dms.errors import NunetError
from nunet_dms.sql import queries


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of our own that holds .sql files."""
    folder = tmp_path / "sql_example"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sql_example", raising=False)
    queries.cache_clear()
    return folder


def test_queries_are_found_by_name_and_comments_of_the_file_are_not(package: Path) -> None:
    (package / "a.sql").write_text(
        "-- what this is\n\n-- name: one\n-- why\nSELECT 1;\n\n-- name: schema\nA;\nB;\n"
    )
    found = queries("sql_example", "a.sql")
    assert dict(found) == {"one": "-- why\nSELECT 1;", "schema": "A;\nB;"}
    assert queries("sql_example", "a.sql") is found


@pytest.mark.parametrize(
    "text",
    ["SELECT 1;", "-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;\n", "-- name: A b\nSELECT 1;\n"],
    ids=["no name", "a name twice", "no proper name"],
)
def test_a_file_with_a_name_missing_or_repeated_is_refused(package: Path, text: str) -> None:
    (package / "b.sql").write_text(text)
    with pytest.raises(NunetError, match="missing or repeated"):
        queries("sql_example", "b.sql")


def test_every_query_of_the_devnet_is_used() -> None:
    found = queries("nunet_dms.cardano.chain", "devnet.sql")
    modules = (blocks, devnet, mempool, store)
    source = "".join(Path(each.__file__).read_text() for each in modules)
    assert [name for name in found if f'"{name}"' not in source] == []
