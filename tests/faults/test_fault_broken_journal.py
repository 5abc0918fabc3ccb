"""A journal that was damaged, emptied or taken away: no worker begins, and one command helps."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from nunet_dms.node.journal_life import log_file
from tests.faults.conftest import END_WAIT_S, Home

PAGE_BYTES = 4096


def _overwrite(path: Path, start: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(content)


def _cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // PAGE_BYTES * PAGE_BYTES)


STOPPED: dict[str, tuple[Callable[[Path], object], str]] = {
    "its header overwritten": (lambda path: _overwrite(path, 0, bytes(100)), "it is damaged"),
    "a page overwritten": (
        lambda path: _overwrite(path, PAGE_BYTES, b"\xa5" * PAGE_BYTES), "it is damaged"
    ),
    "cut short": (_cut, "it is damaged"),
    "zeros": (lambda path: path.write_bytes(bytes(path.stat().st_size)), "it is damaged"),
    "empty": (lambda path: path.write_bytes(b""), "it is empty"),
    "gone": (Path.unlink, "it is gone"),
}  # fmt: skip


@pytest.mark.parametrize("damage", STOPPED)
def test_a_worker_refuses_a_broken_journal_until_it_is_set_aside(home: Home, damage: str) -> None:
    worker = home.turning()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(END_WAIT_S) == 0
    spoil, why = STOPPED[damage]
    spoil(home.where.journal)
    check_refusal_and_cure(home, why)


def test_a_worker_that_was_killed_is_not_followed_where_its_log_was_deleted(home: Home) -> None:
    home.kill(home.turning())
    log_file(home.where.journal).unlink()
    assert home.nunet("status").returncode == 1  # a reader makes an empty log anew
    check_refusal_and_cure(
        home, f"what was written last is gone with {log_file(home.where.journal)}"
    )


def check_refusal_and_cure(home: Home, why: str) -> None:
    """See that the trouble is told everywhere, and that one command ends it."""
    words = home.refused()
    assert f"nunet-dms: cannot use the journal {home.where.journal}: {why}" in words
    assert "nunet worker set-aside" in words
    assert "Traceback" not in words
    findings = json.loads(home.nunet("doctor", "--json").stdout)["findings"]
    (told,) = [finding for finding in findings if finding["id"] == "node.journal"]
    assert (told["severity"], why in told["found"]) == ("error", True)
    assert "nunet worker set-aside" in told["cure"]
    assert home.nunet("worker", "set-aside").returncode == 2  # nobody can be asked
    done = home.nunet("worker", "set-aside", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    folder = Path(json.loads(done.stdout)["folder"])
    assert (folder / "journal.id").exists()
    home.turning()
    assert home.nunet("worker", "set-aside", "--yes").returncode == 2  # a worker has it open
