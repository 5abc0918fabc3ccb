"""`nunet offboard`: nothing in hand is lost, keys and history stay, settings are put aside."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_world import JOB, OTHER_JOB, Said, admit, word

from nunet_dms.cli import offboard
from nunet_dms.cli.worker import Started, Stopped
from nunet_dms.node.journal import Journal
from nunet_dms.node.lock import WorkerLock
from nunet_dms.node.pause import read_pause
from nunet_dms.node.rows import JobEnd
from nunet_dms.node.states import State
from nunet_dms.paths import Paths

Nunet = Callable[..., Said]


@pytest.fixture(autouse=True)
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No process is stopped; what would have been is noted."""
    did: list[str] = []

    def stop(_: Paths) -> Stopped:
        did.append("stop")
        return Stopped(None, 0)

    def start(where: Paths) -> Started:
        did.append("start")
        return Started(1, False, "ok", "ok", str(where.worker_log))

    monkeypatch.setattr(offboard, "stop_worker", stop)
    monkeypatch.setattr(offboard, "start_worker", start)
    return did


@pytest.fixture
def hears(journal: Journal, lock: WorkerLock) -> None:
    """The worker has heard that it is to take no new jobs."""
    assert lock
    journal.write_worker(word(hold="offboarding"))


@pytest.fixture
def keys(onboarded: Paths) -> tuple[Path, ...]:
    """The node's two keys and a wallet."""
    files = (
        onboarded.identity_key,
        onboarded.settlement_key,
        onboarded.wallets_dir / "provider.skey",
    )
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("secret")
    return files


def end(journal: Journal, job_id: str = JOB) -> None:
    """Let a job run to its end; its report has not reached the Oracle yet."""
    job = journal.move(journal.job(job_id), State.ACCEPTED)
    journal.ended(job, JobEnd("failed", "", 1, 1, None, None, None), job_id, b"{}")


def settle(journal: Journal, job_id: str = JOB) -> None:
    journal.settled(journal.reported(journal.job(job_id)), 1, "tx")


def is_onboarded(home: Paths) -> bool:
    return home.config_file.exists()


@pytest.mark.usefixtures("journal")
def test_a_machine_without_open_jobs_leaves_at_once(
    nunet: Nunet, onboarded: Paths, keys: tuple[Path, ...], stopped: list[str]
) -> None:
    said = nunet("offboard", "--yes")
    kept = f"{onboarded.config_file}.offboarded"
    assert said == Said(
        0,
        f"offboarded; the settings are kept in {kept}\n"
        "keys, wallets and the history of jobs stay for the next onboarding\n",
        "",
    )
    assert not is_onboarded(onboarded)
    assert Path(kept).exists()
    assert all(key.exists() for key in keys)
    assert onboarded.journal.exists()
    assert not onboarded.pause_file.exists()
    assert stopped == ["stop"]


def test_the_keys_go_only_when_told_and_the_wallet_stays(
    nunet: Nunet, onboarded: Paths, keys: tuple[Path, ...]
) -> None:
    said = json.loads(nunet("offboard", "--yes", "--delete-keys", "--json").out)
    assert said == {
        "schema": "nunet.offboard/1",
        "settings_kept_in": f"{onboarded.config_file}.offboarded",
        "keys_deleted": True,
        "jobs_left": 0,
    }
    assert [key.exists() for key in keys] == [False, False, True]


