"""The Oracle's database: made, brought up to date, or left alone when it is of a newer version."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from nunet_dms.errors import ConfigError
from nunet_dms.oracle import jobs
from nunet_dms.oracle.store import SCHEMA_VERSION, Store
from nunet_dms.protocol.submission import JobState

RELEASED = Path(__file__).with_name("released_1.sql")


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A database of the first release, with one job in each of its states."""
    path = tmp_path / "released.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(RELEASED.read_text())
    return path


def shape(path: Path) -> dict[str, object]:
    """Return every table's columns, with what they default to, and every index."""
    with closing(sqlite3.connect(path)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master")]
        found: dict[str, object] = {"version": db.execute("PRAGMA user_version").fetchone()}
        for name in names:
            columns = db.execute("SELECT * FROM pragma_table_info(?)", (name,)).fetchall()
            indexed = db.execute("SELECT * FROM pragma_index_info(?)", (name,)).fetchall()
            found[name] = (
                {(column[1], column[2], column[3], column[5]) for column in columns},
                [column[2] for column in indexed],
            )
        return found


def test_a_released_database_becomes_what_a_new_one_is(released: Path, tmp_path: Path) -> None:
    Store.open(released).close()
    Store.open(tmp_path / "new.db").close()
    assert shape(released) == shape(tmp_path / "new.db")


def test_the_jobs_of_a_released_database_go_on(released: Path) -> None:
    store = Store.open(released)
    looked_at = set()
    with store.reading() as db:
        for number, state in enumerate(state for state in JobState if state.value != "decided"):
            job = jobs.find(db, f"{number:x}" * 32)
            assert job is not None
            assert (job.state, job.window_ends_s, job.payment_missing_s) == (state, None, None)
            assert (job.payment_lost, job.alert_level) == (False, 0)
            looked_at |= {state} if job.look_at_s is not None else set()
    store.close()
    assert looked_at == {JobState.OFFERED, JobState.RUNNING, JobState.SETTLED}


def test_a_database_is_brought_up_to_date_once(released: Path) -> None:
    Store.open(released).close()
    before = released.read_bytes()
    Store.open(released).close()
    assert released.read_bytes() == before


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "newer.db"
    Store.open(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(ConfigError, match=f"this program knows {SCHEMA_VERSION}") as caught:
        Store.open(path)
    assert "install" in caught.value.hint


def test_a_step_that_fails_leaves_the_file_as_it_was(released: Path) -> None:
    with closing(sqlite3.connect(released)) as db:
        db.execute("CREATE INDEX jobs_by_deadline ON jobs (price)")  # in the way of ours
        db.commit()
    with pytest.raises(Exception, match="jobs_by_deadline"):
        Store.open(released)
    with closing(sqlite3.connect(released)) as db:
        columns = {row[1] for row in db.execute("PRAGMA table_info(jobs)")}
        assert db.execute("PRAGMA user_version").fetchone() == (0,)
    assert "window_ends_s" not in columns
