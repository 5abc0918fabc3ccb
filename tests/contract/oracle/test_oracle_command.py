"""`nunet oracle` as a real process: made once, served until a signal, whole at the next start."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from nunet_dms.cardano.chain.devnet import GENESIS_LOVELACE, Devnet
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.oracle.config import load

WAIT_S = 30
WITHOUT = "import sys; sys.modules[{!r}] = None; "
RUN = "import sys; from nunet_dms.cli.main import main; main()"


def nunet(*arguments: str | Path, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-c", before + RUN, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An Oracle that was just made."""
    made = nunet("oracle", "init", "--dir", tmp_path / "o", "--listen", "127.0.0.1:0")
    assert made.returncode == 0, made.stderr
    return tmp_path / "o"


def serve_once(folder: Path, stop: signal.Signals) -> tuple[str, int]:
    """Serve, read who the Oracle is, stop it; return its key and its exit code."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN, "oracle", "serve", "--dir", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.match(r"oracle listening on (http://127\.0\.0\.1:[0-9]+) \(devnet: ", line)
        assert found is not None, line
        assert "its tokens have no value" in line
        info = requests.get(f"{found[1]}/v1/oracle", timeout=WAIT_S).json()
        process.send_signal(stop)
        _, log = process.communicate(timeout=WAIT_S)
    assert "oracle_stopped" in log
    assert "Traceback" not in log
    return str(info["ticket_key"]), process.returncode


def test_an_oracle_serves_until_a_signal_and_is_itself_at_the_next_start(folder: Path) -> None:
    first, code = serve_once(folder, signal.SIGTERM)
    assert code == 0
    assert serve_once(folder, signal.SIGINT) == (first, 0)


def test_an_oracle_is_made_once(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    again = nunet("oracle", "init", "--dir", folder)
    assert (again.returncode, again.stdout) == (2, "")
    assert "exists" in again.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_what_was_made_is_told_to_scripts(tmp_path: Path) -> None:
    made = nunet("oracle", "init", "--dir", tmp_path / "o", "--json")
    facts = json.loads(made.stdout)
    assert facts["schema"] == "nunet.oracle.init/1"
    secret = (tmp_path / "o" / "ticket.key").read_text().strip()
    assert secret not in made.stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("production = false", "production = true"), "its tokens have no value"),
        (('network = "devnet"', 'network = "preprod"'), "has no preprod"),
        (("127.0.0.1:0", "256.0.0.1:1"), "cannot listen on"),
        (("block_interval_s", "block_intervall_s"), "block_intervall_s is unknown"),
    ],
)
def test_what_cannot_be_served_says_why(folder: Path, change: tuple[str, str], said: str) -> None:
    file = folder / "oracle.toml"
    file.write_text(file.read_text().replace(*change))
    served = nunet("oracle", "serve", "--dir", folder)
    assert served.returncode == 2
    assert said in served.stderr
    assert "Traceback" not in served.stderr


@pytest.mark.parametrize("module", ["fastapi", "uvicorn", "sqlalchemy"])
def test_without_the_extra_it_says_what_to_install(folder: Path, module: str) -> None:
    served = nunet("oracle", "serve", "--dir", folder, before=WITHOUT.format(module))
    assert served.returncode == 2
    assert "install 'nunet-dms[oracle]'" in served.stderr


def test_the_development_ledger_is_looked_through_and_taken_back(folder: Path) -> None:
    untouched = nunet("oracle", "devnet", "verify", "--dir", folder)
    assert untouched.returncode == 2
    assert "has none" in untouched.stderr
    serve_once(folder, signal.SIGTERM)
    with Devnet(load(folder).ledger, time.time) as devnet:
        devnet.faucet(PaymentKey.generate().address(0), 5_000_000, 7)
        devnet.tick()
    found = nunet("oracle", "devnet", "verify", "--dir", folder, "--json")
    facts = json.loads(found.stdout)
    assert (facts["height"], facts["tokens"]) == (1, 7)
    assert facts["lovelace"] + facts["fees_lovelace"] == GENESIS_LOVELACE
    undone = nunet("oracle", "devnet", "rollback", "0", "--drop", "--dir", folder)
    assert undone.stdout == "blocks undone: 1; what they held is lost; the last is 0\n"
    again = json.loads(nunet("oracle", "devnet", "verify", "--dir", folder, "--json").stdout)
    assert (again["height"], again["tokens"], again["lovelace"]) == (0, 0, GENESIS_LOVELACE)
    too_high = nunet("oracle", "devnet", "rollback", "9", "--dir", folder)
    assert (too_high.returncode, "blocks 0 to 0" in too_high.stderr) == (2, True)
