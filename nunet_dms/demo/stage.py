"""The stage of a demo or a drill: homes of their own, real processes, nothing of the user's.

Every step is a `nunet` command in a process of its own, as its user would type it.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from nunet_dms.cardano.mnemonic import new_entropy
from nunet_dms.errors import ExitCode, NunetError
from nunet_dms.machine.cpu import read_cpu
from nunet_dms.machine.memory import read_memory
from nunet_dms.paths import resolve
from nunet_dms.protocol.secretfile import write_secret
from nunet_dms.requester.vault import Cost, Secret
from nunet_dms.requester.wallet import new_wallet

LISTEN_WAIT_S = 30.0
"""From the start of the Oracle's process to its first word."""
PAY_WAIT_S = 60.0
"""For a faucet's or a settlement's block, and for the node to store its receipt."""
COMMAND_TIMEOUT_S = 170
"""Of one command; the longest follows the job to its settlement."""
LOOK_EVERY_S = 0.2
CORE_MHZ_IF_UNKNOWN = 2000
STATUS_CODES = (ExitCode.FINE, ExitCode.DEGRADED, ExitCode.UNREACHABLE)
"""Of `nunet status` while a worker starts; it is waited for."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Home:
    """One role's own place, and its `nunet` command."""

    folder: Path
    oracle_url: str = ""

    def nunet(self, *words: str, fine: tuple[int, ...] = (0,)) -> dict[str, object]:
        """Run a command and return its JSON; raises NunetError unless its exit code is `fine`."""
        done = subprocess.run(
            [_program(), *self.typed(*words), "--json"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode not in fine:
            said = (done.stderr or done.stdout).strip()
            raise NunetError(f"`nunet {' '.join(words)}` ended with {done.returncode}: {said}")
        return _last_json(done.stdout)

    def output(self, *words: str) -> bytes:
        """Run a command and return what it prints; raises NunetError if it fails."""
        done = subprocess.run(
            [_program(), *self.typed(*words)],
            env=self.environment,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            said = done.stderr.decode("utf-8", "backslashreplace").strip()
            raise NunetError(f"`nunet {' '.join(words)}` ended with {done.returncode}: {said}")
        return done.stdout

    def stream(self, line: Callable[[str], None], *words: str) -> dict[str, object]:
        """Run a command, pass on its lines as they come, and return the JSON of the last."""
        process = subprocess.Popen(
            [_program(), *self.typed(*words), "--json"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            stdin=subprocess.DEVNULL,
        )
        last = ""
        with process:
            for text in process.stdout or ():
                if last:
                    line(last.rstrip("\n"))
                last = text
        if process.returncode:
            raise NunetError(f"`nunet {' '.join(words)}` ended with {process.returncode}: {last}")
        return _last_json(last)

    @property
    def passphrase_file(self) -> Path:
        """Where the passphrase of this home's wallet lies, if it has one."""
        return self.folder / "passphrase"

    def typed(self, *words: str) -> tuple[str, ...]:
        """Return a command, with the passphrase file where a wallet is to sign."""
        signs = words[:1] == ("request",) or words[:2] == ("wallet", "new")
        if not signs or not self.passphrase_file.exists():
            return words
        return (*words, "--passphrase-file", str(self.passphrase_file))

    @property
    def environment(self) -> dict[str, str]:
        """Our environment, with this home and Oracle."""
        return {**os.environ, "NUNET_HOME": str(self.folder), "NUNET_ORACLE": self.oracle_url}


@contextmanager
def oracle_at(folder: Path, listen: str = "127.0.0.1:0") -> Iterator[str]:
    """Run an Oracle with blocks every second, and yield its URL; the same folder, the same one."""
    process = start_oracle(folder, listen)
    try:
        yield url_of(folder, process)
    finally:
        stop_oracle(process)


def start_oracle(folder: Path, listen: str) -> subprocess.Popen[bytes]:
    """Start an Oracle's process, in a session of its own; made first where there is none yet."""
    home, log = Home(folder), folder / "oracle.log"
    if not log.exists():
        home.nunet("oracle", "init", "--listen", listen, "--block-interval-s", "1")
    with log.open("wb") as out:
        return subprocess.Popen(
            [_program(), "oracle", "serve"],
            env=home.environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def url_of(folder: Path, process: subprocess.Popen[bytes]) -> str:
    """Return an Oracle's URL once it listens; raises NunetError if it ends instead."""
    log = folder / "oracle.log"
    return wait_until("the Oracle", lambda: _url_in(log, process), LISTEN_WAIT_S)


def stop_oracle(process: subprocess.Popen[bytes]) -> None:
    """Ask an Oracle to end, and make it."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=LISTEN_WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _url_in(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Return the URL that the Oracle says it listens on, nothing before it does."""
    text = log.read_text(errors="replace")
    if process.poll() is not None:
        raise NunetError(f"cannot start the Oracle: it ended with {process.returncode}:\n{text}")
    _, found, rest = text.partition("oracle listening on ")
    return rest.split()[0] if found and "\n" in rest else ""


def onboard(provider: Home, percent: int = 50) -> None:
    """Offer so much of this machine, and return when the worker takes jobs."""
    cpu = read_cpu()
    rate = cpu.core_mhz or CORE_MHZ_IF_UNKNOWN
    ram_mb = read_memory().total_mb or 0  # onboarding says what is wrong with nothing
    cpu_mhz, ram_part_mb = cpu.cores * rate * percent // 100, ram_mb * percent // 100
    offer = ("--cpu", str(cpu_mhz), "--ram", str(ram_part_mb))
    provider.nunet("onboard", *offer, "--core-mhz", str(rate), "--disk", "1000", "--yes")
    wait_until("the worker", lambda: provider.nunet("status", fine=STATUS_CODES)["accepting"])


def make_wallet(requester: Home) -> None:
    """Make an encrypted wallet without anybody at a terminal: passphrase and words in files."""
    secret = f"{secrets.token_urlsafe(24)}\n"
    write_secret(requester.passphrase_file, secret.encode("ascii"), "passphrase file")
    requester.nunet("wallet", "new", "--words-to", str(requester.folder / "words"))


def tokens_of(home: Home, wallet: str) -> int:
    """Return how many base units of mNTX a wallet holds."""
    return int(str(home.nunet("wallet", "balance", wallet)["tokens"]))


def is_settled(provider: Home, job_id: str) -> bool:
    """Whether the node has a job's receipt."""
    job = provider.nunet("jobs", "show", job_id)["job"]
    return isinstance(job, dict) and job["state"] == "settled"


def wait_until(what: str, look: Callable[[], Found], wait_s: float = PAY_WAIT_S) -> Found:
    """Return the first answer that is not empty; raises NunetError when time is over."""
    pause, end_s = threading.Event(), time.monotonic() + wait_s
    while not (found := look()):
        if time.monotonic() > end_s:
            raise NunetError(f"cannot go on: {what} was not there after {wait_s:g} s")
        pause.wait(LOOK_EVERY_S)
    return found


def _program() -> str:
    return str(Path(sys.prefix, "bin", "nunet"))


def _last_json(text: str) -> dict[str, object]:
    try:
        found = json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise NunetError(f"cannot read what the command said: {text[-300:]!r}") from None
    if not isinstance(found, dict):
        raise NunetError(f"cannot read what the command said: {text[-300:]!r}")
    return found


def cheap_wallet(requester: Home) -> None:
    """Make a wallet without value whose passphrase costs little to try."""
    passphrase = "of no value"  # noqa: S105 - it guards a devnet faucet's tokens
    write_secret(requester.passphrase_file, passphrase.encode(), "passphrase file")
    folder = resolve(environ=requester.environment).wallets_dir
    secret = Secret("words", new_entropy())
    new_wallet(folder, "default", secret, passphrase, Cost(passes=1, memory_bytes=8192))


def free_port() -> int:
    """Return a port that nothing listens on just now, for an Oracle that comes back on the same."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
