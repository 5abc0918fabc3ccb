"""One real job from payment to payout on this machine: three homes, real processes, real Docker.

Every step is a `nunet` command in a process of its own, as its user would type it. Whatever
happens, what was started is stopped; of the files, results and receipt stay.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import docker
from docker.errors import DockerException

from nunet_dms.demo.stage import (
    Home,
    is_settled,
    make_wallet,
    onboard,
    oracle_at,
    tokens_of,
    wait_until,
)
from nunet_dms.errors import EngineUnreachableError
from nunet_dms.node.engine.python_image import build_python_image

ENGINE_TIMEOUT_S = 60


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


def _stop_worker(provider: Home) -> None:
    provider.nunet("worker", "stop")


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


def _example() -> Path:
    """Return the digits example: in the package, or in the sources beside it."""
    packaged = Path(__file__).parent / "digits"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "examples" / "digits"
