"""`nunet status`: the whole text, the whole JSON, and an exit code for each state."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

import pytest
from cli_world import ADDRESS, ADMITTED_MS, JOB, OTHER_JOB, PIN, Said, admit, word

from nunet_dms.cli import status
from nunet_dms.node.journal import Journal
from nunet_dms.node.journal_life import statements
from nunet_dms.node.rows import JobEnd, JobRow, MachineRow, MissedRow
from nunet_dms.node.states import State
from nunet_dms.paths import Paths

Nunet = Callable[..., Said]


def run_one_job(journal: Journal) -> None:
    admit(journal)
    admit(journal, OTHER_JOB)
    job = journal.move(journal.job(JOB), State.ACCEPTED)
    job = journal.move(journal.created(job, "c" * 64, "i"), State.STARTING)
    journal.started(job, 1, "boot", 1)


def end_job(journal: Journal, job_id: str, ran_ms: int) -> JobRow:
    """Let a job end well after so long, of its 60 s at a price of 500."""
    admit(journal, job_id)
    job = journal.move(journal.job(job_id), State.ACCEPTED)
    job = journal.move(journal.created(job, "c" * 64, "i"), State.STARTING)
    end = JobEnd("succeeded", "", 0, ran_ms, None, None, 1)
    return journal.ended(journal.started(job, 1, "boot", 1), end, f"{job_id}:report", b"{}")


@pytest.mark.usefixtures("lock")
def test_a_working_machine_is_shown_whole(
    nunet: Nunet, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status.time, "time", lambda: 10_000.0)
    journal.write_worker(word(started_s=6300, heartbeat_s=9999))
    run_one_job(journal)
    said = nunet("status")
    assert said == Said(
        0,
        f"""\
