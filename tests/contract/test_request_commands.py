"""`nunet wallet` and `nunet request` against a served Oracle: what is printed, and exit codes."""

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
    shell.facts("wallet", "new")
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


def test_a_wallet_is_made_once_and_never_shows_its_key(shell: Shell, tmp_path: Path) -> None:
    made = shell.facts("wallet", "new", "lab")
    assert made["schema"] == "nunet.wallet/1"
    path = tmp_path / "home" / "state" / "wallets" / "lab.skey"
    assert made["file"] == str(path)
    assert path.stat().st_mode & 0o777 == 0o600
    secret = json.loads(path.read_text())["cborHex"][4:]
    code, out, err = shell.nunet("wallet", "show", "lab")
    assert code == 0
    assert str(made["address"]) in out
    assert secret not in out + err + json.dumps(made)
    code, _, err = shell.nunet("wallet", "new", "lab")
    assert code == 2
    assert "it exists and is kept" in err
    assert json.loads(path.read_text())["cborHex"][4:] == secret


@pytest.mark.parametrize("name", ["../lab", "a b", "", "x" * 65, ".hidden"])
def test_a_wallets_name_is_a_plain_word(shell: Shell, tmp_path: Path, name: str) -> None:
    code, _, err = shell.nunet("wallet", "new", name)
    assert code == 2
    assert "cannot use wallet name" in err
    assert not list(tmp_path.rglob("*.skey"))


def test_a_wallet_that_is_not_there_is_answered_with_how_to_make_it(shell: Shell) -> None:
    code, out, err = shell.nunet("request", "list")
    assert (code, out) == (2, "")
    assert "type: nunet wallet new default" in err


