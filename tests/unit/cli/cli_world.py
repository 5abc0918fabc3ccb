"""What the tests of the `nunet` command share: what was said, a job, a worker's word."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from nunet_dms.node.journal import Journal
from nunet_dms.node.rows import Capacity, WorkerRow

ADDRESS = "addr_test1" + "q" * 50
JOB = "ab" * 16
OTHER_JOB = "ac" * 16
ADMITTED_MS = 1_700_000_000_000
PIN = b'{"token_policy":"' + b"11" * 28 + b'","token_name":"6d4e5458","token_decimals":6}'
"""Of an Oracle's own words, as the journal pins them, what tells of its token."""


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


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
