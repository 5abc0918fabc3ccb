"""`nunet oracle init` and `check` for a public network: real processes, a real chain over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tomlkit
from chain_world import FACES, Spender
from oracle_world import World

WAIT_S = 60
RUN = "import sys; from nunet_dms.cli.main import main; main()"


def nunet(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-c", RUN, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def made(folder: Path, *options: str) -> Path:
    done = nunet("oracle", "init", "--dir", folder, *options)
    assert done.returncode == 0, done.stderr
    return folder / "oracle.toml"


def edit(file: Path, **changes: str) -> None:
    """Set keys as `section__key`, and leave the rest of the file as it is."""
    document = tomlkit.parse(file.read_text())
    for name, value in changes.items():
        section, _, key = name.partition("__")
        document[section][key] = value  # type: ignore[index]
    file.write_text(tomlkit.dumps(document))


def test_an_oracle_for_preprod_is_made_by_two_options(tmp_path: Path) -> None:
    file = made(tmp_path / "o", "--network", "preprod", "--backend", "koios")
    text = file.read_text()
    assert 'network = "preprod" # devnet, preprod or mainnet' in text
    assert 'backend = "koios"' in text
    assert (tmp_path / "o" / "escrow.skey").exists()
    plain = made(tmp_path / "p", "--network", "mainnet").read_text()
    assert 'backend = "koios"' in plain
    refused = nunet("oracle", "init", "--dir", tmp_path / "q", "--backend", "kupo")
    assert refused.returncode == 2
    assert "[chain] backend = 'kupo'" in refused.stderr


@pytest.mark.parametrize("name", FACES)
def test_a_chain_that_answers_is_shown_with_its_token(
    world: World, tmp_path: Path, name: str
) -> None:
    Spender(world)
    file = made(tmp_path / "o")
    key = tmp_path / "o" / "chain.key"
    key.write_text("devnetAnyKeyWillDo")
    key.chmod(0o600)
    policy = world.oracle.network.asset.policy.hex()
    edit(
        file,
        chain__backend=name,
        chain__url=world.url + FACES[name],
        chain__key_file="chain.key" if name == "blockfrost" else "",
        token__policy=policy,
    )
    done = nunet("oracle", "check", "--dir", tmp_path / "o", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["schema"] == "nunet.oracle.check/1"
    assert (facts["magic"], facts["backends"]) == (424242, [name])
    assert facts["height"] == world.oracle.chain.tip().height
    assert facts["token"] == f"{policy}.6d4e5458"
    assert facts["fingerprint"].startswith("asset1")
    assert "devnetAnyKeyWillDo" not in done.stdout + done.stderr
    shown = nunet("oracle", "check", "--dir", tmp_path / "o")
    assert f"devnet (magic 424242) by {name}" in shown.stdout


def test_a_chain_of_another_network_ends_with_7_and_a_silent_one_with_6(
    world: World, tmp_path: Path
) -> None:
    file = made(tmp_path / "o", "--network", "preprod")
    edit(file, chain__url=world.url + FACES["koios"])
    for command in ("check", "serve"):
        foreign = nunet("oracle", command, "--dir", tmp_path / "o")
        assert (foreign.returncode, foreign.stdout) == (7, "")
        assert "magic 424242, preprod has 1" in foreign.stderr
    edit(file, chain__url="http://127.0.0.1:9")
    silent = nunet("oracle", "check", "--dir", tmp_path / "o")
    assert (silent.returncode, silent.stdout) == (6, "")
    assert silent.stderr.startswith("nunet: cannot reach the chain by koios at http://127.0.0.1:9")


def test_the_ledger_in_the_folder_is_not_to_be_checked(tmp_path: Path) -> None:
    made(tmp_path / "o")
    done = nunet("oracle", "check", "--dir", tmp_path / "o")
    assert done.returncode == 2
    assert "development ledger in the Oracle's own folder" in done.stderr


def test_a_key_that_others_may_read_is_refused_and_never_shown(tmp_path: Path) -> None:
    key = tmp_path / "blockfrost.key"
    key.write_text("preprodSECRET")
    key.chmod(0o644)
    made(tmp_path / "o", "--network", "preprod", "--backend", "blockfrost", "--key-file", str(key))
    done = nunet("oracle", "check", "--dir", tmp_path / "o")
    assert done.returncode == 2
    assert "mode 0644 lets others in" in done.stderr
    assert "SECRET" not in done.stderr
