"""`nunet jobs`: list, show, logs, cancel, from the journal and the job's folder."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest
from cli_world import JOB, OTHER_JOB, Said, admit

from nunet_dms.cli import jobs
from nunet_dms.node.housekeeping import LOG_KEPT_S, LOGS_KEPT_BYTES
from nunet_dms.node.journal import Journal
from nunet_dms.node.rows import JobEnd
from nunet_dms.node.states import State
from nunet_dms.paths import Paths

Nunet = Callable[..., Said]
HOSTILE = "\x1b[31m detail"


def end(journal: Journal, job_id: str = JOB) -> None:
    job = journal.move(journal.job(job_id), State.ACCEPTED)
    ending = JobEnd("failed", HOSTILE, 3, 1500, None, None, None)
    journal.ended(job, ending, job_id, b"{}")


def test_before_the_first_job_there_is_nothing(nunet: Nunet) -> None:
    assert nunet("jobs") == Said(0, "no jobs yet\n", "")
    assert nunet("jobs", "--json").out == '{"schema": "nunet.jobs/1", "jobs": []}\n'


def test_the_list_alone_or_by_name(nunet: Nunet, journal: Journal) -> None:
    admit(journal)
    admit(journal, OTHER_JOB)
    end(journal)
    said = nunet("jobs")
    assert said == nunet("jobs", "list")
    assert said == Said(
        0,
        """\
JOB           STATE     REASON  CPU MHZ  RAM MB  RAN S  EARNED  TAKEN AT
abababababab  exited    failed  1000     512     1.5            2023-11-14 22:13:20 +0000
acacacacacac  admitted          1000     512     0.0            2023-11-14 22:13:20 +0000
""",
        "",
    )
    listed = json.loads(nunet("jobs", "--json").out)["jobs"]
    assert [(job["job_id"], job["state"]) for job in listed] == [
        (JOB, "exited"),
        (OTHER_JOB, "admitted"),
    ]


def test_one_job_with_its_story(nunet: Nunet, journal: Journal) -> None:
    admit(journal)
    end(journal)
    assert nunet("jobs", "show", "abab") == Said(
        0,
        f"""\
