"""One real job from payment to payout on this machine: three homes, real processes, real Docker.

Every step is a `nunet` command in a process of its own, as its user would type it. Whatever
happens, what was started is stopped; of the files, results and receipt stay.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import docker
from docker.errors import DockerException

from nunet_dms.errors import EngineUnreachableError, ExitCode, NunetError
from nunet_dms.machine.cpu import read_cpu
from nunet_dms.machine.memory import read_memory
from nunet_dms.node.engine.python_image import build_python_image
from nunet_dms.protocol.secretfile import write_secret

LISTEN_WAIT_S = 30.0
"""From the start of the Oracle's process to its first word."""
PAY_WAIT_S = 60.0
"""For a faucet's or a settlement's block, and for the node to store its receipt."""
COMMAND_TIMEOUT_S = 170
"""Of one command; the longest follows the job to its settlement."""
LOOK_EVERY_S = 0.2
ENGINE_TIMEOUT_S = 60
CORE_MHZ_IF_UNKNOWN = 2000
STATUS_CODES = (ExitCode.FINE, ExitCode.DEGRADED, ExitCode.UNREACHABLE)
"""Of `nunet status` while a worker starts; it is waited for."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the demo shows; amounts in base units of the token, schema nunet.demo/1."""

    job_id: str
    reason: str
    payment_tx_id: str
    settlement_tx_id: str
    accuracy: float
    seconds: dict[str, float]
    token: str
    token_decimals: int
    price: int
    provider_amount: int
    requester_amount: int
    requester_tokens_before: int
    requester_tokens_after: int
    provider_tokens_before: int
    provider_tokens_after: int
    receipt: str
    results: str
    kept: str


@dataclass(slots=True)
class Stopwatch:
    """Seconds by phase, and a word on each as it begins."""

    tell: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str, words: str) -> Iterator[None]:
        """Time one phase."""
        self.tell(words)
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - began, 2)


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


def play(
    tell: Callable[[str], None], line: Callable[[str], None], *, image: str, keep: bool
) -> Outcome:
    """Play the whole story; raises NunetError with the step that failed, nothing left running."""
    place = Path(tempfile.mkdtemp(prefix="nunet-demo-"))
    watch = Stopwatch(tell)
    try:
        with ExitStack() as started:
            return _story(place, watch, line, image=image, keep=keep, started=started)
    except BaseException:
        tell(f"what was written is kept in {place}")
        raise
    finally:
        if not keep and (place / "receipt.json").exists():
            for role in ("oracle", "provider", "requester"):
                shutil.rmtree(place / role, ignore_errors=True)


def _story(
    place: Path, watch: Stopwatch, line: Callable[[str], None],
    *, image: str, keep: bool, started: ExitStack,
) -> Outcome:  # fmt: skip
    with watch.phase("image", "image: this machine's own Python, as a container image"):
        image = image or _image()
    with watch.phase("oracle", "oracle: starting one on its development ledger"):
        url = started.enter_context(oracle_at(place / "oracle"))
    requester, provider = Home(place / "requester", url), Home(place / "provider", url)
    with watch.phase("wallet", "requester: a new wallet, filled by the faucet"):
        make_wallet(requester)
        requester.nunet("wallet", "faucet")
        tokens = wait_until("the faucet", lambda: tokens_of(requester, "default"))
    with watch.phase("onboard", "provider: onboarding half of this machine, starting the worker"):
        started.callback(_stop_worker, provider)
        onboard(provider)
        earned = tokens_of(provider, "provider")
    with watch.phase("job", "requester: paying for a job, and following it"):
        job = requester.stream(
            line, "request", "submit", str(_example() / "job.toml"), "--image", image,
            "--follow", "--results", str(place / "results"), "--yes",
        )  # fmt: skip
    with watch.phase("settle", "waiting for the payout to reach the provider"):
        job_id, due = str(job["job_id"]), int(str(job["provider_amount"]))
        wait_until("the payout", lambda: tokens_of(provider, "provider") >= earned + due)
        requester.nunet("request", "receipt", job_id, "--to", str(place / "receipt.json"))
        wait_until("the node's receipt", lambda: is_settled(provider, job_id))
        after = (tokens_of(requester, "default"), tokens_of(provider, "provider"))
    metrics = json.loads((place / "results" / "metrics.json").read_text())
    return Outcome(
        job_id=job_id,
        reason=str(job["reason"]),
        payment_tx_id=str(job["payment_tx_id"]),
        settlement_tx_id=str(job["settlement_tx_id"]),
        accuracy=float(metrics["accuracy"]),
        seconds={**watch.seconds, **_job_seconds(job)},
        token=str(job["token"]),
        token_decimals=int(str(job["token_decimals"])),
        price=int(str(job["price"])),
        provider_amount=due,
        requester_amount=int(str(job["requester_amount"])),
        requester_tokens_before=tokens,
        requester_tokens_after=after[0],
        provider_tokens_before=earned,
        provider_tokens_after=after[1],
        receipt=str(place / "receipt.json"),
        results=str(place / "results"),
        kept=str(place) if keep else "",
    )


