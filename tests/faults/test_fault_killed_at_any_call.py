"""A journal is opened, written and closed by a process that is killed at each of its system calls.

Whatever it leaves, the next one opens: what tells of a lost journal must never be said of a sound
one. And what was acknowledged is there.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from nunet_dms.node.journal import Journal

CALLS = ("pwrite64", "fdatasync", "fsync", "ftruncate", "rename", "unlink")
EVERY_NTH_WRITE = 6
"""Of those that make a new journal there are a hundred, and they differ little."""
PROGRAM = """
import sys
from pathlib import Path
from nunet_dms.node.journal import Journal
journal = Journal(Path(sys.argv[1]), lambda: 1)
journal.pin_oracle("http://one", b"{}")
print("written", flush=True)
journal.close()
"""


def traced(path: Path, trace: Path, *inject: str) -> subprocess.CompletedProcess[str]:
    """Run the program under strace."""
    return subprocess.run(
        ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={','.join(CALLS)}", *inject,
         sys.executable, "-c", PROGRAM, str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("is_new", [True, False])
def test_wherever_it_is_killed_the_next_worker_opens_the_journal(
    tmp_path: Path, is_new: bool
) -> None:
    before, trace = tmp_path / "before", tmp_path / "trace"
    before.mkdir()
    if not is_new:
        Journal(before / "journal.db", lambda: 1).close()

    def home(name: str) -> Path:
        return Path(shutil.copytree(before, tmp_path / name)) / "journal.db"

    assert traced(home("calm"), trace).stdout == "written\n"
    counts = Counter(re.findall(rf"\b({'|'.join(CALLS)})\(", trace.read_text()))
    step = EVERY_NTH_WRITE if is_new else 1
    points = [
        (call, number)
        for call, count in counts.items()
        for number in range(1, count + 1, step if call == "pwrite64" else 1)
    ]
    assert len(points) > 20
    for call, number in points:
        path = home(f"{call}-{number}")
        done = traced(path, trace, "-e", f"inject={call}:signal=SIGKILL:when={number}")
        assert "killed by SIGKILL" in trace.read_text(), (call, number)
        with Journal(path, lambda: 1) as journal:
            if done.stdout:
                assert journal.pin() == ("http://one", b"{}"), (call, number)
            journal.move_pin("http://two")