job       {JOB}
state     exited (failed)
image     alpine@sha256:{"0" * 64}
promised  1000 MHz, 512 MB RAM, 100 MB disk, 60 s
price     500 base units; earned -
detail    \\x1b[31m detail
exit code 3 after 1.5 s
report    worth 13 base units; it waits for the Oracle
2023-11-14 22:13:20 +0000  admitted
2023-11-14 22:13:20 +0000  accepted
2023-11-14 22:13:20 +0000  exited  failed
""",
        "",
    )
    facts = json.loads(nunet("jobs", "show", "abab", "--json").out)
    assert facts["schema"] == "nunet.job/1"
    assert facts["job"]["exit_code"] == 3
    assert [event["what"] for event in facts["events"]] == ["admitted", "accepted", "exited"]


@pytest.mark.parametrize(("stored", "where"), [(False, "not sent yet"), (True, "at the Oracle")])
def test_a_saved_job_says_when_and_whether_the_oracle_has_it(
    nunet: Nunet, journal: Journal, stored: bool, where: str
) -> None:
    admit(journal)
    journal.checkpointed(JOB, 3, 1_700_000_000_000, b"sealed")
    if stored:
        journal.checkpoint_stored(JOB, 3)
    said = nunet("jobs", "show", "abab").out
    assert f"saved     2023-11-14 22:13:20 +0000, checkpoint 3, {where}\n" in said
    facts = json.loads(nunet("jobs", "show", "abab", "--json").out)
    assert facts["checkpoint"] == {"number": 3, "taken_ms": 1_700_000_000_000, "stored": stored}


@pytest.mark.parametrize(
    ("prefix", "why"), [("a", "several jobs begin so"), ("ff", "there is none"), ("", "several")]
)
@pytest.mark.parametrize("verb", ["show", "logs", "cancel"])
def test_a_prefix_must_name_one_job(
    verb: str, prefix: str, why: str, nunet: Nunet, journal: Journal
) -> None:
    admit(journal)
    admit(journal, OTHER_JOB)
    said = nunet("jobs", verb, prefix)
    assert (said.code, said.out) == (2, "")
    assert why in said.err


def test_a_log_that_is_not_kept_any_more_is_said_to_be(nunet: Nunet, journal: Journal) -> None:
    admit(journal)
    assert nunet("jobs", "logs", "abab") == Said(0, "", "")  # it has not begun
    journal.move(journal.job(JOB), State.LOST, "somebody else took it")
    said = nunet("jobs", "logs", "abab")
    assert (said.code, said.out) == (2, "")
    assert "there is none, or none any more" in said.err
    assert f"{LOG_KEPT_S // 86_400} days, {LOGS_KEPT_BYTES // 1024**3} GiB" in said.err


def test_logs_are_byte_for_byte_in_a_pipe(nunet: Nunet, journal: Journal, onboarded: Paths) -> None:
    admit(journal)
    folder = onboarded.jobs_dir / JOB
    folder.mkdir(parents=True)
    (folder / "log").write_bytes(b"one\x1b[0m\n" * 100_000)
    said = nunet("jobs", "logs", "abab")
    assert said.out == "one\x1b[0m\n" * 100_000


def test_a_job_without_a_log_prints_nothing(nunet: Nunet, journal: Journal) -> None:
    admit(journal)
    assert nunet("jobs", "logs", "abab") == Said(0, "", "")


def test_following_goes_on_until_the_job_ends_and_misses_nothing(
    nunet: Nunet, journal: Journal, onboarded: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit(journal)
    log = onboarded.jobs_dir / JOB / "log"
    log.parent.mkdir(parents=True)
    log.write_text("one\n")

    class World(threading.Event):
        """Time passes only here: the job writes on, then ends with a last line."""

        def wait(self, timeout: float | None = None) -> bool:
            assert timeout == jobs.FOLLOW_EVERY_S
            with log.open("a") as file:
                if log.stat().st_size == 4:
                    file.write("two\n")
                else:
                    end(journal)
                    file.write("last\n")
            return False

    monkeypatch.setattr(jobs.threading, "Event", World)
    assert nunet("jobs", "logs", "-f", "abab") == Said(0, "one\ntwo\nlast\n", "")


@pytest.mark.usefixtures("lock")
def test_cancel_leaves_a_wish_for_the_worker_and_says_who_gets_the_price(
    nunet: Nunet, journal: Journal, onboarded: Paths
) -> None:
    admit(journal)
    for _ in range(2):
        said = nunet("jobs", "cancel", "abab")
        assert said.code == 0
        assert said.out == (
            f"job {JOB} is being stopped; its requester gets the whole price back\n"
        )
    assert [wish.name for wish in onboarded.cancel_dir.iterdir()] == [JOB]


@pytest.mark.usefixtures("lock")
def test_what_has_ended_cannot_be_cancelled(
    nunet: Nunet, journal: Journal, onboarded: Paths
) -> None:
    admit(journal)
    end(journal)
    said = nunet("jobs", "cancel", "abab")
    assert said.code == 2
    assert said.err == f"nunet: cannot cancel job {JOB}: it is exited already\n"
    assert not onboarded.cancel_dir.exists()


def test_without_a_worker_nobody_would_stop_it(nunet: Nunet, journal: Journal) -> None:
    admit(journal)
    said = nunet("jobs", "cancel", "abab")
    assert said.code == 4
    assert "type: nunet worker start" in said.err


@pytest.mark.usefixtures("lock")
def test_a_wish_that_cannot_be_written_is_one_line(
    nunet: Nunet, journal: Journal, onboarded: Paths
) -> None:
    admit(journal)
    onboarded.cancel_dir.touch()
    assert nunet("jobs", "cancel", "abab") == Said(
        1, "", f"nunet: cannot write {onboarded.cancel_dir / JOB}: File exists\n"
    )