def _image() -> str:
    """Build the image where the worker will find it; raises EngineUnreachableError."""
    try:
        client = docker.from_env(timeout=ENGINE_TIMEOUT_S)
    except DockerException as error:
        raise EngineUnreachableError(
            f"cannot run the demo: no container engine answers: {error}",
            hint="start Docker, or from the sources: ./dev demo",
        ) from error
    try:
        return build_python_image(client)
    finally:
        client.close()


@contextmanager
def oracle_at(folder: Path, listen: str = "127.0.0.1:0") -> Iterator[str]:
    """Run an Oracle with blocks every second, and yield its URL; the same folder, the same one."""
    home, log = Home(folder), folder / "oracle.log"
    if not log.exists():
        home.nunet("oracle", "init", "--listen", listen, "--block-interval-s", "1")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [_program(), "oracle", "serve"],
            env=home.environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield wait_until("the Oracle", lambda: _url_in(log, process), LISTEN_WAIT_S)
    finally:
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


def onboard(provider: Home) -> None:
    """Offer half of this machine, and return when the worker takes jobs."""
    cpu = read_cpu()
    rate = cpu.core_mhz or CORE_MHZ_IF_UNKNOWN
    ram_mb = read_memory().total_mb or 0  # onboarding says what is wrong with nothing
    half = ("--cpu", str(cpu.cores * rate // 2), "--ram", str(ram_mb // 2))
    provider.nunet("onboard", *half, "--core-mhz", str(rate), "--disk", "1000", "--yes")
    wait_until("the worker", lambda: provider.nunet("status", fine=STATUS_CODES)["accepting"])


def _stop_worker(provider: Home) -> None:
    provider.nunet("worker", "stop")


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


def _job_seconds(job: dict[str, object]) -> dict[str, float]:
    """Return what the Oracle's times say: until the start, the run, until the settlement."""
    times = [job[name] for name in ("submitted_ms", "started_ms", "finished_ms", "settled_ms")]
    if not all(isinstance(each, int) for each in times):
        return {}
    marks = [int(str(each)) / 1000 for each in times]
    names = ("job_until_start", "job_run", "job_until_settled")
    return {
        name: round(end - start, 2)
        for name, start, end in zip(names, marks, marks[1:], strict=False)
    }


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


def _example() -> Path:
    """Return the digits example: in the package, or in the sources beside it."""
    packaged = Path(__file__).parent / "digits"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "examples" / "digits"


def _last_json(text: str) -> dict[str, object]:
    try:
        found = json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise NunetError(f"cannot read what the command said: {text[-300:]!r}") from None
    if not isinstance(found, dict):
        raise NunetError(f"cannot read what the command said: {text[-300:]!r}")
    return found