def test_no_oracle_at_the_default_address_exits_6(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUNET_ORACLE", "http://127.0.0.1:1")
    shell.facts("wallet", "new")
    code, out, err = shell.nunet("wallet", "balance", "--json")
    assert (code, out) == (6, "")
    assert "cannot reach the Oracle at http://127.0.0.1:1" in err


def test_the_faucet_fills_a_wallet_and_its_tokens_have_decimals(
    funded: Shell, tmp_path: Path
) -> None:
    found = funded.facts("wallet", "balance")
    assert (found["tokens"], found["lovelace"]) == (1_000_000_000, 100_000_000)
    code, out, _ = funded.nunet("wallet", "balance")
    assert code == 0
    assert out.startswith("1000 mNTX  100 ADA  at addr_test1")
    pins = list((tmp_path / "home" / "state" / "requests").glob("oracle-127.0.0.1-*.json"))
    assert len(pins) == 1


def test_an_oracle_whose_key_changed_is_refused_with_exit_7(funded: Shell, tmp_path: Path) -> None:
    (pin,) = (tmp_path / "home" / "state" / "requests").glob("oracle-*.json")
    known = json.loads(pin.read_text())
    pin.write_text(json.dumps(known | {"ticket_key": "1" * 64}))
    for words in (("wallet", "balance"), ("request", "list")):
        code, out, err = funded.nunet(*words)
        assert (code, out) == (7, "")
        assert "cannot trust the Oracle" in err
        assert str(pin) in err


def test_a_quote_shows_its_lines_and_pays_nothing(
    funded: Shell, node: Node, world: World, job_file: str
) -> None:
    code, out, _ = funded.nunet("request", "quote", job_file)
    assert code == 0
    assert out.splitlines()[0].startswith("CPU 1000 MHz for 100 s")
    assert any(line.startswith("at most") for line in out.splitlines())
    facts = funded.facts("request", "quote", job_file)
    assert (facts["schema"], facts["node_id"]) == ("nunet.quote/1", node.node_id)
    assert world.rows()["jobs"] == 0
    world.step(1)
    assert funded.facts("wallet", "balance")["tokens"] == 1_000_000_000


@pytest.mark.usefixtures("node")
def test_a_price_above_the_limit_is_refused_with_exit_7(
    funded: Shell, world: World, job_file: str
) -> None:
    code, _, err = funded.nunet("request", "submit", job_file, "--max-price", "1")
    assert code == 7
    assert "your limit is 1" in err
    assert world.rows()["jobs"] == 0


def test_no_room_exits_8_naming_both_sides(funded: Shell, node: Node, job_file: str) -> None:
    path = Path(job_file)
    path.write_text(path.read_text().replace("cpu_mhz = 1000", "cpu_mhz = 999999"))
    code, _, err = funded.nunet("request", "submit", job_file)
    assert code == 8
    assert "999999" in err
    assert str(node.registration.capacity.cpu_mhz) in err


def test_a_wrong_job_file_exits_2_before_anything_is_asked(
    funded: Shell, world: World, job_file: str
) -> None:
    path = Path(job_file)
    path.write_text(path.read_text().replace("time_limit_s", "time_limt_s"))
    code, _, err = funded.nunet("request", "submit", job_file)
    assert code == 2
    assert "did you mean time_limit_s?" in err
    assert world.rows()["quotes"] == 0


@pytest.mark.parametrize("words", [(), ("JOB_FILE", "--resume", "abcd")])
def test_submit_takes_a_job_file_or_a_job_to_resume(
    funded: Shell, job_file: str, words: tuple[str, ...]
) -> None:
    given = [job_file if word == "JOB_FILE" else word for word in words]
    code, _, err = funded.nunet("request", "submit", *given)
    assert code == 2
    assert "--resume" in err


def test_a_job_from_submission_to_receipt(
    funded: Shell, node: Node, world: World, job_file: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    job = funded.facts("request", "submit", job_file, "--yes")
    job_id = str(job["job_id"])
    assert (job["schema"], job["state"]) == ("nunet.request/1", "submitted")
    world.step(1)
    run_job(world, node, job_id)

    shown = funded.facts("request", "show", job_id[:8])
    assert (shown["state"], shown["reason"]) == ("settled", "succeeded")
    price = int(str(shown["price"]))
    assert shown["provider_amount"] == shown["requester_amount"] == price // 2

    for words in (("logs", job_id[:8]), ("logs", "-f", job_id)):
        code, out, _ = funded.nunet("request", *words)
        assert (code, out) == (0, LOG.decode())

    code, out, _ = funded.nunet("request", "list")
    assert code == 0
    assert job_id[:12] in out.splitlines()[1]

    folder = tmp_path / "results"
    fetched = funded.facts("request", "results", job_id, "--to", str(folder))
    assert fetched["files"] == ["out/metrics.json"]
    assert (folder / "out" / "metrics.json").read_bytes() == RESULT
    (folder / "out" / "metrics.json").write_bytes(b"mine")
    code, _, err = funded.nunet("request", "results", job_id, "--to", str(folder))
    assert code == 2
    assert "--force" in err
    assert (folder / "out" / "metrics.json").read_bytes() == b"mine"
    funded.facts("request", "results", job_id, "--to", str(folder), "--force")
    assert (folder / "out" / "metrics.json").read_bytes() == RESULT

    path = tmp_path / "receipt.json"
    kept = funded.facts("request", "receipt", job_id, "--to", str(path))
    assert kept["payment_tx_id"] == job["payment_tx_id"]
    assert json.loads(path.read_text())["public_key"] == world.oracle.keys.ticket.public
    assert funded.facts("wallet", "balance")["tokens"] == 1_000_000_000 - price // 2

    monkeypatch.setenv("NUNET_ORACLE", "http://127.0.0.1:1")  # from here on nobody is asked
    for what in (job_id[:8], str(path)):
        found = funded.facts("receipt", "verify", what)
        assert (found["holds"], found["oracle_key_checked"]) == (True, True)
        shown = funded.facts("receipt", "show", what)
        assert (shown["job_id"], shown["settlement_tx_id"]) == (job_id, kept["settlement_tx_id"])
    path.write_text(path.read_text().replace("succeeded", "node_fault"))
    code, out, _ = funded.nunet("receipt", "verify", str(path))
    assert code == 7
    assert "BROKEN at report: " in out


@pytest.mark.parametrize(("reason", "expected"), [(Reason.SUCCEEDED, 0), (Reason.FAILED, 1)])
def test_following_a_job_exits_0_only_if_it_succeeded(
    funded: Shell, node: Node, world: World, job_file: str, tmp_path: Path,
    reason: Reason, expected: int,
) -> None:  # fmt: skip
    folder = tmp_path / "results"
    words = ("request", "submit", job_file, "--follow", "--yes", "--results", str(folder))
    with in_background(world, node, reason):
        code, out, err = funded.nunet(*words, "--json")
    assert code == expected
    assert out.startswith(LOG.decode())
    facts = json.loads(out.splitlines()[-1])
    assert (facts["state"], facts["reason"]) == ("settled", reason.value)
    assert f"is settled ({reason.value})" in err
    assert (folder / "out" / "metrics.json").read_bytes() == RESULT


def test_a_job_that_was_signed_but_not_handed_in_is_listed_and_resumed(
    funded: Shell, node: Node, world: World, job_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nunet_dms.requester.client import Requester  # noqa: PLC0415 - to break it here only

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Requester, "submit", dies)
        code, _, _ = funded.nunet("request", "submit", job_file, "--yes")
    assert code == 130
    listed = funded.facts("request", "list")
    assert listed["jobs"] == []
    (job_id,) = listed["not_handed_in"]  # type: ignore[misc]
    assert "not handed in" in funded.nunet("request", "list")[1]
    resumed = funded.facts("request", "submit", "--resume", str(job_id)[:8])
    assert resumed["job_id"] == job_id
    assert funded.facts("request", "list")["not_handed_in"] == []
    world.step(1)
    assert node.take(str(job_id))


def test_a_cancelled_job_comes_back_whole_by_the_requesters_own_signature(
    funded: Shell, node: Node, world: World, job_file: str
) -> None:
    job_id = str(funded.facts("request", "submit", job_file, "--yes")["job_id"])
    world.step(1)
    assert funded.facts("request", "cancel", job_id)["cancel_requested"] is True
    world.step(1)
    assert node.poll().offers == ()
    refunded = funded.facts("request", "refund", job_id)
    assert (refunded["schema"], refunded["tx_ids"]) == ("nunet.refund/1", [])
    world.step(1)
    assert funded.facts("wallet", "balance")["tokens"] == 1_000_000_000
    assert funded.facts("request", "show", job_id)["state"] == "settled"


@pytest.mark.usefixtures("node")
def test_the_price_comes_back_after_the_deadline_and_not_before(
    funded: Shell, world: World, job_file: str
) -> None:
    job_id = str(funded.facts("request", "submit", job_file, "--yes")["job_id"])
    world.step(1)
    code, _, err = funded.nunet("request", "refund", job_id)
    assert code == 7
    assert "cannot take the price back alone: that is possible in" in err
    deadline = int(str(funded.facts("request", "show", job_id)["deadline_slot"]))
    # Time passes, and no clockwork turns: the Oracle itself does nothing for us.
    world.clock.now_s += deadline - world.oracle.chain.slot_at(world.clock()) + 1
    (tx_id,) = funded.facts("request", "refund", job_id)["tx_ids"]  # type: ignore[misc]
    assert len(tx_id) == 64
    assert world.oracle.devnet is not None
    world.oracle.devnet.tick()
    assert funded.facts("wallet", "balance")["tokens"] == 1_000_000_000


@pytest.mark.usefixtures("node")
def test_an_unjust_verdict_does_not_keep_the_price_from_coming_back_after_the_deadline(
    funded: Shell, world: World, job_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = str(funded.facts("request", "submit", job_file, "--yes")["job_id"])
    world.step(1)
    deadline = int(str(funded.facts("request", "cancel", job_id)["deadline_slot"]))
    # A verdict that nobody would sign, in the place of the one that is right.
    monkeypatch.setattr("nunet_dms.requester.ending.provider_share", lambda *_: 1)
    code, _, err = funded.nunet("request", "refund", job_id)
    assert code == 7
    assert "no settlement to sign (wrong_verdict)" in err
    world.clock.now_s += deadline - world.oracle.chain.slot_at(world.clock()) + 1
    assert len(funded.facts("request", "refund", job_id)["tx_ids"]) == 1  # type: ignore[arg-type]
    assert world.oracle.devnet is not None
    world.oracle.devnet.tick()
    assert funded.facts("wallet", "balance")["tokens"] == 1_000_000_000


def test_results_cannot_be_wanted_of_a_job_that_is_not_followed(
    funded: Shell, world: World, job_file: str, tmp_path: Path
) -> None:
    code, _, err = funded.nunet("request", "submit", job_file, "--results", str(tmp_path / "out"))
    assert code == 2
    assert "--follow" in err
    assert world.rows()["quotes"] == 0


def test_a_job_that_nobody_knows_is_named(funded: Shell) -> None:
    for command in ("show", "logs", "results", "cancel", "receipt", "refund"):
        code, out, err = funded.nunet("request", command, "abcd")
        assert (code, out) == (2, ""), command
        assert "nunet request list" in err
    code, _, err = funded.nunet("request", "show", "0" * 32)
    assert code == 7
    assert "job" in err
