"""`nunet worker`: a real detached process under a real lock, with a stand-in for its work."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_world import Said, admit, word

from nunet_dms.cli import worker
from nunet_dms.errors import DegradedError, NunetError, UsageError
from nunet_dms.node.journal import Journal
from nunet_dms.node.lock import WorkerLock, holder
from nunet_dms.paths import Paths

Nunet = Callable[..., Said]

STAND_IN = """\
#!{python}
import os, signal, sys, time
from nunet_dms.node.journal import Journal
from nunet_dms.node.lock import WorkerLock
from nunet_dms.node.rows import WorkerRow
from nunet_dms.paths import resolve
signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM}})
where = resolve()
lock = WorkerLock(where.lock_file)
now = int(time.time())
row = WorkerRow(os.getpid(), "0", now, {ready}, True, "ok", "down", "", now)
Journal(where.journal, lambda: now).write_worker(row)
print("cwd", os.getcwd(), "umask", oct(os.umask(0)), "session", os.getsid(0) == os.getpid())
print("stdin", os.readlink("/proc/self/fd/0"), flush=True)
signal.sigwait({{signal.SIGTERM}})
"""


@pytest.fixture
def program(
    onboarded: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], None]]:
    """Let `nunet-dms` be a program of this text; what it leaves running is ended."""
    path = tmp_path / "nunet-dms"

    def write(text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    monkeypatch.setattr(worker, "find_program", lambda: str(path))
    children: list[object] = []
    spawn = worker._spawn
    monkeypatch.setattr(
        worker, "_spawn", lambda *args: children.append(child := spawn(*args)) or child
    )
    yield write
    if (pid := holder(onboarded.lock_file)) not in {None, os.getpid()}:
        os.kill(pid or 0, signal.SIGKILL)
    for child in children:
        child.kill()  # type: ignore[attr-defined]
        child.wait()  # type: ignore[attr-defined]


def stand_in(*, ready: bool = True) -> str:
    return STAND_IN.format(python=sys.executable, ready=ready)


def test_start_returns_when_the_worker_is_ready_and_stop_when_it_is_gone(
    program: Callable[[str], None], nunet: Nunet, onboarded: Paths
) -> None:
    program(stand_in())
    started = nunet("worker", "start")
    pid = holder(onboarded.lock_file)
    assert started == Said(
        0, f"worker started (process {pid}), log in {onboarded.worker_log}\nengine: down\n", ""
    )
    again = json.loads(nunet("worker", "start", "--json").out)
    assert (again["pid"], again["already_running"]) == (pid, True)
    assert nunet("worker", "stop").out == f"worker stopped (process {pid})\n"
    assert holder(onboarded.lock_file) is None
    assert nunet("worker", "stop") == Said(0, "the worker is not running\n", "")


def test_the_worker_is_detached_from_the_terminal(
    program: Callable[[str], None], nunet: Nunet, onboarded: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(onboarded.config_dir.parent)
    monkeypatch.setenv("NUNET_HOME", onboarded.config_dir.name)  # relative: it must not move
    program(stand_in())
    assert nunet("worker", "start").code == 0
    nunet("worker", "stop")
    assert onboarded.worker_log.read_text() == ("cwd / umask 0o77 session True\nstdin /dev/null\n")
    assert onboarded.worker_log.stat().st_mode & 0o777 == 0o600


def test_a_worker_that_ends_at_once_is_shown_with_the_end_of_its_log(
    program: Callable[[str], None], nunet: Nunet
) -> None:
    program("#!/bin/sh\necho first\nprintf 'cannot: \\033[2J'\nexit 3\n")
    said = nunet("worker", "start")
    assert (said.code, said.out) == (1, "")
    assert "cannot start the worker: it ended with code 3; the end of" in said.err
    assert said.err.endswith("first\ncannot: \\x1b[2J\n")


def test_a_worker_that_does_not_get_ready_is_degraded_with_the_reason(
    program: Callable[[str], None], onboarded: Paths
) -> None:
    program(stand_in(ready=False))
    with pytest.raises(DegradedError, match=r"not ready after 1 s: container engine: down"):
        worker.start_worker(onboarded, 1)


def test_a_worker_that_another_start_has_begun_counts_as_running(
    program: Callable[[str], None], onboarded: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our process found the lock taken, and ended."""
    program("#!/bin/sh\nexit 1\n")
    held = WorkerLock(onboarded.lock_file)
    answers = iter([None])
    monkeypatch.setattr(worker, "holder", lambda path: next(answers, holder(path)))
    assert worker.start_worker(onboarded).already_running
    held.release()


