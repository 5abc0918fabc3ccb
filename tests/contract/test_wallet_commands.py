"""`nunet wallet` with encrypted wallets: made, imported, shown, spent from, and signed with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nunet_dms import paths
from nunet_dms.cardano import hd, mnemonic
from nunet_dms.cardano.address import parse_address, script_address
from nunet_dms.cardano.envelope import read_handed
from nunet_dms.cardano.keys import PaymentKey, write_key_file
from nunet_dms.cardano.transaction import read_transaction
from nunet_dms.errors import RefusedError
from nunet_dms.protocol.report import Reason
from nunet_dms.protocol.secretfile import write_secret
from nunet_dms.requester.vault import Cost, Secret
from nunet_dms.requester.wallet import new_wallet
from tests.contract.conftest import Shell, in_background, run_job
from tests.contract.oracle.oracle_world import Node, World

PASSPHRASE = "correct horse"
CHEAP = Cost(passes=1, memory_bytes=8192)
TOKENS = 1_000_000_000
NUNET = Path(sys.prefix, "bin", "nunet")


def base_address(words: str, network_id: int = 0) -> str:
    """Return the address that other wallets show for words."""
    master = hd.master_key(mnemonic.entropy_of(words))
    payment, stake = master.at(hd.PAYMENT_PATH).key, master.at(hd.STAKE_PATH).key
    return hd.base_address(payment.key_hash, stake.key_hash, network_id).bech32


@pytest.fixture
def passphrase_file(tmp_path: Path) -> str:
    """A file of mode 0600 with the passphrase."""
    path = tmp_path / "passphrase"
    write_secret(path, f"{PASSPHRASE}\n".encode())
    return str(path)


@pytest.fixture
def opened(passphrase_file: str) -> tuple[str, ...]:
    """What is typed where a wallet is to sign."""
    return ("--passphrase-file", passphrase_file)


@pytest.fixture
def encrypted(world: World, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A home whose default wallet is encrypted, and holds mNTX."""
    monkeypatch.setenv("NUNET_ORACLE", world.url)
    secret = Secret("words", mnemonic.new_entropy())
    new_wallet(paths.resolve().wallets_dir, "default", secret, PASSPHRASE, CHEAP)
    shell.facts("wallet", "faucet")
    world.step(1)
    return shell


def tokens(shell: Shell, name: str = "default") -> object:
    """Return how many base units of mNTX a wallet holds."""
    return shell.facts("wallet", "balance", name)["tokens"]


def test_a_script_makes_a_wallet_whose_words_restore_it(
    shell: Shell, opened: tuple[str, ...], tmp_path: Path
) -> None:
    words_file = tmp_path / "words"
    made = shell.facts("wallet", "new", "lab", *opened, "--words-to", str(words_file))
    assert (made["schema"], made["encrypted"]) == ("nunet.wallet/1", True)
    assert words_file.stat().st_mode & 0o777 == 0o600
    words = words_file.read_text()
    assert len(words.split()) == 24
    assert made["address"] == base_address(words)
    assert made["mainnet_address"] == base_address(words, 1)
    path = Path(str(made["file"]))
    assert path.stat().st_mode & 0o777 == 0o600
    assert not any(word in path.read_text() for word in words.split() if len(word) > 6)

    again = shell.facts("wallet", "import", "again", *opened, "--words-file", str(words_file))
    assert again["address"] == made["address"]
    code, out, err = shell.nunet("wallet", "show", "lab")
    assert code == 0
    assert str(made["address"]) in out
    assert "encrypted" in out
    assert words.split()[0] + " " + words.split()[1] not in out + err


def test_a_wallet_is_never_replaced(shell: Shell, opened: tuple[str, ...], tmp_path: Path) -> None:
    key = shell.plain_wallet("lab")
    code, _, err = shell.nunet("wallet", "new", "lab", *opened, "--words-to", str(tmp_path / "w"))
    assert code == 2
    assert "exists and is kept" in err
    assert not (tmp_path / "w").exists()
    assert shell.facts("wallet", "show", "lab")["key_hash"] == key.key_hash.hex()


