"""A provider's life as it is typed: onboard, pause, missed work, a smaller machine, offboard."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from nunet_dms.demo.stage import cheap_wallet
from nunet_dms.demo.story import Home, oracle_at, wait_until
from nunet_dms.machine.cpu import read_cpu
from nunet_dms.machine.share import SHARE_MAX_PERCENT, SHARE_MIN_PERCENT
from nunet_dms.node.engine.python_image import build_python_image
from nunet_dms.paths import Paths, resolve
from nunet_dms.protocol.job import Resources
from nunet_dms.protocol.quote import PriceList, price_lines
from tests.e2e.conftest import NUNET, Stage

pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(170),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may show a program other memory"),
]

CPU_MHZ, RAM_MB = 4000, 2000
MACHINE_MB = 8000
STORY = "import time\nfor n in range(30): print('line', n, flush=True); time.sleep(0.1)"


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory, docker_client: docker.DockerClient
) -> Iterator[Stage]:
    """An Oracle and a requester; the provider is not onboarded yet."""
    folder = tmp_path_factory.mktemp("provider")
    with oracle_at(folder / "oracle") as url:
        provider, requester = Home(folder / "provider", url), Home(folder / "requester", url)
        try:
            cheap_wallet(requester)
            requester.nunet("wallet", "faucet")
            wait_until("the faucet", lambda: requester.nunet("wallet", "balance")["tokens"])
            image = build_python_image(docker_client)
            yield Stage(folder, url, provider, requester, image, docker_client)
        finally:
            provider.nunet("worker", "stop")


def with_memory(stage: Stage, total_mb: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the provider's command as on a machine with so much memory.

    As LXC does it for its containers: another file lies over /proc/meminfo.
    """
    text = Path("/proc/meminfo").read_text()
    meminfo = stage.folder / f"meminfo-{total_mb}"
    total = re.compile(r"^MemTotal:.*$", re.MULTILINE)
    meminfo.write_text(total.sub(f"MemTotal: {total_mb * 1024} kB", text))
    script = 'mount --bind "$1" /proc/meminfo && shift && exec "$@"'
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(meminfo), NUNET, *words],
        env=stage.provider.environment, capture_output=True, text=True, timeout=100,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


