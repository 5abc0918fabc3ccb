"""A real worker's process, without an Oracle or an engine, while its settings change."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from nunet_dms import config
from nunet_dms.cardano.keys import PaymentKey, write_key_file
from nunet_dms.config import CapacityConfig, Config, OracleConfig, WalletConfig
from nunet_dms.demo.story import wait_until
from nunet_dms.node.journal_reader import JournalReader
from nunet_dms.node.lock import holder
from nunet_dms.node.rows import WorkerRow
from nunet_dms.paths import Paths, resolve
from nunet_dms.protocol.keys import SigningKey, write_signing_key

PROGRAMS = Path(sys.prefix, "bin")
END_WAIT_S = 30
SETTINGS = Config(
    oracle=OracleConfig(url="http://127.0.0.1:1"),  # nothing listens there
    wallet=WalletConfig(address=PaymentKey.from_seed(bytes(32)).address(0).bech32),
    capacity=CapacityConfig(cpu_mhz=2000, ram_mb=2000, core_mhz=2000),
)


@dataclass(frozen=True)
class Running:
    """A worker's process, and what can be seen of it from outside."""

    where: Paths
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes]

    def set_value(self, key: str, value: str) -> str:
        """Type `nunet config set`, and return what it says."""
        return subprocess.run(
            [PROGRAMS / "nunet", "config", "set", key, value],
            env=self.environment, capture_output=True, text=True, check=True, timeout=END_WAIT_S,
        ).stdout  # fmt: skip

    def said(self, event: str) -> int:
        """Return how often its log has an event."""
        return self.log.read_text().count(f" {event}")

    def row(self) -> WorkerRow | None:
        """Return what it last wrote of itself."""
        with JournalReader(self.where.journal) as journal:
            return journal.worker()

    def note(self) -> str:
        """Return the note in that."""
        row = self.row()
        return row.note if row else ""

    @contextmanager
    def holders(self) -> Iterator[set[int | None]]:
        """Look who holds the lock, as fast as can be, for the length of the block."""
        seen: set[int | None] = set()
        is_over = threading.Event()

        def look() -> None:
            while not is_over.is_set():
                seen.add(holder(self.where.lock_file))

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            yield seen
        finally:
            is_over.set()
            watcher.join()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A worker that has taken its first step."""
    environment = {
        **os.environ,
        "NUNET_HOME": str(tmp_path),
        "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
    }
    where = resolve(environ=environment)
    config.save(where.config_file, SETTINGS)
    write_signing_key(where.identity_key, SigningKey.generate())
    write_key_file(where.settlement_key, PaymentKey.generate())
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [PROGRAMS / "nunet-dms"], env=environment, stdout=out, stderr=out,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    worker = Running(where, environment, log, process)
    try:
        wait_until("the worker's lock", lambda: holder(where.lock_file) == process.pid)
        wait_until("its engine's absence", lambda: worker.said("recover_failed"))
        yield worker
    finally:
        process.kill()
        process.wait()


def test_a_change_starts_the_same_process_again_and_the_lock_is_never_free(
    running: Running,
) -> None:
    pid = running.process.pid
    with running.holders() as seen:
        said = running.set_value("price.per_ghz_hour", "7")
        wait_until("the new life", lambda: running.said("worker_started") == 2)
        wait_until("its first step", lambda: running.said("recover_failed") >= 2)
    assert said == (
        "price.per_ghz_hour = 7 (was 1000000)\n"
        "the running worker picks this up within a few seconds\n"
    )
    assert seen == {pid}
    assert running.said("settings_changed keys=price.per_ghz_hour") == 1
    assert running.said(f"worker_started version={_version()} pid={pid}") == 2
    row = running.row()
    assert row is not None
    assert (row.pid, row.note) == (pid, "")
    running.process.terminate()
    assert running.process.wait(END_WAIT_S) == 0
    assert holder(running.where.lock_file) is None


def test_a_file_that_cannot_be_used_is_noted_and_the_worker_goes_on_as_it_was(
    running: Running,
) -> None:
    good = running.where.config_file.read_text()
    running.where.config_file.write_text(good.replace("on_battery = false", "on_battery = 2"))
    wait_until("the note", running.note)
    assert running.note() == (
        f"cannot use {running.where.config_file}:"
        " [availability] on_battery must be true or false, not 2"
    )
    running.where.config_file.write_text(good)
    wait_until("the note's end", lambda: not running.note())
    assert running.said("settings_refused") == 1
    assert running.said("worker_started") == 1
    assert running.process.poll() is None


def test_a_worker_that_starts_again_obeys_a_stop_at_any_moment(running: Running) -> None:
    running.set_value("price.per_ghz_hour", "7")
    wait_until("the change", lambda: running.said("settings_changed"))
    running.process.terminate()
    assert running.process.wait(END_WAIT_S) in {0, -15}  # within the new life, or before it listens
    assert holder(running.where.lock_file) is None


def test_it_runs_by_the_settings_that_it_read_and_not_by_what_came_after(running: Running) -> None:
    """The file is broken as soon as the change is seen: no life of the worker reads that."""
    running.set_value("price.per_ghz_hour", "7")
    wait_until("the change", lambda: running.said("settings_changed"))
    running.where.config_file.write_text("[broken")
    wait_until("the new life", lambda: running.said("worker_started") == 2)
    wait_until("the note", running.note)
    assert "it is not TOML" in running.note()
    assert running.process.poll() is None


def _version() -> str:
    return subprocess.run(
        [PROGRAMS / "nunet-dms", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[1]
