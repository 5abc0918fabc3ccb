"""One provider in a home of its own, as a person at a terminal sees it, and a requester's jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.errors import RefusedError
from nunet_dms.node.engine.profile import LABEL_JOB
from nunet_dms.oracle import jobs as oracle_jobs
from nunet_dms.oracle.jobs import JobRow, Paper
from nunet_dms.paths import resolve
from nunet_dms.protocol import strict
from nunet_dms.protocol.job import Checkpoint, JobSpec, Manifest, Resources
from nunet_dms.protocol.submission import JobState
from tests.contract.oracle.oracle_world import NETWORK_ID, Requester, tokens_at
from tests.sweep.armed_worker import Arms
from tests.sweep.house import CORE_MHZ, House, Life, onboard

Found = TypeVar("Found")

FUNDS = 10**9
WAIT_S = 60.0
LOOK_EVERY_S = 0.1
COMMAND_S = 60
COUNT = """
echo start >>story
for n in $(seq 1 {lines}); do echo "line $n"; usleep {every}; done
echo end >>story
"""
"""A job that counts aloud."""
COUNT_ON = """
n=0
[ ! -d /nunet/saved ] || echo something >/nunet/saved/something
while [ ! -e stop ]; do n=$((n + 1)); echo "line $n"; usleep {every}; done
echo $n >total
"""
"""One that counts until the test lets it end."""


def counted(lines: int) -> bytes:
    """Return the log of a job that counted to the end."""
    return b"".join(b"line %d\n" % n for n in range(1, lines + 1))


def wait_until(what: str, look: Callable[[], Found], wait_s: float = WAIT_S) -> Found:
    """Return the first answer that is not empty."""
    pause, ends = threading.Event(), time.monotonic() + wait_s
    while not (found := look()):
        assert time.monotonic() < ends, f"{what} was not there after {wait_s:g} s"
        pause.wait(LOOK_EVERY_S)
    return found


class Place:
    """A provider with one core, and a requester with funds."""

    def __init__(self, house: House, folder: Path, url: str = "") -> None:
        self.house = house
        self.folder = folder
        self.where = resolve(environ={"NUNET_HOME": str(folder)})
        self.wallet = PaymentKey.generate().address(NETWORK_ID)
        self.us = onboard(self.where, house, self.wallet.bech32, url)
        self.requester = Requester(house.world, funded=False)
        devnet = house.world.oracle.devnet
        assert devnet is not None
        devnet.faucet(self.requester.address, 100_000_000, FUNDS)
        wait_until("the faucet", self.requester.tokens)

    def hurried_worker(self) -> Life:
        """Start a worker that waits for seconds where it would wait for minutes."""
        arms = Arms(
            home=str(self.folder), passed=str(self.folder / "passed"),
            log=str(self.where.worker_log), hurried=True,
        )  # fmt: skip
        return self.house.forge.worker(arms)

    def nunet(
        self, *words: str, program: str = "", extra: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Type a command, whatever its exit code."""
        return subprocess.run(
            [program or str(Path(sys.prefix, "bin", "nunet")), *words],
            env={**os.environ, "NUNET_HOME": str(self.folder), **(extra or {})},
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=COMMAND_S,
            check=False,
        )  # fmt: skip

    def facts(self, *words: str, fine: tuple[int, ...] = (0,)) -> dict[str, object]:
        """Type a command that must end with one of these codes, and return its JSON."""
        done = self.nunet(*words, "--json")
        assert done.returncode in fine, (done.returncode, done.stdout, done.stderr)
        found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
        return found

    def order(self, lines: int, every_ms: int = 50, time_limit_s: int = 60) -> str:
        """Pay for a job that counts aloud, as soon as the node can take one; returns its id."""
        return self._order(COUNT.format(lines=lines, every=every_ms * 1000), time_limit_s)

    def order_endless(self, every_ms: int = 10, checkpoint: Checkpoint | None = None) -> str:
        """Pay for a job that counts aloud until `let_end`; returns its id."""
        return self._order(COUNT_ON.format(every=every_ms * 1000), 600, checkpoint)

    def let_end(self, job_id: str) -> None:
        """Let such a job come to its end."""
        (self.where.jobs_dir / job_id / "out" / "stop").touch()

    def counted_to(self, job_id: str) -> int:
        """Return how far such a job says that it counted, by the results at the Oracle."""
        folder = self.folder / "results"
        with self.house.world.oracle.store.reading() as db:
            text = oracle_jobs.needed_paper(db, job_id, Paper.RESULTS)
        (entry,) = [each for each in strict.decode(Manifest, text).files if each.path == "total"]
        folder.mkdir(exist_ok=True)
        with (folder / "total").open("w+b") as file:
            path = f"/v1/blobs/{entry.sha256}"
            self.requester.http.get_bytes(path, to=file, limit=entry.size)
            file.seek(0)
            return int(file.read())

    def _order(self, script: str, time_limit_s: int, checkpoint: Checkpoint | None = None) -> str:
        spec = JobSpec(
            image=self.house.image,
            command=("sh", "-c", script),
            resources=Resources(cpu_mhz=CORE_MHZ, ram_mb=32, disk_mb=4),
            time_limit_s=time_limit_s,
            checkpoint=checkpoint,
        )

        def submitted() -> str:
            try:
                quote = self.requester.quote(spec, node_id=self.us.node_id)
            except RefusedError as refused:
                if refused.code != "no_capacity":
                    raise
                return ""
            return self.requester.submit(self.requester.submission(quote)).job_id

        return wait_until("room for a job", submitted)

    def job(self, job_id: str) -> JobRow:
        """Return a job as the Oracle's books have it."""
        with self.house.world.oracle.store.reading() as db:
            found = oracle_jobs.find(db, job_id)
        assert found is not None
        return found

    def log(self, job_id: str) -> bytes:
        """Return a job's log at the Oracle."""
        return self.requester.log(job_id)[0]

    def wait_settled(self, job_id: str) -> JobRow:
        """Return a job once it is settled and the node has its receipt."""

        def settled() -> JobRow | None:
            job = self.job(job_id)
            return job if job.state is JobState.SETTLED and job.receipt_acked else None

        return wait_until(f"the settlement of {job_id}", settled)

    def containers(self, job_id: str) -> list[dict[str, object]]:
        """Return the containers of a job, in whatever state."""
        filters = {"label": f"{LABEL_JOB}={job_id}"}
        found: list[dict[str, object]] = self.house.engine.api.containers(all=True, filters=filters)
        return found

    def starts(self, job_id: str) -> int:
        """Count how often the engine started a container of a job."""
        seen = self.house.witness.of(self.us.node_id)
        return sum(each.job_id == job_id and each.action == "start" for each in seen)

    def earned(self) -> int:
        """Return what lies in the provider's wallet."""
        world = self.house.world
        return tokens_at(world, self.wallet, world.oracle.network.asset)

    def spent(self) -> int:
        """Return what the requester has less than at first."""
        return FUNDS - self.requester.tokens()

    def story(self, job_id: str) -> str:
        """Return what `nunet jobs show` says of a job."""
        return self.nunet("jobs", "show", job_id).stdout
