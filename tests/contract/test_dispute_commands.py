"""Objecting, revising, upholding and alerts as people type them, beside a served Oracle."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nunet_dms import config
from nunet_dms.cardano.keys import PaymentKey, write_key_file
from nunet_dms.cli.main import main
from nunet_dms.config import CapacityConfig, Config, WalletConfig
from nunet_dms.config import OracleConfig as NodeOracle
from nunet_dms.errors import ExitCode, RefusedError
from nunet_dms.node.journal import Journal
from nunet_dms.node.rows import Capacity
from nunet_dms.oracle import jobs
from nunet_dms.paths import resolve
from nunet_dms.protocol.api import Health
from nunet_dms.protocol.keys import write_signing_key
from tests.contract.oracle.oracle_world import IMAGE, ManualClock, Node, World, running

WINDOW_S = 3600
JOB_TOML = f"""
image = "{IMAGE}"
time_limit_s = 100
[resources]
cpu_mhz = 1000
ram_mb = 500
disk_mb = 1
"""

Nunet = Callable[..., tuple[int, dict[str, object], str]]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An Oracle with a window, whose clock starts where this machine's is."""
    clock = ManualClock()
    clock.now_s = time.time()
    with running(tmp_path / "oracle", clock, dispute_window_s=WINDOW_S) as found:
        yield found


@pytest.fixture
def node(world: World) -> Node:
    """A registered node that takes jobs."""
    return Node(world).online()


@pytest.fixture
def nunet(
    tmp_path: Path, world: World, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Nunet:
    """Run a command with --json in a home of its own: exit code, facts, what stderr says."""
    monkeypatch.setenv("NUNET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NUNET_ORACLE", world.url)

    def run(*words: str) -> tuple[int, dict[str, object], str]:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["nunet", *words, "--json"])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capfd.readouterr()
        return code, json.loads(out.splitlines()[-1]) if out else {}, err

    return run


@pytest.fixture
def job_id(world: World, node: Node, nunet: Nunet, tmp_path: Path) -> str:
    """A job of this home's wallet that ran for half of its time and has its verdict."""
    (tmp_path / "job.toml").write_text(JOB_TOML)
    write_key_file(resolve().wallets_dir / "default.skey", PaymentKey.generate())
    nunet("wallet", "faucet")
    world.step(1)
    _, facts, err = nunet("request", "submit", str(tmp_path / "job.toml"), "--yes")
    assert "job_id" in facts, err
    found = str(facts["job_id"])
    world.step(1)
    ticket_id = node.take(found)
    world.clock.now_s += 50
    node.send_report(node.report(found, ticket_id))
    return found


def onboard(world: World, node: Node, job_id: str) -> None:
    """Make this home the provider's as well: its keys, its settings, the job in its journal."""
    where = resolve()
    where.identity_key.parent.mkdir(parents=True, exist_ok=True)
    write_signing_key(where.identity_key, node.key)
    write_key_file(where.settlement_key, node.settlement_key)
    config.save(
        where.config_file,
        Config(
            wallet=WalletConfig(address=node.wallet.bech32),
            capacity=CapacityConfig(cpu_mhz=4000, ram_mb=2000, core_mhz=2500),
            oracle=NodeOracle(url=world.url, ticket_key=world.oracle.keys.ticket.public),
        ),
    )
    journal = Journal(where.journal, lambda: 1)
    journal.admit(
        {
            "job_id": job_id, "ticket_id": "ab" * 16, "cpu_mhz": 1000, "ram_mb": 500,
            "disk_mb": 1, "time_limit_s": 100, "price": 1, "image": IMAGE, "offer": b"{}",
        },
        Capacity(4000, 2000, 100),
    )  # fmt: skip
    journal.close()


def oracle_dir(world: World) -> str:
    return str(world.oracle.config.folder)


def test_a_requester_objects_with_evidence_and_the_operator_revises_once(
    world: World, node: Node, nunet: Nunet, job_id: str, tmp_path: Path
) -> None:
    evidence = tmp_path / "log.txt"
    evidence.write_bytes(b"it only slept\n")
    why = ("--why", "it only slept")
    code, facts, err = nunet("request", "object", job_id[:8], *why, "--evidence", str(evidence))
    assert code == 0, err
    (objection,) = facts["objections"]  # type: ignore[misc]
    assert objection["evidence_sha256"] == hashlib.sha256(evidence.read_bytes()).hexdigest()
    _, shown, _ = nunet("request", "show", job_id)
    assert (shown["state"], shown["objections"]) == ("decided", ["requester"])

    folder = ("--dir", oracle_dir(world))
    _, facts, _ = nunet("oracle", "disputes", *folder)
    (dispute,) = facts["disputes"]  # type: ignore[misc]
    assert (dispute["job_id"], dispute["is_held"]) == (job_id, True)
    revise = ("oracle", "revise", job_id, "--percent", "10", "--why", "an idle log", *folder)
    code, facts, err = nunet(*revise)
    assert code == 0, err
    code, _, err = nunet(*revise)
    assert code == ExitCode.REFUSED
    assert "was revised before" in err

    world.step(WINDOW_S)
    (settlement,) = node.poll().settlements
    assert settlement.first_verdict is not None
    node.cosign(settlement)
    world.step(1)
    _, shown, _ = nunet("request", "show", job_id)
    assert (shown["state"], shown["is_revised"]) == ("settled", True)
    assert node.tokens() == facts["provider_amount"]