worker    running, process {os.getpid()}, for 1 h 1 min
oracle    ok (http://127.0.0.1:9980)
engine    ok
capacity  4000 MHz, 2000 MB RAM, 10000 MB disk
free      2000 MHz, 976 MB RAM, 9800 MB disk
jobs      1 running, 1 starting
earned    0 base units, 1000 base units pending, paid to {ADDRESS}
""",
        "",
    )


@pytest.mark.usefixtures("lock")
def test_the_json_is_the_same_facts_under_a_schema(
    nunet: Nunet, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status.time, "time", lambda: 10_000.0)
    journal.write_worker(word(started_s=6300, heartbeat_s=9999))
    run_one_job(journal)
    assert json.loads(nunet("status", "--json").out) == {
        "schema": "nunet.status/1",
        "health": "ok",
        "reason": "",
        "worker_pid": os.getpid(),
        "worker_version": "0.1.0",
        "uptime_s": 3700,
        "accepting": True,
        "oracle_url": "http://127.0.0.1:9980",
        "oracle_state": "ok",
        "engine_state": "ok",
        "wallet": ADDRESS,
        "cpu_mhz": 4000,
        "ram_mb": 2000,
        "disk_mb": 10000,
        "free_cpu_mhz": 2000,
        "free_ram_mb": 976,
        "free_disk_mb": 9800,
        "jobs_running": 1,
        "jobs_coming": 1,
        "outbox_waiting": 0,
        "outbox_worth": 0,
        "reports_parked": 0,
        "parked_worth": 0,
        "earned": 0,
        "pending": 1000,
        "token": "",
        "token_decimals": None,
        "note": "",
        "idle": [],
        "missed": [],
        "machine_notes": [],
    }


@pytest.mark.parametrize(
    ("changes", "code", "line"),
    [
        ({}, 0, "ok: worker {pid} runs 0 jobs, 0 reports wait"),
        ({"oracle_state": "down"}, 6, "Oracle: down"),
        ({"engine_state": "no\nsocket\x1b"}, 6, "container engine: no\\nsocket\\x1b"),
        ({"engine_state": "down", "ready": False}, 6, "container engine: down"),
        ({"ready": False}, 5, "the worker is starting or stopping"),
        ({"ready": False, "oracle_state": "not yet reached"}, 5,
         "the worker is starting or stopping"),
        ({"accepting": False, "note": "draining"}, 5, "no new jobs are taken: draining"),
        ({"accepting": False}, 5, "no new jobs are taken: no reason given"),
        ({"accepting": False, "hold": "disk_low", "hold_note": "no room"}, 5,
         "no new jobs are taken: no room"),
        ({"accepting": False, "hold": "paused", "hold_note": "paused by its owner"}, 0,
         "ok: worker {pid} runs 0 jobs, 0 reports wait; paused by its owner"),
        ({"accepting": False, "hold": "off_hours", "hold_note": "shut", "oracle_state": "down"}, 6,
         "Oracle: down"),
        ({"pid": 1}, 5, "the worker is just starting"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("lock")
def test_check_is_one_line_and_status_ends_with_the_same_code(
    changes: dict[str, object], code: int, line: str, nunet: Nunet, journal: Journal
) -> None:
    journal.write_worker(word(**changes))
    assert nunet("status", "--check") == Said(code, line.format(pid=os.getpid()) + "\n", "")
    assert nunet("status").code == code


@pytest.mark.usefixtures("lock")
def test_a_worker_that_is_silent_is_degraded_whatever_it_said_last(
    nunet: Nunet, journal: Journal
) -> None:
    journal.write_worker(word(heartbeat_s=int(time.time()) - 500, oracle_state="down"))
    said = nunet("status", "--check")
    assert said.code == 5
    assert said.out.startswith("the worker has said nothing for 50")


def test_not_onboarded_is_3(nunet: Nunet) -> None:
    assert nunet("status", "--check") == Said(3, "this machine is not onboarded\n", "")
    said = nunet("status")
    assert (said.code, said.out) == (3, "")
    assert "type: nunet onboard" in said.err


@pytest.mark.usefixtures("onboarded")
def test_not_running_is_4_and_says_what_to_type(nunet: Nunet) -> None:
    assert nunet("status", "--check") == Said(4, "the worker is not running\n", "")
    said = nunet("status")
    assert said.code == 4
    assert "worker    not running (type: nunet worker start)\n" in said.out


def test_a_lock_file_that_nobody_holds_is_not_a_worker(
    nunet: Nunet, journal: Journal, onboarded: Paths
) -> None:
    """As after kill -9: the old pid still stands in the file, and the row still says ready."""
    journal.write_worker(word())
    onboarded.lock_file.parent.mkdir()
    onboarded.lock_file.write_text(f"{os.getpid()}\n")
    assert nunet("status", "--check").code == 4


def test_a_broken_config_is_2(nunet: Nunet, onboarded: Paths) -> None:
    onboarded.config_file.write_text("[wallet\n")
    said = nunet("status", "--check")
    assert said.code == 2
    assert said.out.count("\n") == 1


def test_a_broken_journal_is_1_and_one_line(nunet: Nunet, onboarded: Paths) -> None:
    onboarded.state_dir.mkdir(exist_ok=True)
    onboarded.journal.write_bytes(b"no database" * 1000)
    said = nunet("status", "--check")
    assert said.code == 1
    assert said.out.startswith("cannot use the journal")
    assert said.out.count("\n") == 1


@pytest.mark.usefixtures("lock")
def test_a_journal_without_tables_is_a_worker_that_starts(nunet: Nunet, onboarded: Paths) -> None:
    onboarded.state_dir.mkdir(exist_ok=True)
    sqlite3.connect(onboarded.journal).close()
    onboarded.journal.touch()
    assert nunet("status", "--check") == Said(5, "the worker is just starting\n", "")


@pytest.mark.usefixtures("lock")
def test_a_worker_of_the_version_before_an_update_is_shown_with_all_it_has_written(
    nunet: Nunet, onboarded: Paths
) -> None:
    sql = statements()
    onboarded.state_dir.mkdir(exist_ok=True)
    with closing(sqlite3.connect(onboarded.journal, isolation_level=None)) as db:
        db.executescript(sql["schema"])
        now_s = int(time.time())
        db.execute(
            "INSERT INTO worker VALUES (1, ?, '0.0.9', ?, 1, 1, 'ok', 'ok', '', ?)",
            (os.getpid(), now_s - 60, now_s),
        )
        for job_id in (JOB, OTHER_JOB):
            values = {"job_id": job_id, "ticket_id": job_id, "cpu_mhz": 1000, "ram_mb": 512}
            values |= {"disk_mb": 100, "time_limit_s": 60, "price": 500, "image": "x", "now_ms": 1}
            db.execute(sql["insert_job"], values | {"offer": b"{}"})
        db.execute("UPDATE job SET state = 'settled', earned = 400 WHERE job_id = ?", (JOB,))
        said = nunet("status", "--json")
    facts = json.loads(said.out)
    assert (said.code, facts["worker_version"], facts["earned"]) == (0, "0.0.9", 400)
    assert (facts["free_cpu_mhz"], facts["jobs_coming"]) == (3000, 1)


def test_a_damaged_page_is_1_and_one_line_with_its_cure(nunet: Nunet, onboarded: Paths) -> None:
    with Journal(onboarded.journal, lambda: ADMITTED_MS) as journal:
        admit(journal)
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'job'"
        page = journal._db.execute(query).fetchone()[0]
    with onboarded.journal.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)
    said = nunet("status")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"nunet: cannot use the journal {onboarded.journal}: it is damaged")
    assert said.err.count("\n") == 2
    assert said.err.endswith("or begin anew with: nunet worker set-aside\n")


@pytest.mark.usefixtures("lock")
def test_waiting_reports_are_shown(nunet: Nunet, journal: Journal) -> None:
    journal.write_worker(word(accepting=False, note="the Oracle refused"))
    end_job(journal, JOB, 30_000)
    admit(journal, OTHER_JOB)
    said = nunet("status")
    waits = "1 reports worth 250 base units wait for the Oracle"
    assert f"jobs      0 running, 1 starting, {waits}\n" in said.out
    assert said.out.endswith("degraded  no new jobs are taken: the Oracle refused\n")


@pytest.mark.usefixtures("lock")
def test_amounts_have_the_decimals_of_the_pinned_oracle_s_token(
    nunet: Nunet, journal: Journal
) -> None:
    journal.write_worker(word())
    journal.pin_oracle("http://127.0.0.1:9980", PIN)
    admit(journal)
    assert f"earned    0 mNTX, 0.0005 mNTX pending, paid to {ADDRESS}\n" in nunet("status").out


@pytest.mark.usefixtures("lock")
def test_what_is_free_is_of_what_the_machine_still_has(nunet: Nunet, journal: Journal) -> None:
    journal.write_worker(word(sold_cpu_mhz=3000, sold_ram_mb=1500))
    admit(journal)
    assert "free      2000 MHz, 988 MB RAM, 9900 MB disk\n" in nunet("status").out


@pytest.mark.usefixtures("lock")
def test_what_the_worker_wants_said_is_shown(nunet: Nunet, journal: Journal) -> None:
    journal.write_worker(word(note="the machine has become smaller"))
    assert "\nnote      the machine has become smaller\n" in nunet("status").out


@pytest.mark.usefixtures("lock")
def test_an_idle_machine_says_why_and_what_changed_in_it(
    nunet: Nunet, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = ADMITTED_MS / 1000 + 60
    monkeypatch.setattr(status.time, "time", lambda: now_s)
    hold = {"accepting": False, "hold": "paused", "hold_note": "paused by its owner"}
    journal.write_worker(word(heartbeat_s=int(now_s), started_s=int(now_s), **hold))
    journal.write_missed((MissedRow("cpu", 2, 70), MissedRow("dearer", 1, 5)))
    journal.write_machine(MachineRow(1, b"{}"), ("RAM shrank from 8000 to 4000 MB",))
    said = nunet("status")
    assert said.code == 0
    assert said.out.endswith(
        """\
idle      paused by its owner
          2 requests within a day asked for more CPU than was free, worth 70 base units\
 (to change it: nunet config set capacity.cpu_mhz MHZ)
          1 request within a day went to another node, as cheap or cheaper, worth 5 base units\
 (to change it: nunet config set price.per_ghz_hour UNITS)
machine   2023-11-14 22:13:20 +0000  RAM shrank from 8000 to 4000 MB
"""
    )
    facts = json.loads(nunet("status", "--json").out)
    assert (facts["health"], facts["accepting"]) == ("resting", False)
    assert [why["code"] for why in facts["idle"]] == ["paused", "missed_cpu", "missed_dearer"]
    assert facts["missed"][0] == {"reason": "cpu", "count": 2, "would_pay": 70}
    assert facts["machine_notes"][0]["text"] == "RAM shrank from 8000 to 4000 MB"


@pytest.mark.usefixtures("lock")
def test_what_changed_long_ago_is_not_shown_any_more(nunet: Nunet, journal: Journal) -> None:
    journal.write_worker(word())
    journal.write_machine(MachineRow(1, b"{}"), ("RAM shrank from 8000 to 4000 MB",))
    assert "RAM shrank" not in nunet("status").out
    assert json.loads(nunet("status", "--json").out)["machine_notes"] == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3661, "1 h 1 min"), (90_000, "1 d 1 h")],
)
def test_a_duration_has_its_two_largest_units(seconds: int, text: str) -> None:
    assert status.duration(seconds) == text


@pytest.mark.usefixtures("lock")
def test_what_waits_in_the_outbox_and_what_will_never_go_is_told_with_its_worth(
    nunet: Nunet, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status.time, "time", lambda: ADMITTED_MS / 1000)
    journal.write_worker(word())
    end_job(journal, JOB, 30_000)
    journal.parked(end_job(journal, OTHER_JOB, 6000), "its result a.txt is gone")
    said = nunet("status").out
    assert "1 reports worth 250 base units wait for the Oracle" in said
    assert "lost      1 reports worth 50 base units cannot be delivered" in said
    facts = json.loads(nunet("status", "--json").out)
    names = ("outbox_waiting", "outbox_worth", "reports_parked", "parked_worth")
    assert [facts[name] for name in names] == [1, 250, 1, 50]
    shown = nunet("jobs", "show", OTHER_JOB).out
    assert "report    worth 50 base units; it is kept: its result a.txt is gone" in shown
    assert (
        "report    worth 250 base units; it waits for the Oracle" in nunet("jobs", "show", JOB).out
    )
    assert json.loads(nunet("jobs", "show", JOB, "--json").out)["report"] == {
        "worth": 250, "parked": "",
    }  # fmt: skip


@pytest.mark.usefixtures("lock")
def test_a_report_that_was_lost_long_ago_is_not_told_any_more(
    nunet: Nunet, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.write_worker(word())
    journal.parked(end_job(journal, JOB, 30_000), "refused")
    later_s = ADMITTED_MS / 1000 + status.NOTES_FOR_S + 1
    monkeypatch.setattr(status.time, "time", lambda: later_s)
    assert "lost" not in nunet("status").out
