"""What all cases of a sweep share: one Oracle in this process, one engine, one image, one forge.

The Oracle is served on loopback and keeps real time; its development ledger makes five blocks a
second. The forge forks workers (`armed_worker.py`). The witness hears from the engine of every
start and end of a container, so that "ran once" rests on nobody's word but the engine's.
"""

from __future__ import annotations

import io
import json
import os
import select
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import docker

from nunet_dms import config
from nunet_dms.node.engine.profile import LABEL_JOB, LABEL_NODE
from nunet_dms.node.identity import Identity, read_identity
from nunet_dms.paths import Paths
from nunet_dms.provider.keys import Payee, make_keys
from tests.contract.oracle.oracle_world import ManualClock, World, running
from tests.sweep.armed_worker import Arms

ROOT = Path(__file__).parents[2]
BLOCK_INTERVAL_S = 0.2
BUSYBOX = Path("/bin/busybox")
REPOSITORY = "nunet-test-sweep"
CORE_MHZ = 1000
"""Of the one core that a node of these tests sells."""


class RealClock(ManualClock):
    """This machine's time, and what a test adds to it."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@contextmanager
def living_oracle(folder: Path) -> Iterator[World]:
    """Serve an Oracle whose clockwork turns by itself."""
    with running(folder, RealClock(), block_interval_s=BLOCK_INTERVAL_S) as world:
        stop = threading.Event()
        turning = threading.Thread(target=world.clockwork.run, args=(stop,))
        turning.start()
        try:
            yield world
        finally:
            stop.set()
            turning.join()


@dataclass(frozen=True)
class Seen:
    """One event of a container of ours, as the engine told it."""

    job_id: str
    action: str
    exit_code: str


class Witness:
    """Hears of every container that carries a node's label."""

    def __init__(self, engine: docker.DockerClient) -> None:
        self._seen: dict[str, list[Seen]] = {}
        self._lock = threading.Lock()
        wanted = {
            "type": ["container"], "label": [LABEL_NODE],
            "event": ["create", "start", "die", "destroy"],
        }  # fmt: skip
        self._events = engine.events(decode=True, filters=wanted)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def of(self, node_id: str) -> tuple[Seen, ...]:
        """Return what happened to a node's containers, in order."""
        with self._lock:
            return tuple(self._seen.get(node_id, ()))

    def close(self) -> None:
        """Hear no more."""
        self._events.close()
        self._thread.join()

    def _listen(self) -> None:
        for event in self._events:
            known = event["Actor"]["Attributes"]
            seen = Seen(known.get(LABEL_JOB, ""), event["Action"], known.get("exitCode", ""))
            with self._lock:
                self._seen.setdefault(known[LABEL_NODE], []).append(seen)


class Life:
    """One process of a worker."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            self._handle: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._handle = None

    def has_ended(self, wait_s: float = 0.0) -> bool:
        """Say whether it is gone, waiting for that if asked to."""
        if self._handle is None:
            return True
        ready, _, _ = select.select([self._handle], [], [], wait_s)
        if ready:
            os.close(self._handle)
            self._handle = None
        return self._handle is None

    def signal(self, number: int) -> None:
        """Send it a signal, unless it is gone."""
        if not self.has_ended():
            os.kill(self.pid, number)


class Forge:
    """Forks workers that have everything imported."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.sweep.armed_worker"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def worker(self, arms: Arms) -> Life:
        """Start a worker."""
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            self._process.stdin.write(json.dumps(asdict(arms)) + "\n")
            self._process.stdin.flush()
            return Life(int(self._process.stdout.readline()))

    def close(self) -> None:
        """End the forge; its workers live on."""
        self._process.communicate()


@dataclass(frozen=True)
class House:
    """Everything that the cases share."""

    folder: Path
    world: World
    forge: Forge
    witness: Witness
    image: str
    engine: docker.DockerClient


@contextmanager
def open_house(folder: Path, engine: docker.DockerClient) -> Iterator[House]:
    """Build the house, and take it down again."""
    with ExitStack() as stack:
        world = stack.enter_context(living_oracle(folder / "oracle"))
        image_id = busybox_image(engine)
        stack.callback(_remove_image, engine, image_id)
        forge = Forge()
        stack.callback(forge.close)
        witness = Witness(engine)
        stack.callback(witness.close)
        yield House(folder, world, forge, witness, f"{REPOSITORY}@{image_id}", engine)


def onboard(where: Paths, house: House, wallet: str, url: str = "") -> Identity:
    """Write what `nunet onboard` writes for a node of one core."""
    ticket_key = house.world.oracle.keys.ticket.public
    where.config_dir.mkdir(parents=True)
    config.save(
        where.config_file,
        config.Config(
            oracle=config.OracleConfig(url=url or house.world.url, ticket_key=ticket_key),
            wallet=config.WalletConfig(address=wallet),
            capacity=config.CapacityConfig(
                cpu_mhz=CORE_MHZ, ram_mb=64, disk_mb=100, core_mhz=CORE_MHZ
            ),
            price=config.PriceConfig(per_ghz_hour=36_000_000),
        ),
    )
    make_keys(where, Payee(wallet))
    where.jobs_dir.mkdir()
    return read_identity(where, wallet)


def _remove_image(engine: docker.DockerClient, image_id: str) -> None:
    """Remove the image, with the containers that a failed test has left of it."""
    for each in engine.api.containers(all=True, filters={"ancestor": image_id}):
        engine.api.remove_container(each["Id"], v=True, force=True)
    engine.images.remove(image_id, force=True)


def busybox_image(engine: docker.DockerClient) -> str:
    """Import an image of busybox alone and return its id."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(BUSYBOX, "bin/busybox")
        for name in ("sh", "usleep", "sleep", "cat", "seq"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name in ("tmp", "proc", "sys", "dev", "nunet/in", "nunet/out"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
    made: Any = engine.api.import_image_from_data(
        archive.getvalue(), repository=REPOSITORY, tag=f"run-{os.getpid()}"
    )
    return str(made.split('"status":"')[1].split('"')[0])