@pytest.mark.parametrize("words", [(), ("--passphrase-file", "PASSPHRASE_FILE")])
def test_without_a_terminal_a_new_wallet_says_what_to_type(
    shell: Shell, passphrase_file: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    given = [passphrase_file if word == "PASSPHRASE_FILE" else word for word in words]
    code, out, err = shell.nunet("wallet", "new", "lab", *given)
    assert (code, out) == (2, "")
    assert "nunet wallet new lab --passphrase-file FILE --words-to FILE" in err
    code, out, err = shell.nunet("wallet", "new", "lab", "--words-to", str(tmp_path / "words"))
    assert (code, out) == (2, "")
    assert "nunet wallet new lab --passphrase-file FILE --words-to FILE" in err
    assert not (tmp_path / "home").exists()
    assert not (tmp_path / "words").exists()


def test_without_a_terminal_an_import_says_what_to_type(shell: Shell) -> None:
    code, _, err = shell.nunet("wallet", "import", "lab")
    assert code == 2
    assert "nunet wallet import lab --words-file FILE --passphrase-file FILE" in err


@pytest.mark.parametrize("name", ["../lab", "a b", "", "x" * 65, ".hidden"])
def test_a_wallets_name_is_a_plain_word(
    shell: Shell, opened: tuple[str, ...], tmp_path: Path, name: str
) -> None:
    code, _, err = shell.nunet("wallet", "new", name, *opened, "--words-to", str(tmp_path / "w"))
    assert code == 2
    assert "cannot use wallet name" in err
    assert not list(tmp_path.rglob("*.wallet"))


@pytest.mark.parametrize("content", ["short", "two\nlines of it", "", "\n"])
def test_a_passphrase_file_holds_one_line_that_is_long_enough(
    shell: Shell, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "bad"
    write_secret(path, content.encode())
    words_to = ("--words-to", str(tmp_path / "words"))
    code, _, err = shell.nunet("wallet", "new", "lab", "--passphrase-file", str(path), *words_to)
    assert code == 2
    assert "cannot use" in err
    assert not (tmp_path / "words").exists()


def test_a_passphrase_file_that_others_may_read_is_refused(
    encrypted: Shell, opened: tuple[str, ...]
) -> None:
    Path(opened[1]).chmod(0o644)
    code, _, err = encrypted.nunet("request", "list", *opened)
    assert code == 2
    assert "cannot read passphrase file" in err
    assert "chmod 600" in err


def test_a_key_of_cardano_clis_is_imported_and_encrypted(
    shell: Shell, opened: tuple[str, ...], tmp_path: Path
) -> None:
    key = PaymentKey.generate()
    write_key_file(tmp_path / "payment.skey", key)
    made = shell.facts("wallet", "import", "lab", "--skey", str(tmp_path / "payment.skey"), *opened)
    assert (made["address"], made["encrypted"]) == (key.address(0).bech32, True)
    assert key.seed.hex() not in Path(str(made["file"])).read_text()
    shell.plain_wallet("old")
    listed = shell.facts("wallet", "list")["wallets"]
    assert isinstance(listed, list)
    assert [(each["wallet"], each["encrypted"]) for each in listed] == [
        ("lab", True),
        ("old", False),
    ]
    code, out, _ = shell.nunet("wallet", "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["NAME", "lab", "old"]


def test_an_import_of_both_kinds_or_of_wrong_words_exits_2(
    shell: Shell, opened: tuple[str, ...], tmp_path: Path
) -> None:
    words = tmp_path / "words"
    write_secret(words, b"abandon " * 12)
    both = ("--skey", str(words), "--words-file", str(words))
    assert shell.nunet("wallet", "import", "lab", *both, *opened)[0] == 2
    code, _, err = shell.nunet("wallet", "import", "lab", "--words-file", str(words), *opened)
    assert code == 2
    assert "one is wrong, or two changed places" in err


def test_a_wrong_passphrase_exits_7_and_none_at_all_2(encrypted: Shell, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    write_secret(wrong, b"wrong horse\n")
    code, out, err = encrypted.nunet("request", "list", "--passphrase-file", str(wrong))
    assert (code, out) == (7, "")
    assert "the passphrase is wrong" in err
    code, out, err = encrypted.nunet("request", "list")
    assert (code, out) == (2, "")
    assert "--passphrase-file FILE" in err


def test_a_balance_needs_no_passphrase_and_lists_other_tokens(
    encrypted: Shell, world: World
) -> None:
    code, out, _ = encrypted.nunet("wallet", "balance")
    assert code == 0
    assert out.startswith("1000 mNTX  100 ADA  at addr_test1q")
    facts = encrypted.facts("wallet", "balance")
    assert (facts["token"], facts["token_decimals"], facts["others"]) == ("mNTX", 6, [])


def test_a_job_of_an_encrypted_wallet_from_payment_to_change(
    encrypted: Shell, node: Node, world: World, job_file: str, opened: tuple[str, ...]
) -> None:
    """Login, request and payment are signed by the extended key; all comes back to its address."""
    job = encrypted.facts("request", "submit", job_file, "--yes", *opened)
    world.step(1)
    run_job(world, node, str(job["job_id"]))
    shown = encrypted.facts("request", "show", str(job["job_id"]), *opened)
    assert shown["state"] == "settled"
    assert tokens(encrypted) == TOKENS - int(str(shown["price"])) // 2


@pytest.mark.usefixtures("node")
def test_a_refund_after_the_deadline_comes_back_to_the_address_that_requested(
    encrypted: Shell, world: World, job_file: str, opened: tuple[str, ...]
) -> None:
    job = encrypted.facts("request", "submit", job_file, "--yes", *opened)
    world.step(1)
    before = encrypted.facts("wallet", "balance")["lovelace"]
    world.clock.now_s += (
        int(str(job["deadline_slot"])) - world.oracle.chain.slot_at(world.clock()) + 1
    )
    encrypted.facts("request", "refund", str(job["job_id"]), *opened)
    assert world.oracle.devnet is not None
    world.oracle.devnet.tick()
    after = encrypted.facts("wallet", "balance")
    assert after["tokens"] == TOKENS
    assert int(str(after["lovelace"])) > int(str(before)), "the deposit came back as well"


@pytest.mark.usefixtures("node")
def test_a_refund_needs_nobody_not_even_the_oracle(
    encrypted: Shell, world: World, job_file: str, opened: tuple[str, ...],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    job = encrypted.facts("request", "submit", job_file, "--yes", *opened)
    world.step(1)
    file = tmp_path / "refund.tx"
    with monkeypatch.context() as patch:
        patch.setenv("NUNET_ORACLE", "http://127.0.0.1:1")
        words = ("request", "refund", str(job["job_id"])[:8], "--to", str(file), *opened)
        facts = encrypted.facts(*words)
        assert encrypted.nunet(*words)[0] == 2, "nothing is written over"
    assert facts["valid_after_slot"] == job["deadline_slot"]
    raw = read_handed(file.read_bytes())
    assert isinstance(raw, bytes)
    devnet = world.oracle.devnet
    assert devnet is not None
    with pytest.raises(RefusedError) as refused:
        devnet.submit(raw)
    assert refused.value.code == "not_yet_valid"
    world.clock.now_s += int(str(job["deadline_slot"])) - devnet.slot_at(world.clock()) + 1
    devnet.submit(raw)
    devnet.tick()
    assert tokens(encrypted) == TOKENS


# --- send


def test_tokens_are_sent_as_shown(encrypted: Shell, world: World, opened: tuple[str, ...]) -> None:
    encrypted.plain_wallet("other")
    to = str(encrypted.facts("wallet", "show", "other")["address"])
    code, out, err = encrypted.nunet(
        "wallet", "send", "default", "--to", to, "--amount", "1.5", "--yes", *opened
    )
    assert code == 0
    assert "on the way in transaction " in out
    lines = err.splitlines()
    assert lines[0].startswith("sends   1.5 mNTX, 1.")
    assert lines[1] == f"to      {to}"
    assert lines[2].startswith("fee     0.1")
    assert lines[3].startswith("change  998.5 mNTX, 9")
    world.step(1)
    assert (tokens(encrypted), tokens(encrypted, "other")) == (998_500_000, 1_500_000)


def test_sending_twice_before_the_first_is_on_the_chain_sends_once(
    encrypted: Shell, world: World, opened: tuple[str, ...]
) -> None:
    encrypted.plain_wallet("other")
    to = str(encrypted.facts("wallet", "show", "other")["address"])
    words = ("wallet", "send", "default", "--to", to, "--amount", "1", "--yes", *opened)
    first = encrypted.facts(*words)
    assert encrypted.facts(*words)["tx_id"] == first["tx_id"]
    world.step(1)
    assert tokens(encrypted, "other") == 1_000_000


def test_ada_alone_is_sent_and_seen_on_the_chain(
    encrypted: Shell, world: World, opened: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypted.plain_wallet("other")
    to = str(encrypted.facts("wallet", "show", "other")["address"])
    monkeypatch.setattr(
        "nunet_dms.cli.wallet_send.threading.Event",
        type("Event", (), {"wait": lambda _self, seconds: world.step(seconds)}),
    )
    sent = encrypted.facts(
        "wallet", "send", "default", "--to", to, "--ada", "2", "--yes", "--wait", *opened
    )
    assert (sent["lovelace"], sent["tokens"], sent["on_chain"]) == (2_000_000, 0, True)
    assert encrypted.facts("wallet", "balance", "other")["lovelace"] == 2_000_000


SCRIPT = script_address(bytes(28), 0).bech32
MAINNET = "addr1vx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzers66hrl8"
MINE = PaymentKey.from_seed(bytes([3]) * 32).address(0).bech32
REFUSED = {
    "nothing": (("--to", MINE), 2, "give --amount, --ada, or both"),
    "another network": (("--to", MAINNET, "--amount", "1"), 2, "another Cardano network"),
    "a script": (("--to", SCRIPT, "--amount", "1"), 2, "--to-script"),
    "an Ethereum address": (("--to", "0x" + "0" * 40, "--amount", "1"), 7, "Ethereum"),
    "a typing mistake": (("--to", MINE[:-1] + "q", "--amount", "1"), 7, "cannot read the address"),
    "too many decimals": (("--to", MINE, "--amount", "1.0000001"), 2, "has 6 decimals"),
    "less ADA than an output holds": (("--to", MINE, "--ada", "0.1"), 2, "holds at least"),
    "more than there is": (("--to", MINE, "--amount", "1001"), 8, "requested"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "code", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_what_should_not_be_sent_is_not(
    encrypted: Shell, world: World, opened: tuple[str, ...],
    words: tuple[str, ...], code: int, why: str,
) -> None:  # fmt: skip
    found, out, err = encrypted.nunet("wallet", "send", "default", *words, "--yes", *opened)
    assert (found, out) == (code, "")
    assert why in err
    world.step(1)
    assert tokens(encrypted) == TOKENS


def test_nothing_is_sent_where_nobody_can_agree(encrypted: Shell, opened: tuple[str, ...]) -> None:
    code, _, err = encrypted.nunet(
        "wallet", "send", "default", "--to", MINE, "--amount", "1", *opened
    )
    assert code == 2
    assert "--yes" in err


def test_a_script_is_paid_when_it_is_asked_for(encrypted: Shell, opened: tuple[str, ...]) -> None:
    words = ("--to", SCRIPT, "--amount", "1", "--to-script", "--yes")
    assert encrypted.facts("wallet", "send", "default", *words, *opened)["tokens"] == 1_000_000


# --- sign elsewhere


@pytest.fixture
def cold(world: World, tmp_path: Path, encrypted: Shell) -> str:
    """The funded address of a plain wallet in a home of its own, away from the requester's."""
    key = PaymentKey.from_seed(bytes([8]) * 32)
    write_key_file(tmp_path / "cold" / "state" / "wallets" / "cold.skey", key)
    assert world.oracle.devnet is not None
    world.oracle.devnet.faucet(key.address(0), 50_000_000, 20_000_000)
    world.step(1)
    return key.address(0).bech32


def in_cold_home(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `nunet` as a process of its own on the other machine, which reaches no Oracle."""
    environment = {**os.environ, "NUNET_HOME": str(tmp_path / "cold"), "NUNET_ORACLE": ""}
    return subprocess.run(
        [NUNET, *words], env=environment, capture_output=True, text=True, timeout=60,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


def balance_at(world: World, address: str) -> int:
    """Return how many base units of mNTX lie at an address."""
    found = world.oracle.chain.unspent_outputs(parse_address(address))
    return sum(utxo.output.value.quantity(world.oracle.network.asset) for utxo in found)


def test_a_job_is_paid_by_a_wallet_elsewhere_and_followed_to_its_end(
    encrypted: Shell, node: Node, world: World, job_file: str, opened: tuple[str, ...],
    cold: str, tmp_path: Path,
) -> None:  # fmt: skip
    pay = tmp_path / "pay.tx"
    written = encrypted.facts(
        "request", "submit", job_file, "--unsigned", str(pay), "--pay-from", cold, *opened
    )
    home = encrypted.facts("wallet", "show")["address"]
    assert (written["pay_from"], written["comes_back_to"]) == (cold, home)
    assert json.loads(pay.read_text())["type"] == "Unwitnessed Tx ConwayEra"
    listed = encrypted.facts("request", "list", *opened)
    assert (listed["not_signed"], listed["not_handed_in"]) == ([written["job_id"]], [])
    assert "not signed" in encrypted.nunet("request", "list", *opened)[1]
    assert world.rows()["jobs"] == 0

    signed = in_cold_home(tmp_path, "wallet", "sign", "cold", str(pay), "--yes")
    assert signed.returncode == 0, signed.stderr
    assert f"payment of NuNet job {written['job_id']}" in signed.stderr
    assert f"back to us  19900000 of {world.oracle.network.asset.policy.hex()}.mNTX" in (
        signed.stderr
    )

    folder = tmp_path / "results"
    words = ("request", "submit", "--signed", str(pay) + ".signed", "--follow", "--yes")
    with in_background(world, node, Reason.SUCCEEDED):
        code, out, err = encrypted.nunet(*words, "--results", str(folder), "--json", *opened)
    assert code == 0, err
    facts = json.loads(out.splitlines()[-1])
    assert (facts["job_id"], facts["state"]) == (written["job_id"], "settled")
    assert facts["payment_tx_id"] == written["tx_id"]
    assert (folder / "out" / "metrics.json").exists()
    world.step(1)
    price = int(facts["price"])
    assert balance_at(world, cold) == 20_000_000 - price, "its change came back to it"
    assert tokens(encrypted) == TOKENS + price // 2, "what did not run came to the requester"


@pytest.mark.usefixtures("node")
def test_a_payment_signed_by_a_wallet_of_ones_own_may_be_handed_in_twice(
    encrypted: Shell, world: World, job_file: str, opened: tuple[str, ...], tmp_path: Path
) -> None:
    """Without --pay-from the local wallet's own tokens pay, and it may sign as any other."""
    pay, signed = tmp_path / "pay.tx", tmp_path / "signed.tx"
    encrypted.facts("request", "submit", job_file, "--unsigned", str(pay), *opened)
    encrypted.facts("wallet", "sign", "default", str(pay), "--out", str(signed), "--yes", *opened)
    first = encrypted.facts("request", "submit", "--signed", str(signed), *opened)
    again = encrypted.facts("request", "submit", "--signed", str(signed), *opened)
    assert first["job_id"] == again["job_id"]
    assert world.rows()["jobs"] == 1


@pytest.mark.usefixtures("node")
def test_a_payment_that_is_not_signed_or_not_ours_pays_nothing(
    encrypted: Shell, world: World, job_file: str, opened: tuple[str, ...], cold: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    pay = tmp_path / "pay.tx"
    job = encrypted.facts(
        "request", "submit", job_file, "--unsigned", str(pay), "--pay-from", cold, *opened
    )
    code, _, err = encrypted.nunet("request", "submit", "--signed", str(pay), *opened)
    assert code == 7
    assert "is missing" in err
    assert cold in err
    wrong = tmp_path / "wrong.tx"
    encrypted.facts("wallet", "sign", "default", str(pay), "--out", str(wrong), "--yes", *opened)
    assert encrypted.nunet("request", "submit", "--signed", str(wrong), *opened)[0] == 7
    code, _, err = encrypted.nunet("request", "submit", "--resume", str(job["job_id"]), *opened)
    assert code == 2
    assert "is not signed" in err
    world.step(1)
    assert (world.rows()["jobs"], balance_at(world, cold)) == (0, 20_000_000)
    in_cold_home(tmp_path, "wallet", "sign", "cold", str(pay), "--yes")
    handed = encrypted.facts("request", "submit", "--signed", f"{pay}.signed", *opened)
    assert handed["job_id"] == job["job_id"], "nothing was lost on the way"


@pytest.mark.usefixtures("node")
def test_the_signature_of_an_expired_quote_is_refused_and_the_job_no_longer_listed(
    encrypted: Shell, world: World, job_file: str, opened: tuple[str, ...],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    pay = tmp_path / "pay.tx"
    job = encrypted.facts("request", "submit", job_file, "--unsigned", str(pay), *opened)
    encrypted.facts("wallet", "sign", "default", str(pay), "--yes", *opened)
    late = int(str(job["expires_s"])) + 5
    monkeypatch.setattr("nunet_dms.cli.submit.time.time", lambda: late)
    code, _, err = encrypted.nunet("request", "submit", "--signed", f"{pay}.signed", *opened)
    assert code == 7
    assert "its quote expired 5 s ago; nothing was paid" in err
    monkeypatch.setattr("nunet_dms.cli.request.time.time", lambda: late)
    assert encrypted.facts("request", "list", *opened)["not_signed"] == []
    world.step(1)
    assert tokens(encrypted) == TOKENS


USAGES = {
    "two ways": ("JOB", "--signed", "JOB"),
    "following what is not paid": ("JOB", "--unsigned", "new.tx", "--follow"),
    "nothing to pay for": ("--unsigned", "new.tx", "--resume", "abcd"),
    "payer without a file": ("JOB", "--pay-from", MINE),
    "payer of another network": ("JOB", "--unsigned", "new.tx", "--pay-from", MAINNET),
    "payer that is a script": ("JOB", "--unsigned", "new.tx", "--pay-from", SCRIPT),
    "a file that is there": ("JOB", "--unsigned", "JOB"),
}


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("words", USAGES.values(), ids=USAGES.keys())
def test_what_makes_no_sense_exits_2_and_writes_nothing(
    encrypted: Shell, job_file: str, opened: tuple[str, ...], words: tuple[str, ...],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    before = Path(job_file).read_text()
    given = [job_file if word == "JOB" else word for word in words]
    code, _, err = encrypted.nunet("request", "submit", *given, *opened)
    assert code == 2, err
    assert "cannot" in err
    assert not (tmp_path / "new.tx").exists()
    assert Path(job_file).read_text() == before


# --- sign


def test_a_transaction_that_cannot_be_explained_is_signed_only_blindly(
    encrypted: Shell, opened: tuple[str, ...], tmp_path: Path
) -> None:
    """This one withdraws rewards, which is none of the things that we can tell the effect of."""
    body = bytes.fromhex(
        "a4" + "00" + "81825820" + "11" * 32 + "00"
        + "01" + "81825839" + "00" + "22" * 56 + "1a000f4240"
        + "021a00030d40"
        + "05" + "a1581d" + "e0" + "33" * 28 + "01"
    )  # fmt: skip
    path = tmp_path / "odd.tx"
    path.write_text((b"\x84" + body + b"\xa0\xf5\xf6").hex())
    words = ("wallet", "sign", "default", str(path), "--yes", *opened)
    code, _, err = encrypted.nunet(*words)
    assert code == 7
    assert "it holds withdrawals" in err
    assert "--blind" in err
    assert not (tmp_path / "odd.tx.signed").exists()
    encrypted.facts(*words, "--blind")
    signed = json.loads((tmp_path / "odd.tx.signed").read_text())
    assert signed["type"] == "Witnessed Tx ConwayEra"
    transaction = read_transaction(bytes.fromhex(signed["cborHex"]))
    assert transaction.body == body
    assert not transaction.invalid_witnesses()
    code, _, err = encrypted.nunet(*words, "--blind")
    assert code == 2
    assert "exists and is kept" in err


def test_signing_needs_somebody_who_agrees_and_a_transaction(
    encrypted: Shell, opened: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "no.tx"
    path.write_text("no transaction")
    code, _, err = encrypted.nunet("wallet", "sign", "default", str(path), *opened)
    assert code == 2
    assert "--yes" in err
    code, _, err = encrypted.nunet("wallet", "sign", "default", str(path), "--yes", *opened)
    assert code == 7
    assert "cannot read" in err
