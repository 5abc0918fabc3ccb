"""`nunet wallet` and `nunet request` against a served Oracle: what is printed, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nunet_dms.protocol.report import Reason
from tests.contract.conftest import LOG, RESULT, Shell, in_background, run_job
from tests.contract.oracle.oracle_world import Node, World


def test_a_wallet_that_is_not_there_is_answered_with_how_to_make_it(shell: Shell) -> None:
    code, out, err = shell.nunet("request", "list")
    assert (code, out) == (2, "")
    assert "type: nunet wallet new default" in err


def test_no_oracle_at_the_default_address_exits_6(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUNET_ORACLE", "http://127.0.0.1:1")
    shell.plain_wallet()
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
    assert out.splitlines() == [
        "CPU 1000 MHz x 100 s at 3.6 mNTX per GHz-hour  0.1 mNTX",
        "RAM 500 MB x 100 s at 0 mNTX per GB-hour       0 mNTX",
        "at most                                        0.1 mNTX; what does not run comes back",
        "deposit                                        3 ADA, back with the settlement, less fees",
    ]
    facts = funded.facts("request", "quote", job_file)
    assert (facts["price"], facts["token"], facts["token_decimals"]) == (100_000, "mNTX", 6)
    assert (facts["schema"], facts["node_id"]) == ("nunet.quote/1", node.node_id)
    assert world.rows()["jobs"] == 0
    world.step(1)
    assert funded.facts("wallet", "balance")["tokens"] == 1_000_000_000


@pytest.mark.usefixtures("node")
def test_a_price_above_the_limit_is_refused_with_exit_7(
    funded: Shell, world: World, job_file: str
) -> None:
    code, _, err = funded.nunet("request", "submit", job_file, "--max-price", "0.099999")
    assert code == 7
    assert "the best price is 0.1 mNTX, your limit is 0.099999 mNTX" in err
    assert world.rows()["jobs"] == 0
    assert funded.facts("request", "submit", job_file, "--max-price", "0.1", "--yes")


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("limit", ["0", "1e3", "-1", "0.0000001", "mNTX"])
def test_a_limit_that_is_no_amount_exits_2(funded: Shell, job_file: str, limit: str) -> None:
    code, _, err = funded.nunet("request", "quote", job_file, f"--max-price={limit}")
    assert code == 2
    assert "cannot use" in err


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
    assert out.splitlines()[1].split()[-6:] == ["0.1", "mNTX", "0.05", "mNTX", "0.05", "mNTX"]
    code, out, _ = funded.nunet("request", "show", job_id)
    assert "verdict    0.05 mNTX to the provider, 0.05 mNTX back to the requester" in out

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
    kept = funded.facts("receipt", "verify", str(facts["job_id"])[:12])  # from what was kept here
    assert (kept["job_id"], kept["first_broken"]) == (facts["job_id"], None)


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
