"""Small file systems of their own, and a real worker whose state lies on one.

They are made in files and mounted through loop devices, which only root may do: otherwise these
tests are skipped, by name.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nunet_dms import config
from nunet_dms.cardano.keys import PaymentKey, write_key_file
from nunet_dms.config import CapacityConfig, Config, OracleConfig, WalletConfig
from nunet_dms.demo.story import wait_until
from nunet_dms.node.journal import Journal
from nunet_dms.node.journal_reader import JournalReader
from nunet_dms.node.lock import holder
from nunet_dms.node.rows import Capacity, WorkerRow
from nunet_dms.paths import Paths, resolve
from nunet_dms.protocol import strict
from nunet_dms.protocol.keys import SigningKey, write_signing_key
from tests.unit.node.conftest import World, world

__all__ = ["world"]  # a fixture

HERE = Path(__file__).parent
PROGRAMS = Path(sys.prefix, "bin")
END_WAIT_S = 30
MB = 1024 * 1024
SETTINGS = Config(
    oracle=OracleConfig(url="http://127.0.0.1:1"),  # nothing listens there
    wallet=WalletConfig(address=PaymentKey.from_seed(bytes(32)).address(0).bech32),
    capacity=CapacityConfig(cpu_mhz=2000, ram_mb=2000, core_mhz=2000),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs root where we are not."""
    if os.geteuid() == 0:
        return
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="needs root: it mounts small file systems"))


@dataclass(frozen=True)
class Disk:
    """A small file system."""

    folder: Path

    def fill(self) -> None:
        """Write until there is no room for a single byte more."""
        filler = os.open(self.folder / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (MB, 4096, 1):
                self._write_until_full(filler, bytes(size))
        finally:
            os.close(filler)

    def use_up_files(self) -> None:
        """Make empty files until there is no room for another."""
        (self.folder / "many").mkdir()
        for number in range(10**6):
            try:
                (self.folder / "many" / str(number)).touch()
            except OSError:
                return

    def free(self) -> None:
        """Take away what `fill` and `use_up_files` wrote."""
        (self.folder / "filler").unlink(missing_ok=True)
        for file in (self.folder / "many").glob("*"):
            file.unlink()

    def remount(self, how: str) -> None:
        """Change how it is mounted: `ro`, or `abort` as after an error of its device."""
        run("mount", "-o", f"remount,{how}", str(self.folder))

    @staticmethod
    def _write_until_full(file: int, content: bytes) -> None:
        try:
            while os.write(file, content) == len(content):
                os.fsync(file)
        except OSError:
            return


def run(*words: str) -> str:
    """Run a program that must succeed; return what it says."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def make_disk(tmp_path: Path) -> Iterator[Callable[..., Disk]]:
    """Make and mount a file system of so many MB, and so many files if that is said."""
    with ExitStack() as mounts:

        def make(size_mb: int, files: int | None = None) -> Disk:
            image, folder = tmp_path / "disk.img", tmp_path / "disk"
            folder.mkdir()
            with image.open("wb") as file:
                file.truncate(size_mb * MB)
            count = () if files is None else ("-N", str(files))
            run("mkfs.ext4", "-q", "-F", "-m", "0", *count, str(image))
            run("mount", "-o", "loop", str(image), str(folder))
            mounts.callback(run, "umount", str(folder))
            return Disk(folder)

        yield make


@dataclass
class Home:
    """A provider's home, and the workers that are started in it."""

    where: Paths
    environment: dict[str, str]
    log: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def give_job(self, world: World) -> None:
        """Put an admitted job into the journal, as a worker that was stopped leaves it."""
        with Journal(self.where.journal, lambda: 1) as journal:
            values: dict[str, object] = {
                "job_id": world.request.job_id, "ticket_id": world.ticket.ticket_id,
                "cpu_mhz": 1000, "ram_mb": 64, "disk_mb": 16, "time_limit_s": 60,
                "price": 600_000, "image": "x", "offer": strict.encode(world.offer()),
            }  # fmt: skip
            journal.admit(values, Capacity(4000, 4000, 4000))

    def start(self, *before: str) -> subprocess.Popen[bytes]:
        """Start a worker, `before` being a program that runs it."""
        with self.log.open("ab") as out:
            process = subprocess.Popen(
                [*before, str(PROGRAMS / "nunet-dms")], env=self.environment, stdout=out,
                stderr=out, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def turning(self, *before: str) -> subprocess.Popen[bytes]:
        """Start a worker, and return when it has taken steps."""
        already = self.said("recover_failed")
        process = self.start(*before)
        wait_until("the worker's steps", lambda: self.said("recover_failed") > already)
        return process

    def refused(self, *before: str) -> str:
        """Start a worker that ends by itself with exit code 1; return what it says."""
        at = self.log.stat().st_size if self.log.exists() else 0
        assert self.start(*before).wait(END_WAIT_S) == 1
        return self.log.read_text()[at:]

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End a worker suddenly."""
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert holder(self.where.lock_file) is None

    def nunet(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type a command."""
        return subprocess.run(
            [PROGRAMS / "nunet", *words], env=self.environment, capture_output=True, text=True,
            check=False, timeout=END_WAIT_S, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def said(self, event: str) -> int:
        """Return how often its log has an event."""
        return self.log.read_text().count(f" {event}") if self.log.exists() else 0

    def row(self) -> WorkerRow:
        """Return what the worker last wrote of itself."""
        with JournalReader(self.where.journal) as journal:
            row = journal.worker()
        assert row is not None
        return row


@contextmanager
def home_at(folder: Path, state: Path | None = None) -> Iterator[Home]:
    """Make a home for workers that find neither engine nor Oracle; its state may lie elsewhere."""
    folder.mkdir()
    environment = {
        **os.environ,
        "NUNET_HOME": str(folder),
        "DOCKER_HOST": f"unix://{folder}/no-engine.sock",
    }
    where = resolve(environ=environment)
    if state is not None:
        where.state_dir.symlink_to(state)
    config.save(where.config_file, SETTINGS)
    write_signing_key(where.identity_key, SigningKey.generate())
    write_key_file(where.settlement_key, PaymentKey.generate())
    home = Home(where, environment, folder / "log")
    try:
        yield home
    finally:
        for process in home.processes:
            process.kill()
            process.wait()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home on the disk of these tests."""
    with home_at(tmp_path / "home") as made:
        yield made


@pytest.fixture
def home_on(tmp_path: Path, make_disk: Callable[..., Disk]) -> Iterator[Callable[[Disk], Home]]:
    """Make a home whose state lies on a small disk; it ends before the disk does."""
    with ExitStack() as homes:

        def make(disk: Disk) -> Home:
            return homes.enter_context(home_at(tmp_path / "home", disk.folder))

        yield make
