"""The provider changes a setting while a job runs: the job goes on, the new setting counts."""

from __future__ import annotations

import json

import pytest

from nunet_dms.demo.story import wait_until
from nunet_dms.node.lock import holder
from nunet_dms.paths import resolve
from nunet_dms.protocol.job import Resources
from nunet_dms.protocol.quote import PriceList, price_lines
from tests.e2e.conftest import Stage

pytestmark = [pytest.mark.docker, pytest.mark.timeout(170)]

STORY = """
import os, time
with open(os.environ["NUNET_OUTPUT_DIR"] + "/starts", "a") as f: f.write("start\\n")
for n in range(80):
    print("line", n, flush=True)
    time.sleep(0.1)
"""
CPU_MHZ, RAM_MB, TIME_LIMIT_S = 10, 16, 3600  # of the job that is only priced, never run


def test_a_job_goes_on_while_its_worker_takes_up_a_new_price(stage: Stage) -> None:
    price, where = _price(stage), resolve(environ=stage.provider.environment)
    dearer = PriceList(per_ghz_hour=price.per_ghz_hour * 3, per_ram_gb_hour=price.per_ram_gb_hour)
    pid = holder(where.lock_file)
    job_id = stage.submit(stage.job_file("settings", STORY))
    wait_until("the job's first line", lambda: stage.nunet(
        stage.requester, "request", "logs", job_id).stdout)  # fmt: skip
    try:
        said = stage.nunet(stage.provider, *_set(dearer)).stdout
        wait_until("a quote at the new price", lambda: _quoted(stage) == _total(dearer))
        assert holder(where.lock_file) == pid
        assert f"job_resumed job={job_id}" in where.worker_log.read_text()
        job = stage.wait_settled(job_id)
    finally:
        stage.nunet(stage.provider, *_set(price))
    assert said.splitlines()[-1] == "the running worker picks this up within a few seconds"
    assert (job["reason"], job["log_complete"]) == ("succeeded", True)
    folder = stage.folder / "settings-results"
    stage.requester.nunet("request", "results", job_id, "--to", str(folder))
    assert (folder / "starts").read_text() == "start\n"
    log = stage.nunet(stage.requester, "request", "logs", job_id).stdout
    assert log == "".join(f"line {n}\n" for n in range(80))
    assert stage.containers(job_id) == []
    wait_until("a quote at the old price", lambda: _quoted(stage) == _total(price))
    assert holder(where.lock_file) == pid


def _set(price: PriceList) -> tuple[str, ...]:
    return "config", "set", "price.per_ghz_hour", str(price.per_ghz_hour)


def _price(stage: Stage) -> PriceList:
    known = stage.provider.nunet("config", "show")["price"]
    assert isinstance(known, dict)
    return PriceList(per_ghz_hour=known["per_ghz_hour"], per_ram_gb_hour=known["per_ram_gb_hour"])


def _total(price: PriceList) -> int:
    wanted = Resources(cpu_mhz=CPU_MHZ, ram_mb=RAM_MB)
    return sum(line.amount for line in price_lines(price, wanted, TIME_LIMIT_S))


def _quoted(stage: Stage) -> object:
    """Return what a small job would cost now; None while no node can be asked."""
    path = stage.job_file("priced", "", cpu_mhz=CPU_MHZ, ram_mb=RAM_MB, time_limit_s=TIME_LIMIT_S)
    done = stage.nunet(stage.requester, "request", "quote", str(path), "--json")
    return json.loads(done.stdout)["price"] if done.returncode == 0 else None