def test_a_large_log_is_put_aside_at_a_start(
    program: Callable[[str], None], onboarded: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOG_MAX_BYTES", 3)
    onboarded.state_dir.mkdir()
    onboarded.worker_log.write_text("old words")
    program("#!/bin/sh\nexit 1\n")
    with pytest.raises(NunetError):
        worker.start_worker(onboarded)
    assert (onboarded.state_dir / "worker.log.1").read_text() == "old words"
    assert onboarded.worker_log.read_text() == ""


@pytest.mark.parametrize("words", [("start",), ("run",)])
def test_without_settings_nothing_is_started(words: tuple[str, ...], nunet: Nunet) -> None:
    assert nunet("worker", *words).code == 3


def test_run_becomes_the_worker(
    nunet: Nunet, onboarded: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Become(Exception):  # noqa: N818 - no error
        pass

    def execv(path: str, arguments: list[str]) -> None:
        raise Become(path, arguments)

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr(worker, "find_program", lambda: "/bin/nunet-dms")
    with pytest.raises(Become) as became:
        nunet("worker", "run")
    assert became.value.args == ("/bin/nunet-dms", ["/bin/nunet-dms"])
    assert os.environ["NUNET_HOME"] == str(onboarded.config_dir)


@pytest.mark.usefixtures("lock")
def test_stop_gives_up_after_its_time_and_says_what_would_help(
    nunet: Nunet, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.write_worker(word())
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *call: sent.append(call))
    said = nunet("worker", "stop", "--timeout", "0")
    pid = os.getpid()
    assert sent == [(pid, signal.SIGTERM)]
    assert said.code == 1
    assert f"process {pid} still runs after 0 s" in said.err
    assert f"kill -9 {pid}" in said.err


@pytest.mark.usefixtures("lock")
def test_another_user_s_worker_cannot_be_stopped(
    nunet: Nunet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    said = nunet("worker", "stop")
    assert said.code == 2
    assert "belongs to another user" in said.err


def test_the_program_is_the_environment_s_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    with pytest.raises(UsageError, match="cannot find the program nunet-dms"):
        worker.find_program()
    for folder in ("elsewhere", "bin"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "nunet-dms").touch(mode=0o755)
        assert worker.find_program() == str(tmp_path / folder / "nunet-dms")


def test_a_journal_is_set_aside_with_a_word_on_what_that_gives_up(
    nunet: Nunet, onboarded: Paths
) -> None:
    with Journal(onboarded.journal, lambda: 1) as journal:
        admit(journal)
    said = nunet("worker", "set-aside", "--yes")
    (folder,) = onboarded.state_dir.glob("journal-*Z")
    assert said == Said(
        0,
        f"the journal is in {folder}; open jobs that are given up: 1; reports that the Oracle does"
        " not have: 0\n"
        "the next start makes a new one, removes containers that are left, and trusts the Oracle's"
        " key at first contact unless config.toml names it\n",
        "",
    )
    assert {"journal.db", "journal.id"} <= {file.name for file in folder.iterdir()}
    again = nunet("worker", "set-aside", "--yes")
    assert (again.code, again.out) == (2, "")
    assert "cannot set the journal aside: there is none at" in again.err


def test_a_journal_is_not_set_aside_without_a_yes(nunet: Nunet, onboarded: Paths) -> None:
    Journal(onboarded.journal, lambda: 1).close()
    said = nunet("worker", "set-aside")
    assert said.code == 2
    assert "nobody can be asked here; open jobs that are given up: 0" in said.err
    assert "--yes" in said.err
    assert onboarded.journal.exists()


@pytest.mark.usefixtures("lock")
def test_a_running_worker_s_journal_is_not_set_aside(nunet: Nunet, journal: Journal) -> None:
    said = nunet("worker", "set-aside", "--yes")
    assert said.code == 2
    assert f"the worker (process {os.getpid()}) has it open" in said.err
    assert "nunet worker stop" in said.err
    assert journal.jobs() == ()


@pytest.mark.parametrize("words", [("status",), ("jobs",), ("earnings",), ("offboard", "--yes")])
def test_a_journal_that_is_gone_is_not_taken_for_none(
    words: tuple[str, ...], nunet: Nunet, onboarded: Paths
) -> None:
    Journal(onboarded.journal, lambda: 1).close()
    onboarded.journal.unlink()
    said = nunet(*words)
    assert (said.code, said.out) == (1, "")
    assert f"cannot use the journal {onboarded.journal}: it is gone" in said.err
