"""`nunet` in one home against a served Oracle, and a node that plays its part."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nunet_dms import paths
from nunet_dms.cardano.keys import PaymentKey, write_key_file
from nunet_dms.cli.main import main
from nunet_dms.protocol.report import Reason
from tests.contract.oracle.oracle_world import IMAGE, ManualClock, Node, World, running

LOG = b"epoch 1\nepoch 2\n"
RESULT = b'{"accuracy": 97}\n'
JOB_TOML = f"""
image = "{IMAGE}"
command = ["python", "/nunet/in/job.py"]
time_limit_s = 100
inputs = ["job.py"]
[resources]
cpu_mhz = 1000
ram_mb = 500
disk_mb = 1
"""


class Shell:
    """Types `nunet` commands in one home."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def nunet(self, *words: str) -> tuple[int, str, str]:
        """Run a command: exit code, stdout, stderr."""
        self._capfd.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["nunet", *words])
            try:
                main()
                code = 0
            except SystemExit as ended:
                code = int(ended.code or 0)
        out, err = self._capfd.readouterr()
        return code, out, err

    def plain_wallet(self, name: str = "default") -> PaymentKey:
        """Make a wallet as cardano-cli does: a key in a file of mode 0600, not encrypted."""
        key = PaymentKey.generate()
        write_key_file(paths.resolve().wallets_dir / f"{name}.skey", key)
        return key

    def facts(self, *words: str) -> dict[str, object]:
        """Run a command that must succeed and return its JSON."""
        code, out, err = self.nunet(*words, "--json")
        assert code == 0, err
        found: dict[str, object] = json.loads(out.splitlines()[-1])
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A running Oracle whose clock starts where this machine's is: the commands use that one."""
    clock = ManualClock()
    clock.now_s = time.time()
    with running(tmp_path / "oracle", clock) as found:
        yield found


@pytest.fixture
def node(world: World) -> Node:
    """A registered node that takes jobs."""
    return Node(world).online()


@pytest.fixture
def shell(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """A home without a wallet, and no Oracle named."""
    monkeypatch.setenv("NUNET_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NUNET_ORACLE", raising=False)
    return Shell(capfd)


@pytest.fixture
def funded(world: World, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A home with a wallet that holds mNTX at the Oracle that $NUNET_ORACLE names."""
    monkeypatch.setenv("NUNET_ORACLE", world.url)
    shell.plain_wallet()
    shell.facts("wallet", "faucet")
    world.step(1)
    return shell


@pytest.fixture
def job_file(tmp_path: Path) -> str:
    """A job with one input."""
    (tmp_path / "job.py").write_bytes(b"print('hello')\n")
    (tmp_path / "job.toml").write_text(JOB_TOML)
    return str(tmp_path / "job.toml")


def run_job(world: World, node: Node, job_id: str, reason: Reason = Reason.SUCCEEDED) -> None:
    """Play the node: take the job, send log, results and report, sign the payout."""
    ticket_id = node.take(job_id)
    node.http.put_log(job_id, 0, LOG)
    results = node.put_results(job_id, {"out/metrics.json": RESULT})
    world.step(50)
    report = node.report(
        job_id,
        ticket_id,
        reason=reason,
        exit_code=0 if reason is Reason.SUCCEEDED else 3,
        log_bytes=len(LOG),
        log_sha256=hashlib.sha256(LOG).hexdigest(),
        results_hash=results.digest,
    )
    node.send_report(report)
    world.step(1)
    (settlement,) = node.poll().settlements
    node.cosign(settlement)
    world.step(1)


@contextmanager
def in_background(world: World, node: Node, reason: Reason) -> Iterator[None]:
    """Run the next job that is paid for, while the test's own thread follows it."""
    stop, failed = threading.Event(), []

    def play() -> None:
        try:
            while not stop.wait(0.05):
                world.step(1)
                with world.oracle.store.reading() as db:  # a payment may need one more step
                    offered = "SELECT job_id FROM jobs WHERE state = 'offered'"
                    waiting = [row.job_id for row in db.exec_driver_sql(offered)]
                if waiting:
                    run_job(world, node, waiting[0], reason)
                    return
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            failed.append(error)

    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    for error in failed:
        raise error
