"""Room for the journal: the ballast, the mark below which no jobs are taken, what survives."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from nunet_dms.node.journal import Journal
from nunet_dms.node.journal_trouble import (
    JournalError,
    JournalFullError,
    JournalReadOnlyError,
)
from nunet_dms.node.rows import JobRow
from nunet_dms.node.storage import LOOK_EVERY_S, MB, Sizes, Storage

Admit = Callable[..., JobRow]
ALL_THERE_IS = 10**18
"""Bytes, more than any disk has."""


def full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "results.json")


@pytest.fixture
def ballast(tmp_path: Path) -> Path:
    return tmp_path / "journal.ballast"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A storage with a ballast of 1 MiB where there is room enough."""
    made = Storage(tmp_path / "journal.db", Sizes(ballast_bytes=MB))
    made.keep_ballast()
    return made


@pytest.mark.usefixtures("storage")
def test_the_ballast_is_made_of_real_bytes(ballast: Path) -> None:
    found = ballast.stat()
    assert (found.st_size, found.st_mode & 0o777) == (MB, 0o600)
    assert found.st_blocks * 512 >= MB


def test_it_goes_when_there_is_no_room_and_comes_back_with_it(
    storage: Storage, ballast: Path
) -> None:
    assert storage.survives(lambda: None)
    assert ballast.exists()
    assert not storage.survives(full)
    assert not ballast.exists()
    assert storage.trouble.startswith("the file system at /")
    assert storage.trouble.endswith(" is full")
    storage.look(LOOK_EVERY_S)
    assert (storage.trouble, ballast.exists()) == ("", True)


def test_looks_are_not_taken_at_every_step(storage: Storage, ballast: Path) -> None:
    storage.look(0.0)
    assert not storage.survives(full)
    storage.look(LOOK_EVERY_S - 0.1)
    assert storage.trouble
    assert not ballast.exists()


def test_below_the_mark_is_trouble_and_no_ballast_is_made(tmp_path: Path, ballast: Path) -> None:
    low = Storage(tmp_path / "journal.db", Sizes(low_water_bytes=ALL_THERE_IS))
    low.keep_ballast()
    assert not ballast.exists()
    assert low.trouble.endswith(" MB are needed")
    assert f"with {tmp_path}, has " in low.trouble


def test_a_disk_without_room_for_more_files_is_trouble(tmp_path: Path) -> None:
    if not os.statvfs(tmp_path).f_files:
        pytest.skip("this file system has no fixed number of files")
    few = Storage(tmp_path / "journal.db", Sizes(low_water_files=ALL_THERE_IS))
    few.look(0.0)
    assert "has room for" in few.trouble


def test_before_opening_it_makes_way_only_where_it_must(tmp_path: Path, ballast: Path) -> None:
    ballast.write_bytes(b"x" * MB)
    Storage(tmp_path / "journal.db").make_way()
    assert ballast.exists()
    Storage(tmp_path / "journal.db", Sizes(opening_bytes=ALL_THERE_IS)).make_way()
    assert not ballast.exists()


def test_a_write_that_finds_no_room_leaves_the_journal_as_it_was(
    journal: Journal, admit: Admit
) -> None:
    admit()
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own word for a full disk
    before = journal._db.execute("SELECT COUNT(*) FROM event").fetchone()[0]
    with pytest.raises(JournalFullError, match="disk is full") as told:
        admit("b" * 32, offer=b"x" * 100_000)
    assert told.value.hint == "make room on its file system"
    assert [job.job_id for job in journal.jobs()] == ["a" * 32]
    assert journal._db.execute("SELECT COUNT(*) FROM event").fetchone()[0] == before
    journal._db.execute("PRAGMA max_page_count = 1000000")
    assert admit("b" * 32, offer=b"x" * 100_000).job_id == "b" * 32


def test_what_is_not_about_room_is_not_survived(storage: Storage) -> None:
    def refuse() -> None:
        raise PermissionError(errno.EACCES, "no")

    with pytest.raises(PermissionError):
        storage.survives(refuse)

    def fail() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(JournalError, match="disk I/O error") as failed:
        storage.survives(fail)
    assert type(failed.value) is JournalError


def test_where_nothing_can_be_written_the_worker_waits_and_is_then_begun_anew(
    storage: Storage, tmp_path: Path
) -> None:
    def refuse() -> None:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    with pytest.raises(JournalReadOnlyError), storage.told:
        refuse()
    assert not storage.survives(refuse)
    assert storage.trouble.endswith(" is read-only")
    with pytest.raises(JournalError, match="can be written again; the journal is opened anew"):
        storage.look(LOOK_EVERY_S)
    assert not [each.name for each in tmp_path.iterdir() if "writable" in each.name]
