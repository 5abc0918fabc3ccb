"""Whether the journal is the one that was here, and all of it: not lost, replaced or cut short."""

from __future__ import annotations

import gc
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from nunet_dms.node.journal import Journal
from nunet_dms.node.journal_aside import LastWords, journal_files, last_words, set_aside
from nunet_dms.node.journal_life import id_file, log_file, statements
from nunet_dms.node.journal_reader import JournalReader
from nunet_dms.node.journal_trouble import JournalError, JournalUnusableError
from nunet_dms.node.rows import JobRow
from nunet_dms.node.states import State

Admit = Callable[..., JobRow]
NOW_MS = 1_800_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal of these tests lies."""
    return tmp_path / "journal.db"


def opened(path: Path, boot_id: str = "boot") -> Journal:
    return Journal(path, lambda: NOW_MS, boot_id)


def killed(path: Path, admit: Admit, journal: Journal) -> Path:
    """Return what a worker leaves that is killed with one job in hand: its files as they are."""
    admit()
    folder = path.parent / "killed"
    folder.mkdir()
    for file in (path, log_file(path), id_file(path)):
        shutil.copy(file, folder)
    journal.close()
    return folder / path.name


def refusal(path: Path) -> str:
    """Return why neither a worker nor a reader uses it; what is there stays as it is."""
    before = {
        file.name: file.read_bytes() for file in journal_files(path) if "shm" not in file.name
    }
    with pytest.raises(JournalUnusableError) as refused:
        opened(path)
    gc.collect()
    after = {file.name: file.read_bytes() for file in journal_files(path) if "shm" not in file.name}
    assert {name: after.get(name) for name, content in before.items() if content} == {
        name: content for name, content in before.items() if content
    }
    with pytest.raises(JournalError), JournalReader(path) as reader:
        reader.jobs()
    assert "nunet worker set-aside" in refused.value.hint
    return str(refused.value)


def test_a_life_ends_clean_only_where_the_worker_closed_the_file(
    path: Path, journal: Journal, admit: Admit
) -> None:
    left = killed(path, admit, journal)
    with opened(path, "") as after_an_orderly_end:
        assert not after_an_orderly_end.died
        assert after_an_orderly_end.former is not None
    with opened(left, "another boot") as after_a_reboot:
        assert not after_a_reboot.died
        assert [job.job_id for job in after_a_reboot.open_jobs()] == ["a" * 32]


def test_a_worker_that_was_killed_died_and_nothing_is_lost(
    path: Path, journal: Journal, admit: Admit
) -> None:
    left = killed(path, admit, journal)
    with opened(left, "") as again:
        assert again.died
        assert [job.state for job in again.open_jobs()] == [State.ADMITTED]


def test_a_worker_that_falls_over_leaves_the_file_as_a_killed_one_does(path: Path) -> None:
    """Python closes what it drops; then SQLite would take the log in and remove it."""
    journal = opened(path)
    journal.pin_oracle("http://one", b"{}")
    del journal
    gc.collect()
    assert log_file(path).stat().st_size > 0
    with opened(path) as again:
        assert again.died
        assert again.pin() == ("http://one", b"{}")


def test_closing_twice_is_closing_once(path: Path) -> None:
    journal = opened(path)
    journal.close()
    journal.close()
    assert not log_file(path).exists()


@pytest.mark.parametrize("left", ["nothing", "an empty file", "zeros"])
def test_a_journal_that_is_gone_or_emptied_is_never_begun_anew(path: Path, left: str) -> None:
    opened(path).close()
    if left == "nothing":
        path.unlink()
    else:
        path.write_bytes(b"" if left == "an empty file" else bytes(path.stat().st_size))
    assert {"nothing": "it is gone", "an empty file": "it is empty"}.get(
        left, "damaged"
    ) in refusal(path)


def test_another_journal_is_not_taken_for_ours(path: Path, tmp_path: Path) -> None:
    opened(path).close()
    opened(tmp_path / "other.db").close()
    shutil.copy(tmp_path / "other.db", path)
    assert f"it is another than {id_file(path)} names" in refusal(path)


def test_an_older_copy_without_lives_is_not_taken_for_ours(path: Path) -> None:
    opened(path).close()
    path.unlink()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(statements()["schema"])
    assert "it is another than" in refusal(path)


def test_a_file_of_somebody_else_s_is_not_written_into(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs (x)")
    assert "not ours" in refusal(path)


@pytest.mark.parametrize("reader_comes", [False, True])
def test_a_log_that_was_deleted_is_noticed(
    path: Path, journal: Journal, admit: Admit, reader_comes: bool
) -> None:
    left = killed(path, admit, journal)
    log_file(left).unlink()
    if reader_comes:  # it may not write, and leaves an empty log
        with pytest.raises(JournalUnusableError):
            JournalReader(left)
    assert f"what was written last is gone with {log_file(left)}" in refusal(left)


def test_no_log_after_an_orderly_end_is_no_loss(path: Path) -> None:
    opened(path).close()
    log_file(path).unlink(missing_ok=True)
    opened(path).close()


def test_a_copy_of_the_main_file_of_a_running_worker_is_noticed(
    path: Path, journal: Journal, admit: Admit, tmp_path: Path
) -> None:
    admit()
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    assert "what was written last is gone" in refusal(copy)
    assert journal.open_jobs()


@pytest.mark.parametrize("damage", ["header", "half", "page"])
def test_a_damaged_file_is_refused_and_stays_as_it_is(path: Path, damage: str) -> None:
    opened(path).close()
    content = bytearray(path.read_bytes())
    if damage == "header":
        content[:16] = b"\0" * 16
    elif damage == "half":
        del content[len(content) // 2 // 4096 * 4096 :]
    else:
        content[4096 : 2 * 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    assert "damaged" in refusal(path)


def test_what_a_killed_worker_left_is_not_touched_where_it_is_damaged(
    path: Path, journal: Journal, admit: Admit
) -> None:
    left = killed(path, admit, journal)
    content = left.read_bytes()
    left.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    assert "damaged" in refusal(left)


def test_a_refused_start_does_not_spoil_what_a_killed_worker_left(
    path: Path, journal: Journal, admit: Admit
) -> None:
    left = killed(path, admit, journal)
    known = id_file(left).read_bytes()
    id_file(left).write_text("0" * 32)
    refusal(left)
    id_file(left).write_bytes(known)
    with opened(left, "") as again:
        assert again.open_jobs()


@pytest.mark.parametrize("content", [None, b"", b"\xff" * 99])
def test_an_id_that_cannot_be_read_is_written_again(path: Path, content: bytes | None) -> None:
    opened(path).close()
    known = id_file(path).read_text()
    id_file(path).unlink() if content is None else id_file(path).write_bytes(content)
    opened(path).close()
    assert id_file(path).read_text() == known


def test_what_is_set_aside_is_whole_and_the_next_worker_begins_anew(
    path: Path, journal: Journal, admit: Admit
) -> None:
    left = killed(path, admit, journal)
    log_file(left).unlink()
    assert last_words(left) == LastWords(0, 0)  # what the log held is gone
    folder = set_aside(left, NOW_MS / 1000)
    assert folder == left.parent / "journal-20270115T080000Z"
    assert sorted(file.name for file in folder.iterdir())[:2] == ["journal.db", "journal.db-shm"]
    assert (folder / "journal.id").exists()
    assert journal_files(left) == ()
    with opened(left, "") as anew:
        assert (anew.former, anew.died, anew.jobs()) == (None, False, ())


def test_an_interrupted_setting_aside_is_finished_by_the_next(path: Path) -> None:
    opened(path).close()
    path.unlink()  # all that was moved before the power went
    assert [file.name for file in set_aside(path, 0.0).iterdir()] == ["journal.id"]
    opened(path).close()


def test_the_last_words_of_a_damaged_journal_are_what_can_be_read(
    path: Path, journal: Journal, admit: Admit
) -> None:
    admit()
    journal.close()
    assert last_words(path) == LastWords(1, 0)
    path.write_bytes(b"no journal at all")
    assert last_words(path) == LastWords()