def has_the_cpu() -> tuple[str, ...]:
    """The option that makes this a machine with 4000 MHz to spare, where it is another."""
    cpu = read_cpu()
    low, high = (CPU_MHZ * 100 // percent for percent in (SHARE_MAX_PERCENT, SHARE_MIN_PERCENT))
    if cpu.total_mhz is not None and low < cpu.total_mhz <= high:
        return ()
    return ("--core-mhz", str(2 * CPU_MHZ // cpu.cores))


def onboarded(stage: Stage) -> Paths:
    """Onboard as typed, unless it is, and return when jobs are taken."""
    where = resolve(environ=stage.provider.environment)
    if not where.config_file.exists():
        words = ("onboard", "--cpu", str(CPU_MHZ), "--ram", str(RAM_MB), *has_the_cpu())
        done = with_memory(stage, MACHINE_MB, *words)
        assert done.returncode == 0, done.stderr
        assert f"onboarded: {CPU_MHZ} MHz, {RAM_MB} MB RAM" in done.stdout
        assert "it holds jobs to their limits (18 checks)" in done.stderr
    wait_until("a worker that takes jobs", lambda: status(stage)["accepting"])
    return where


def status(stage: Stage) -> dict[str, object]:
    return stage.provider.nunet("status", fine=(0, 4, 5, 6))


def idle_codes(stage: Stage) -> list[str]:
    idle = status(stage)["idle"]
    assert isinstance(idle, list)
    return [why["code"] for why in idle]


def quote(stage: Stage, name: str, **resources: object) -> subprocess.CompletedProcess[str]:
    path = stage.job_file(name, "print(1)", **resources)
    return stage.nunet(stage.requester, "request", "quote", str(path), "--json")


def test_a_dry_run_gives_scripts_the_verdict_and_writes_nothing(stage: Stage) -> None:
    done = stage.nunet(stage.provider, "onboard", "--dry-run", "--json")
    verdict = json.loads(done.stdout)
    assert (done.returncode, verdict["would_onboard"]) == (0, True)
    assert [row["figure"] for row in verdict["profiles"][0]["rows"]] == [
        "cpu_mhz", "ram", "disk", "down_kbps",
    ]  # fmt: skip
    assert verdict["profiles"][0]["rows"][3]["found"] > 4000  # measured, on loopback
    assert not stage.provider.folder.exists()


def test_a_machine_with_too_little_memory_is_refused_and_nothing_is_written(stage: Stage) -> None:
    done = with_memory(stage, 3000, "onboard", "--cpu", "4000", "--ram", "2000", *has_the_cpu())
    assert done.returncode == 8
    assert "RAM is 3.145 GB, at least 4 GB is needed" in done.stderr
    assert not stage.provider.folder.exists()


def test_onboard_works_as_typed(stage: Stage) -> None:
    onboarded(stage)
    known = status(stage)
    assert (known["cpu_mhz"], known["ram_mb"], known["health"]) == (CPU_MHZ, RAM_MB, "ok")
    assert quote(stage, "fits").returncode == 0


def test_a_paused_machine_gets_no_quotes_and_learns_what_it_misses(stage: Stage) -> None:
    onboarded(stage)
    stage.provider.nunet("pause", "--for", "1h")
    wait_until("the pause", lambda: idle_codes(stage)[:1] == ["paused"])
    wait_until("a refusal", lambda: quote(stage, "paused").returncode == 8)
    assert stage.nunet(stage.provider, "status", "--check").returncode == 0
    stage.provider.nunet("resume")
    wait_until("a quote", lambda: quote(stage, "paused").returncode == 0)
    wait_until("the ledger", lambda: "missed_paused" in idle_codes(stage))


def test_a_request_that_does_not_fit_is_told_with_what_it_would_have_paid(stage: Stage) -> None:
    where = onboarded(stage)
    done = quote(stage, "large", cpu_mhz=CPU_MHZ + 1, ram_mb=64)
    assert done.returncode == 8
    price = stage.provider.nunet("config", "show")["price"]
    assert isinstance(price, dict)
    lines = price_lines(PriceList(**price), Resources(cpu_mhz=CPU_MHZ + 1, ram_mb=64), 60)
    expected = {"reason": "cpu", "count": 1, "would_pay": sum(line.amount for line in lines)}
    wait_until("the ledger", lambda: expected in list(status(stage)["missed"]))  # type: ignore[call-overload]
    assert where.config_file.exists()


def test_a_machine_that_lost_memory_says_so_and_sells_less(stage: Stage) -> None:
    onboarded(stage)
    stage.provider.nunet("worker", "stop")
    assert with_memory(stage, 2100, "worker", "start").returncode == 0
    sold_mb = 2100 * SHARE_MAX_PERCENT // 100
    wait_until("the note", lambda: status(stage)["machine_notes"])
    assert f"from {MACHINE_MB} to 2100 MB" in str(status(stage)["machine_notes"])
    text = stage.nunet(stage.provider, "status").stdout
    assert f"the machine has become smaller, sold is ram_mb {sold_mb} of {RAM_MB}" in text
    oracle_log = (stage.folder / "oracle" / "oracle.log").read_text()
    assert f"RAM shrank from {MACHINE_MB} to 2100 MB" in oracle_log
    assert f"cpu_mhz={CPU_MHZ} ram_mb={sold_mb}\n" in oracle_log
    stage.provider.nunet("worker", "stop")
    stage.provider.nunet("worker", "start")


def test_offboarding_finishes_the_job_and_keeps_the_node_s_keys(stage: Stage) -> None:
    where = onboarded(stage)
    key = where.identity_key.read_bytes()
    job_id = stage.submit(stage.job_file("last", STORY))
    wait_until("the job's first line", lambda: stage.nunet(
        stage.requester, "request", "logs", job_id).stdout)  # fmt: skip
    done = stage.nunet(stage.provider, "offboard", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("waiting: 1 job in hand\n")
    job = stage.requester.nunet("request", "show", job_id)
    assert (job["state"], job["reason"]) == ("settled", "succeeded")
    assert stage.nunet(stage.provider, "status").returncode == 3
    assert stage.containers(job_id) == []
    onboarded(stage)
    assert where.identity_key.read_bytes() == key
    assert stage.provider.nunet("jobs", "show", job_id)["job"]["state"] == "settled"  # type: ignore[index]
