"""A node's runner on a real engine and a real journal; the Oracle only listens."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from nunet_dms.node.admission import read_offer
from nunet_dms.node.backoff import Backoff
from nunet_dms.node.clock import Clock
from nunet_dms.node.deps import Deps
from nunet_dms.node.engine.docker import DockerEngine
from nunet_dms.node.engine.profile import container_name, job_user
from nunet_dms.node.engine.types import Engine
from nunet_dms.node.journal import Journal
from nunet_dms.node.pool import Pool
from nunet_dms.node.rows import Capacity, JobRow
from nunet_dms.node.runner import Runner
from nunet_dms.node.states import State
from nunet_dms.protocol import strict
from nunet_dms.protocol.job import JobSpec, Manifest, Resources
from nunet_dms.protocol.node import MissingBlobs, Offer
from nunet_dms.protocol.report import Reason, Report
from nunet_dms.protocol.signing import Sealed
from tests.unit.node.conftest import World

WAIT_S = 60
PLENTY = Capacity(100_000, 100_000, 100_000)
BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass
class Oracle:
    """Takes everything, and keeps the reports."""

    reports: list[Report] = field(default_factory=list)

    def accept(self, _job_id: str, _ticket_id: str) -> None:
        """Agree."""

    def put_log(self, _job_id: str, offset: int, chunk: bytes) -> int:
        return offset + len(chunk)

    def missing_results(self, _job_id: str, _results: Manifest) -> MissingBlobs:
        return MissingBlobs()

    def get_blob(self, sha256: str, _to: BinaryIO, _size: int) -> None:
        raise AssertionError(f"no job here has inputs: {sha256}")

    def report(self, _job_id: str, body: bytes) -> None:
        sealed = strict.decode(Sealed, body)
        self.reports.append(strict.decode(Report, sealed.payload))


class Node:
    """A runner that can be forgotten, as by SIGKILL, and made anew from its journal.

    What it leaves behind are threads whose outcomes nobody takes; they write no journal.
    """

    def __init__(self, world: World, folder: Path, **changes: Any) -> None:
        self._world, self._folder = world, folder
        self._changes = changes
        self._pools: list[Pool] = []
        self.oracle = Oracle()
        self.engine: Engine = DockerEngine()
        self.start()

    def start(self, **changes: Any) -> None:
        """Begin a life: the journal is all that is left of the one before."""
        self._changes |= changes
        self.journal = Journal(self._folder / "journal.db", Clock().now_ms)
        parts: dict[str, Any] = {
            "journal": self.journal, "engine": self.engine, "oracle": self.oracle, "pool": Pool(),
            "identity": self._world.us, "clock": Clock(), "backoff": Backoff(random.Random(1)),
            "jobs_dir": self._folder / "jobs", "core_mhz": 2000, "user": job_user(),
            "boot_id": BOOT,
        }  # fmt: skip
        self.deps = Deps(**(parts | self._changes))
        self._pools.append(self.deps.pool)
        self.runner = Runner(self.deps)
        for row in self.journal.open_jobs():
            offer = strict.decode(Offer, self.journal.offer(row.job_id))
            self.runner.take(row, read_offer(offer, offer.ticket.public_key))

    def kill(self) -> None:
        """Forget everything but the journal's file, the containers and the job folders."""
        self.journal.close()

    def take(self, image: str, *command: str, time_limit_s: int = 600) -> str:
        """Admit a job and return its id."""
        spec = JobSpec(
            image=image, command=command, time_limit_s=time_limit_s,
            resources=Resources(cpu_mhz=1000, ram_mb=64, disk_mb=16),
        )  # fmt: skip
        request = replace(self._world.request, nonce=os.urandom(16).hex())
        offer = self._world.paid(spec, request)
        ticket_id = os.urandom(16).hex()
        job = read_offer(offer, offer.ticket.public_key)
        self.journal.admit(
            {
                "job_id": job.job_id, "ticket_id": ticket_id, "cpu_mhz": 1000, "ram_mb": 64,
                "disk_mb": 16, "time_limit_s": time_limit_s, "price": 600_000, "image": image,
                "offer": strict.encode(offer),
            },
            PLENTY,
        )  # fmt: skip
        self.runner.take(self.journal.job(job.job_id), job)
        return job.job_id

    def turn(self, until: Callable[[], object], wait_s: float = WAIT_S) -> None:
        """Step until something is so."""
        ends_s = time.monotonic() + wait_s
        while not until():
            assert time.monotonic() < ends_s, self._told()
            for outcome in self.deps.pool.collect():
                self.runner.handle(outcome)
            self.runner.advance()
            self.deps.pool.wake.wait(0.05)

    def _told(self) -> list[tuple[str, str, str]]:
        return [(row.state.value, row.reason, row.detail) for row in self.runner.rows()]

    def row(self, job_id: str) -> JobRow:
        """Return what the journal has of a job."""
        return self.journal.job(job_id)

    def name(self, job_id: str) -> str:
        """Return the name of a job's container."""
        return container_name(self._world.us.node_id, job_id, 1)

    def run_until(self, job_id: str, state: State) -> None:
        """Step until a job is in a state."""
        self.turn(lambda: self.row(job_id).state is state)

    def report_of(self, job_id: str) -> Report:
        """Step until a job is reported, and return its report; there must be one alone."""
        self.run_until(job_id, State.REPORTED)
        found = [each for each in self.oracle.reports if each.job_id == job_id]
        assert len(found) == 1
        return found[0]

    def reason_of(self, job_id: str) -> Reason:
        """Step until a job is reported, and return why it ended."""
        return self.report_of(job_id).reason

    def close(self) -> None:
        """Leave nothing behind."""
        self.kill()
        for owned in self.engine.owned(self._world.us.node_id):
            self.engine.remove(owned.name)
        for pool in self._pools:  # of former lives too: a connection in use cannot be closed
            ends_s = time.monotonic() + WAIT_S
            while pool._running and time.monotonic() < ends_s:
                pool.collect()
                pool.wake.wait(0.05)
        if isinstance(self.engine, DockerEngine):
            self.engine.close()
