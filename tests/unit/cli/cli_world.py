"""What the tests of the `nunet` command share: what was said, a job, a worker's word."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.node.journal import Journal
from nunet_dms.node.rows import Capacity, WorkerRow

ADDRESS = "addr_test1" + "q" * 50
JOB = "ab" * 16
OTHER_JOB = "ac" * 16
ADMITTED_MS = 1_700_000_000_000
NUNET = Path(sys.prefix, "bin", "nunet")
ANSWER_MAX_S = 60
CLOSED_PORT = "http://127.0.0.1:1"
PIN = b'{"token_policy":"' + b"11" * 28 + b'","token_name":"6d4e5458","token_decimals":6}'
"""Of an Oracle's own words, as the journal pins them, what tells of its token."""


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


class Terminal:
    """A pseudo-terminal with `nunet` in it."""

    def __init__(self, home: Path, *words: str) -> None:
        self.said = ""
        self._typed_at = 0
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [NUNET, *words],
            env={**os.environ, "NUNET_HOME": str(home), "NUNET_ORACLE": CLOSED_PORT},
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)

    def answer(self, prompt: str, text: str) -> None:
        """Wait for a prompt and type an answer."""
        seen = len(self.said)
        while prompt not in self.said[seen:]:
            assert self._read(), f"no {prompt!r} in {self.said!r}"
        os.write(self._ours, f"{text}\n".encode())

    def asked(self, prompt: str) -> str:
        """Wait until something is asked and not yet answered; return the prompt's first group."""
        while (found := re.search(f"{prompt}$", self.said[self._typed_at :])) is None:
            assert self._read(), f"no {prompt!r} in {self.said!r}"
        return found[1]

    def type(self, text: str) -> None:
        """Type a line."""
        self._typed_at = len(self.said)
        os.write(self._ours, f"{text}\n".encode())

    def ended(self) -> int:
        """Return the exit code once it has ended."""
        while self._read():
            pass
        os.close(self._ours)
        return self._process.wait(ANSWER_MAX_S)

    def _read(self) -> bool:
        assert select.select([self._ours], [], [], ANSWER_MAX_S)[0], self.said
        try:
            part = os.read(self._ours, 4096)
        except OSError:  # EIO: nobody holds the other end any more
            return False
        self.said += part.decode()
        return bool(part)


def admit(journal: Journal, job_id: str = JOB, offer: bytes = b"{}") -> None:
    """Put a job into the journal."""
    row = {
        "job_id": job_id,
        "ticket_id": job_id,
        "cpu_mhz": 1000,
        "ram_mb": 512,
        "disk_mb": 100,
        "time_limit_s": 60,
        "price": 500,
        "image": "alpine@sha256:" + "0" * 64,
        "offer": offer,
    }
    journal.admit(row, Capacity(4000, 2000, 10_000))


def word(**changes: object) -> WorkerRow:
    """What a healthy worker in this process says of itself just now."""
    known: dict[str, object] = {
        "pid": os.getpid(),
        "version": "0.1.0",
        "started_s": int(time.time()) - 3700,
        "ready": True,
        "accepting": True,
        "oracle_state": "ok",
        "engine_state": "ok",
        "note": "",
        "heartbeat_s": int(time.time()),
    }
    return WorkerRow(**(known | changes))  # type: ignore[arg-type]