def test_a_provider_objects_and_the_operator_upholds(
    world: World, node: Node, nunet: Nunet, job_id: str
) -> None:
    onboard(world, node, job_id)
    code, facts, err = nunet("jobs", "object", job_id, "--why", "it ran for 90 s")
    assert code == 0, err
    assert [each["party"] for each in facts["objections"]] == ["node"]  # type: ignore[union-attr]
    world.step(WINDOW_S)
    assert node.poll().settlements == ()
    code, facts, err = nunet("oracle", "uphold", job_id, "--dir", oracle_dir(world))
    assert (code, facts["answered"]) == (0, 1), err
    world.step(1)
    assert len(node.poll().settlements) == 1


def test_after_the_window_an_objection_is_refused(world: World, nunet: Nunet, job_id: str) -> None:
    world.step(WINDOW_S)
    code, _, err = nunet("request", "object", job_id, "--why", "too late")
    assert code == ExitCode.REFUSED
    assert "cannot do this: job" in err


@pytest.mark.parametrize("why", ["", "   ", "x" * 501])
def test_an_objection_needs_words(nunet: Nunet, job_id: str, why: str) -> None:
    code, _, err = nunet("request", "object", job_id, "--why", why)
    assert code == ExitCode.USAGE
    assert "at most 500 characters" in err


def test_an_objection_s_words_are_of_both_sides_alone(
    world: World, nunet: Nunet, job_id: str
) -> None:
    stranger = Node(world).online()
    with pytest.raises(Exception, match="cannot find job"):
        stranger.http.call("GET", f"/v1/jobs/{job_id}/verdict", None, Health)


def test_a_deadline_that_comes_near_is_told_by_log_health_and_exit_code(
    world: World, node: Node, nunet: Nunet, job_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = ("--dir", oracle_dir(world))
    code, facts, _ = nunet("oracle", "alerts", *folder)
    assert (code, facts["alerts"]) == (0, [])
    with world.oracle.store.writing() as db:  # the deadline is two hours away by our own clock
        slot = world.oracle.chain.slot_at(time.time())
        db.exec_driver_sql("UPDATE jobs SET deadline_slot = ?", (slot + 7200,))
    world.step(1)
    world.step(1)
    told = [each.message for each in caplog.records if each.message.startswith("deadline_near")]
    assert len(told) == 1
    health = node.http.call("GET", "/v1/health", None, Health)
    assert (health.status, health.detail) == (
        "degraded",
        "1 jobs near their deadline are not paid out",
    )
    code, facts, _ = nunet("oracle", "alerts", *folder)
    assert code == ExitCode.DEGRADED
    (alert,) = facts["alerts"]  # type: ignore[misc]
    assert (alert["job_id"], alert["level"]) == (job_id, "near")
    assert 7000 < alert["slots_left"] <= 7200


def test_a_report_that_contradicts_the_first_is_told_by_health_and_exit_code_until_it_is_seen(
    world: World, node: Node, nunet: Nunet, job_id: str
) -> None:
    folder = ("--dir", oracle_dir(world))
    code, facts, _ = nunet("oracle", "conflicts", *folder)
    assert (code, facts["conflicts"]) == (0, [])
    with world.oracle.store.reading() as db:
        row = jobs.find(db, job_id)
    assert row is not None
    ticket_id = str(row.ticket_id)
    with pytest.raises(RefusedError, match="has another one already"):
        node.send_report(node.report(job_id, ticket_id, ran_ms=1))
    world.step(1)
    health = node.http.call("GET", "/v1/health", None, Health)
    assert (health.status, health.detail) == (
        "degraded", "1 jobs have two reports that contradict each other",
    )  # fmt: skip
    code, facts, _ = nunet("oracle", "conflicts", *folder)
    assert code == ExitCode.DEGRADED
    (conflict,) = facts["conflicts"]  # type: ignore[misc]
    assert (conflict["job_id"], conflict["taken_hash"]) == (job_id, row.report_hash)
    code, facts, _ = nunet("oracle", "conflicts", "--seen", job_id, *folder)
    assert (code, len(facts["conflicts"])) == (0, 1)  # type: ignore[arg-type]
    world.step(1)
    assert node.http.call("GET", "/v1/health", None, Health).status == "ok"
    code, _, err = nunet("oracle", "conflicts", "--seen", "ab" * 16, *folder)
    assert (code, "it has no second report" in err) == (ExitCode.REFUSED, True)