@pytest.mark.usefixtures("hears")
def test_jobs_in_hand_are_waited_for_while_no_new_ones_are_taken(
    nunet: Nunet, journal: Journal, onboarded: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit(journal)

    class World(threading.Event):
        """Time passes only here: the job ends, then it is paid."""

        def wait(self, timeout: float | None = None) -> bool:
            assert timeout == offboard.LOOK_EVERY_S
            pause = read_pause(onboarded.pause_file, 0)
            assert pause is not None
            assert pause.offboarding
            if journal.job(JOB).state is State.ADMITTED:
                end(journal)
            else:
                settle(journal)
            return False

    monkeypatch.setattr(offboard.threading, "Event", World)
    said = nunet("offboard", "--yes")
    assert said.code == 0
    assert said.err == "waiting: 1 job in hand\nwaiting: 1 to be reported or paid\n"
    assert not is_onboarded(onboarded)


@pytest.mark.usefixtures("hears")
def test_when_time_is_over_it_stays_onboarded_and_says_what_is_open(
    nunet: Nunet, journal: Journal, onboarded: Paths, stopped: list[str]
) -> None:
    admit(journal)
    admit(journal, OTHER_JOB)
    end(journal, OTHER_JOB)
    said = nunet("offboard", "--yes", "--timeout", "0")
    assert (said.code, said.out) == (5, "")
    assert "cannot offboard yet: 1 job in hand, 1 to be reported or paid\n" in said.err
    assert is_onboarded(onboarded)
    assert onboarded.pause_file.exists()
    assert stopped == []
    assert nunet("resume").code == 0


def test_without_a_worker_nobody_would_finish_them(
    nunet: Nunet, journal: Journal, onboarded: Paths
) -> None:
    admit(journal)
    for words in (("offboard", "--yes"), ("offboard", "--yes", "--force")):
        said = nunet(*words)
        assert said.code == 4
        assert "type: nunet worker start" in said.err
        assert is_onboarded(onboarded)


@pytest.mark.usefixtures("hears")
def test_force_stops_what_runs_and_does_not_wait_for_the_payout(
    nunet: Nunet, journal: Journal, onboarded: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit(journal)
    monkeypatch.setattr(offboard, "FORCED_WAIT_S", 0.0)
    said = nunet("offboard", "--yes", "--force")
    assert said.code == 5  # the worker has not stopped it yet
    assert [wish.name for wish in onboarded.cancel_dir.iterdir()] == [JOB]
    end(journal)
    said = nunet("offboard", "--yes", "--force")
    assert said.code == 0
    assert "1 jobs are not settled yet" in said.out
    assert not is_onboarded(onboarded)


@pytest.mark.usefixtures("hears")
def test_keys_that_a_payout_still_needs_are_not_deleted(
    nunet: Nunet,
    journal: Journal,
    onboarded: Paths,
    keys: tuple[Path, ...],
    stopped: list[str],
) -> None:
    admit(journal)
    end(journal)
    said = nunet("offboard", "--yes", "--force", "--delete-keys", "--timeout", "0")
    assert said.code == 5
    assert "1 to be reported or paid" in said.err
    assert all(key.exists() for key in keys)
    assert is_onboarded(onboarded)
    assert stopped == []


@pytest.mark.usefixtures("lock")
def test_a_worker_that_has_not_heard_yet_is_waited_for(
    nunet: Nunet, journal: Journal, stopped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.write_worker(word())
    looks: list[float | None] = []

    class World(threading.Event):
        """The worker hears of it at the second look."""

        def wait(self, timeout: float | None = None) -> bool:
            assert stopped == []
            looks.append(timeout)
            if len(looks) == 2:
                journal.write_worker(word(hold="offboarding"))
            return False

    monkeypatch.setattr(offboard.threading, "Event", World)
    assert nunet("offboard", "--yes").code == 0
    assert len(looks) == 2


@pytest.mark.usefixtures("hears")
def test_a_job_that_came_in_at_the_last_moment_is_finished_too(
    nunet: Nunet, journal: Journal, stopped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: Paths) -> Stopped:
        stopped.append("stop")
        if stopped == ["stop"]:
            admit(journal)
        return Stopped(1, 0)

    class World(threading.Event):
        """The job ends and is paid while it is waited for."""

        def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - as the real one
            end(journal)
            settle(journal)
            return False

    monkeypatch.setattr(offboard, "stop_worker", stop)
    monkeypatch.setattr(offboard.threading, "Event", World)
    assert nunet("offboard", "--yes").code == 0
    assert stopped == ["stop", "start", "stop"]


def test_where_nobody_can_be_asked_yes_is_needed(nunet: Nunet, onboarded: Paths) -> None:
    said = nunet("offboard")
    assert said.code == 2
    assert "if you are sure: --yes" in said.err
    assert is_onboarded(onboarded)
    assert not onboarded.pause_file.exists()


def test_no_means_that_nothing_changes(
    nunet: Nunet, onboarded: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offboard.render, "can_ask", lambda: True)
    monkeypatch.setattr(offboard.render, "confirm", lambda _: False)
    assert nunet("offboard").code == 2
    assert is_onboarded(onboarded)
    assert not onboarded.pause_file.exists()


def test_a_machine_that_is_not_onboarded_exits_3(nunet: Nunet) -> None:
    assert nunet("offboard", "--yes").code == 3


@pytest.mark.usefixtures("full_disk")
def test_where_the_pause_cannot_be_written_nothing_else_is_done(
    nunet: Nunet, onboarded: Paths, stopped: list[str]
) -> None:
    assert nunet("offboard", "--yes") == Said(
        1, "", f"nunet: cannot write {onboarded.pause_file}: No space left on device\n"
    )
    assert is_onboarded(onboarded)
    assert stopped == []


@pytest.mark.usefixtures("lock")
def test_a_wish_to_stop_a_job_that_cannot_be_written_is_one_line(
    nunet: Nunet, onboarded: Paths, journal: Journal
) -> None:
    admit(journal)
    onboarded.cancel_dir.touch()
    assert nunet("offboard", "--yes", "--force") == Said(
        1, "", f"nunet: cannot write {onboarded.cancel_dir / JOB}: File exists\n"
    )
