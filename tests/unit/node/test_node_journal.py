"""The journal: reservations, moves with their story, the frozen report, foreign files."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from nunet_dms.errors import CapacityError, InvalidTransitionError, UsageError
from nunet_dms.node import journal_file
from nunet_dms.node.journal import NOTES_KEPT_MAX, Journal
from nunet_dms.node.journal_life import statements
from nunet_dms.node.journal_reader import JournalReader
from nunet_dms.node.journal_trouble import JournalError
from nunet_dms.node.rows import Capacity, JobEnd, JobRow, MachineRow, MissedRow, WorkerRow
from nunet_dms.node.states import State

Admit = Callable[..., JobRow]
PAGE_BYTES = 4096
END = JobEnd("succeeded", "", 0, 1500, None, None, 1)


def running(journal: Journal, job: JobRow) -> JobRow:
    job = journal.move(job, State.ACCEPTED)
    job = journal.created(job, "c" * 64, "sha256:1")
    job = journal.move(job, State.STARTING)
    return journal.started(job, 1, "boot", 1)


def test_jobs_reserve_until_they_are_known_not_to_run(journal: Journal, admit: Admit) -> None:
    job = running(journal, admit(cpu_mhz=3000))
    with pytest.raises(CapacityError, match="2000 cpu_mhz of 1000 free"):
        admit("b" * 32, cpu_mhz=2000)
    journal.ended(job, END, "key", b"report")
    assert journal.reserved().cpu_mhz == 0
    admit("b" * 32, cpu_mhz=4000)


@pytest.mark.parametrize("what", ["ram_mb", "disk_mb"])
def test_memory_and_disk_are_reserved_like_cpu(admit: Admit, what: str) -> None:
    admit(**{what: 3000})
    with pytest.raises(CapacityError, match=what):
        admit("b" * 32, **{what: 9000})


def test_a_ticket_is_used_once_even_for_another_job(journal: Journal, admit: Admit) -> None:
    admit()
    with pytest.raises(UsageError, match="used before"):
        admit("b" * 32, ticket_id=("a" * 32)[::-1])
    assert len(journal.jobs()) == 1


def test_a_refused_admission_leaves_nothing(journal: Journal, admit: Admit) -> None:
    with pytest.raises(CapacityError):
        admit(cpu_mhz=9999)
    assert journal.jobs() == ()
    assert admit().state is State.ADMITTED


def test_a_stale_row_cannot_move_and_the_error_tells_the_story(
    journal: Journal, admit: Admit
) -> None:
    job = admit()
    journal.move(job, State.ACCEPTED)
    with pytest.raises(InvalidTransitionError, match="admitted ; accepted"):
        journal.move(job, State.ACCEPTED)


def test_exit_and_report_are_one_transaction(journal: Journal, admit: Admit) -> None:
    job = running(journal, admit())
    journal.ended(job, END, "key", b"frozen")
    again = replace(job, state=State.RUNNING)
    with pytest.raises(sqlite3.IntegrityError):
        journal.ended(again, END, "key", b"other")
    assert journal.report(job.job_id) == b"frozen"
    assert journal.outbox_waiting() == 1
    reported = journal.reported(journal.job(job.job_id))
    assert (reported.state, journal.outbox_waiting()) == (State.REPORTED, 0)


def test_the_first_reason_to_stop_stays(journal: Journal, admit: Admit) -> None:
    job = running(journal, admit())
    job = journal.ask_stop(job, "time_limit")
    assert journal.ask_stop(job, "cancelled").stop_reason == "time_limit"


def test_usage_only_grows(journal: Journal, admit: Admit) -> None:
    job = admit()
    journal.usage(job.job_id, 10, 200)
    journal.usage(job.job_id, 20, 100)
    found = journal.job(job.job_id)
    assert (found.cpu_ms, found.ram_peak_mb) == (20, 200)


def test_jobs_are_found_by_an_unambiguous_prefix(journal: Journal, admit: Admit) -> None:
    admit("ab" + "0" * 30)
    admit("ac" + "0" * 30)
    assert journal.job("ab").job_id.startswith("ab")
    for prefix, why in (("a", "several"), ("f", "none"), ("", "several")):
        with pytest.raises(UsageError, match=why):
            journal.job(prefix)


def test_the_reader_sees_commits_and_cannot_write(
    journal: Journal, admit: Admit, tmp_path: Path
) -> None:
    job = admit()
    row = WorkerRow(1, "0", 2, True, True, "ok", "ok", "", 3)
    journal.write_worker(row)
    with JournalReader(tmp_path / "journal.db") as reader:
        assert reader.find(job.job_id) == job
        assert reader.worker() == row
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader._db.execute("DELETE FROM job")


def test_what_was_committed_is_there_after_the_file_is_opened_again(
    journal: Journal, admit: Admit, tmp_path: Path
) -> None:
    job = running(journal, admit())
    journal.close()
    with Journal(tmp_path / "journal.db", lambda: 0) as again:
        assert again.open_jobs() == (job,)


OLD_WORKER = WorkerRow(7, "0", 2, True, True, "ok", "ok", "", 3)


@pytest.fixture
def old(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A journal of version 1 in `old.db`, held open as the worker that wrote it does."""
    with closing(sqlite3.connect(tmp_path / "old.db", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(statements()["schema"])
        db.execute("INSERT INTO worker VALUES (1, 7, '0', 2, 1, 1, 'ok', 'ok', '', 3)")
        db.execute(
            "INSERT INTO event (job_id, at_ms, what, detail) VALUES ('a', 1, 'admitted', '')"
        )
        yield db


def test_a_file_of_version_1_is_read_with_what_it_has_and_stays_as_it_is(
    old: sqlite3.Connection, tmp_path: Path
) -> None:
    old.execute(
        statements()["insert_job"],
        {"job_id": "a" * 32, "ticket_id": "t", "cpu_mhz": 1, "ram_mb": 2, "disk_mb": 3,
         "time_limit_s": 4, "price": 5, "image": "x", "offer": b"{}", "now_ms": 6},
    )  # fmt: skip
    with JournalReader(tmp_path / "old.db") as reader:
        assert reader.worker() == OLD_WORKER
        assert reader.reserved() == Capacity(1, 2, 3)
        assert [event.what for event in reader.events("a")] == ["admitted"]
        assert (reader.machine(), reader.missed(), reader.machine_notes()) == (None, (), ())
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader._db.execute("DELETE FROM job")
    assert old.execute("PRAGMA user_version").fetchone()[0] == 1


def test_a_file_without_tables_is_read_as_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    path.touch()
    with JournalReader(path) as reader:
        assert (reader.worker(), reader.jobs(), reader.earned()) == (None, (), 0)
    assert path.stat().st_size == 0


def test_a_file_of_version_1_is_brought_up_to_date_and_keeps_its_history(
    old: sqlite3.Connection, tmp_path: Path
) -> None:
    path = tmp_path / "old.db"
    old.close()
    with Journal(path, lambda: 0) as journal:
        assert journal.worker() == OLD_WORKER
        assert [event.what for event in journal.events("a")] == ["admitted"]
        assert journal.missed() == ()
    with Journal(path, lambda: 0) as again:
        assert again.machine() is None


def test_the_machine_s_changes_are_kept_newest_first_and_not_for_ever(journal: Journal) -> None:
    for number in range(NOTES_KEPT_MAX + 3):
        journal.write_machine(MachineRow(number, b"{}"), (f"change {number}",))
    assert journal.machine() == MachineRow(NOTES_KEPT_MAX + 2, b"{}")
    assert [note.text for note in journal.machine_notes()][:2] == ["change 102", "change 101"]
    count = journal._db.execute("SELECT COUNT(*) FROM machine_note").fetchone()[0]
    assert count == NOTES_KEPT_MAX


def test_missed_work_is_the_oracle_s_last_word_the_dearest_first(journal: Journal) -> None:
    journal.write_missed((MissedRow("cpu", 9, 1),))
    journal.write_missed((MissedRow("ram", 1, 5), MissedRow("price", 2, 50)))
    assert journal.missed() == (MissedRow("price", 2, 50), MissedRow("ram", 1, 5))


def test_a_foreign_newer_or_damaged_file_is_refused(tmp_path: Path, journal: Journal) -> None:
    path = tmp_path / "journal.db"
    with pytest.raises(JournalError, match="no worker has started"):
        JournalReader(tmp_path / "none.db")
    journal._db.execute("PRAGMA user_version = 99")
    journal.close()
    with pytest.raises(JournalError, match="version 99"):
        Journal(path, lambda: 0)
    path.write_bytes(b"no database at all, but long enough to be read as one" * 40)
    with pytest.raises(JournalError):
        Journal(path, lambda: 0)


def overwrite(path: Path, first: int = 2, last: int = 10_000) -> None:
    """Damage these pages of a file; the first one has the number 1."""
    content = bytearray(path.read_bytes())
    start, end = (first - 1) * PAGE_BYTES, min(last * PAGE_BYTES, len(content))
    content[start:end] = b"\xa5" * (end - start)
    path.write_bytes(content)


def test_a_page_that_was_overwritten_is_found_before_anything_is_written(
    tmp_path: Path, journal: Journal, admit: Admit
) -> None:
    for number in range(50):
        admit(f"{number:032x}", cpu_mhz=1, ram_mb=1, disk_mb=1)
    journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    journal.close()
    path = tmp_path / "journal.db"
    overwrite(path)
    with pytest.raises(JournalError, match=r"damaged|malformed"):
        Journal(path, lambda: 0)


def test_a_page_that_was_overwritten_is_told_when_it_is_read(
    tmp_path: Path, journal: Journal, admit: Admit
) -> None:
    admit()
    query = "SELECT rootpage FROM sqlite_schema WHERE name = 'job'"
    page = int(journal._db.execute(query).fetchone()[0])
    journal.close()
    overwrite(tmp_path / "journal.db", page, page)
    with (
        JournalReader(tmp_path / "journal.db") as reader,
        pytest.raises(JournalError, match=r"cannot use the journal .*: it is damaged: "),
    ):
        reader.jobs()


def test_an_old_file_with_a_page_that_was_overwritten_is_told_too(
    old: sqlite3.Connection, tmp_path: Path
) -> None:
    old.close()
    overwrite(tmp_path / "old.db")
    with (
        pytest.raises(JournalError, match=r"it is damaged: "),
        JournalReader(tmp_path / "old.db") as reader,
    ):
        reader.jobs()


def test_a_file_that_somebody_keeps_locked_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_file, "BUSY_TIMEOUT_S", 0)
    path = tmp_path / "journal.db"
    Journal(path, lambda: 0).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(JournalError, match=r"cannot use the journal .*locked"):
            JournalReader(path)


def test_a_reader_that_is_closed_is_our_mistake(journal: Journal) -> None:
    journal.close()
    with pytest.raises(sqlite3.ProgrammingError):
        journal.jobs()


def test_a_reader_may_come_while_the_worker_makes_the_file(tmp_path: Path) -> None:
    """What a reader sees of a new file is nothing or all of it, never half."""
    seen: list[int] = []
    for number in range(20):
        path, made = tmp_path / f"{number}.db", threading.Event()

        def look(path: Path = path, made: threading.Event = made) -> None:
            while not made.is_set():
                if path.exists():
                    JournalReader(path).close()
                    seen.append(1)

        with ThreadPoolExecutor(1) as pool:
            looking = pool.submit(look)
            Journal(path, lambda: 0).close()
            made.set()
            looking.result()
    assert seen


def test_an_image_is_ours_from_before_its_pull_until_it_is_forgotten(journal: Journal) -> None:
    journal.used_image("here@sha256:1", "sha256:1")  # one that was here before us
    assert journal.images() == ()
    journal.pulled_image("pulled@sha256:2")
    assert [(each.reference, each.image_id) for each in journal.images()] == [
        ("pulled@sha256:2", "")
    ]
    journal.used_image("pulled@sha256:2", "sha256:3")
    assert [each.image_id for each in journal.images()] == ["sha256:3"]
    journal.forget_image("pulled@sha256:2")
    assert journal.images() == ()


def test_the_first_time_that_the_engine_was_away_stays(
    admit: Callable[..., JobRow], journal: Journal
) -> None:
    job = admit()
    first = journal.engine_gone(job)
    assert first.engine_gone_ms is not None
    assert journal.engine_gone(first).engine_gone_ms == first.engine_gone_ms
    assert [each.what for each in journal.events(job.job_id)].count("engine_gone") == 1
