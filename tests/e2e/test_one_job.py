"""One paid job through real processes: its limits, its ends, and the worker's death on the way."""

from __future__ import annotations

import http.server
import threading
from dataclasses import replace

import pytest

from nunet_dms.cli.contact import records, requester
from nunet_dms.demo.story import tokens_of, wait_until
from nunet_dms.paths import resolve
from nunet_dms.requester.jobfile import read_job
from tests.e2e.conftest import Stage

pytestmark = [pytest.mark.docker, pytest.mark.timeout(170)]

BUSY = """
import time
began, used = time.monotonic(), time.process_time()
while time.monotonic() - began < 6: pass
print("share", (time.process_time() - used) / (time.monotonic() - began))
"""
HUNGRY = "b = bytearray(300_000_000)\nb[::4096] = b'x' * len(b[::4096])\nprint('unreachable')"
STORY = """
import os, time
out = os.environ["NUNET_OUTPUT_DIR"]
with open(out + "/starts", "a") as f: f.write("start\\n")
for n in range(80):
    print("line", n, flush=True)
    time.sleep(0.1)
with open(out + "/ends", "a") as f: f.write("end\\n")
"""
SECONDS_OF_STORY = 8
MANIFEST_UNKNOWN = b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'


@pytest.mark.alone
def test_a_job_gets_the_cpu_it_was_promised_and_no_more(stage: Stage) -> None:
    code, job, printed = stage.run(stage.job_file("busy", BUSY), "busy")
    share = float(printed.split("share ")[1].split()[0])
    assert (code, job["reason"]) == (0, "succeeded")
    assert 0.45 <= share <= 0.55


def test_a_job_over_its_memory_ends_so_and_its_requester_is_told(stage: Stage) -> None:
    code, job, printed = stage.run(stage.job_file("hungry", HUNGRY), "hungry")
    assert (code, job["reason"], job["state"]) == (1, "out_of_memory", "settled")
    assert "64 MB" in str(job["detail"])
    assert "unreachable" not in printed
    assert int(str(job["provider_amount"])) + int(str(job["requester_amount"])) == job["price"]


def test_a_job_that_fails_keeps_its_exit_code_log_and_results(stage: Stage) -> None:
    program = "open('/nunet/out/a', 'w').write('x'); print('no newline', end=''); exit(7)"
    code, job, printed = stage.run(stage.job_file("failing", program), "failing")
    assert (code, job["reason"], job["exit_code"]) == (1, "failed", 7)
    assert "no newline" in printed
    assert (stage.folder / "failing" / "a").read_text() == "x"


def test_both_sides_verify_the_receipt_and_the_provider_sees_what_it_earned(stage: Stage) -> None:
    _, job, _ = stage.run(stage.job_file("receipted", "print('done')"), "receipted")
    job_id = str(job["job_id"])
    stage.wait_settled(job_id)
    for home in (stage.provider, stage.requester):
        found = home.nunet("receipt", "verify", job_id)
        assert (found["holds"], found["oracle_key_checked"]) == (True, True)
    earnings = stage.provider.nunet("earnings")
    jobs = {each["job_id"]: each for each in earnings["jobs"]}  # type: ignore[attr-defined]
    assert jobs[job_id]["paid"] == job["provider_amount"]
    assert (earnings["token"], earnings["token_decimals"]) == ("mNTX", 6)


def test_a_job_over_its_time_is_stopped_and_pays_all_of_it(stage: Stage) -> None:
    path = stage.job_file("slow", "import time; time.sleep(60)", time_limit_s=2)
    code, job, _ = stage.run(path, "slow")
    assert (code, job["reason"]) == (1, "time_limit")
    assert job["provider_amount"] == job["price"]


def test_a_command_that_is_not_there_fails_at_once_and_costs_next_to_nothing(stage: Stage) -> None:
    path = stage.job_file("missing", "", command=["/no/such/program"])
    code, job, printed = stage.run(path, "missing")
    assert (code, job["reason"], job["exit_code"]) == (1, "failed", 127)
    assert "/no/such/program" in printed
    assert int(str(job["provider_amount"])) * 20 < int(str(job["price"]))


class EmptyRegistry(http.server.BaseHTTPRequestHandler):
    """A registry that has nothing (OCI distribution specification, error codes)."""

    def do_GET(self) -> None:
        self._answer(b"{}" if self.path == "/v2/" else MANIFEST_UNKNOWN)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_words: object) -> None:
        """Stay quiet."""

    def _answer(self, body: bytes) -> None:
        self.send_response(404 if body is MANIFEST_UNKNOWN else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def test_an_image_that_cannot_be_had_costs_nothing(stage: Stage) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), EmptyRegistry) as registry:
        threading.Thread(target=registry.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{registry.server_port}"
        path = stage.job_file("imageless", "", image=f"{address}/none@sha256:{'0' * 64}")
        code, job, _ = stage.run(path, "imageless")
        registry.shutdown()
    assert (code, job["reason"], job["provider_amount"]) == (1, "image_unavailable", 0)
    assert job["requester_amount"] == job["price"]


def test_a_cancelled_job_pays_for_the_time_it_ran(stage: Stage) -> None:
    job_id = stage.submit(stage.job_file("cancelled", STORY))
    wait_until("the job's first line", lambda: stage.nunet(
        stage.requester, "request", "logs", job_id).stdout)  # fmt: skip
    stage.requester.nunet("request", "cancel", job_id)
    job = stage.wait_settled(job_id)
    assert job["reason"] == "cancelled"
    assert 0 < int(str(job["provider_amount"])) < int(str(job["price"]))


@pytest.mark.parametrize("delay_s", [0, SECONDS_OF_STORY], ids=["at-once", "after-its-end"])
def test_a_killed_worker_adopts_its_job_and_is_paid_once(stage: Stage, delay_s: int) -> None:
    job_id = stage.submit(stage.job_file(f"adopted{delay_s}", STORY))
    wait_until("the job's first line", lambda: stage.nunet(
        stage.requester, "request", "logs", job_id).stdout)  # fmt: skip
    stage.kill_worker()
    if delay_s:
        wait_until("the job's end without a worker", lambda: _has_ended(stage, job_id))
    stage.provider.nunet("worker", "start")
    job = stage.wait_settled(job_id)
    folder = stage.folder / f"results{delay_s}"
    stage.requester.nunet("request", "results", job_id, "--to", str(folder))
    assert (job["reason"], job["log_complete"]) == ("succeeded", True)
    assert (folder / "starts").read_text() == "start\n"
    assert (folder / "ends").read_text() == "end\n"
    log = stage.nunet(stage.requester, "request", "logs", job_id).stdout
    assert log == "".join(f"line {n}\n" for n in range(80))
    assert _settlements(stage, job_id) == 1
    assert stage.containers(job_id) == []


def test_a_drained_worker_leaves_its_job_running_and_the_next_takes_it_up(stage: Stage) -> None:
    job_id = stage.submit(stage.job_file("drained", STORY))
    wait_until("the job's first line", lambda: stage.nunet(
        stage.requester, "request", "logs", job_id).stdout)  # fmt: skip
    stage.provider.nunet("worker", "stop")
    assert len(stage.containers(job_id)) == 1
    stage.provider.nunet("worker", "start")
    assert stage.wait_settled(job_id)["reason"] == "succeeded"


def test_a_tampered_payment_never_becomes_a_job(stage: Stage) -> None:
    """A signed payment is changed on its way: exit code 7, no job, and no token has moved."""
    where = resolve(environ=stage.requester.environment)
    before = tokens_of(stage.requester, "default")
    passphrase = stage.requester.passphrase_file
    with requester(where, stage.url, "default", passphrase) as us:
        job = read_job(stage.job_file("tampered", "print(1)"))
        record = us.prepare(us.quote(job.spec), job.spec)
    tx = bytearray.fromhex(record.submission.payment_tx)
    tx[len(tx) // 2] ^= 1
    submission = replace(record.submission, payment_tx=tx.hex())
    records(where).save(replace(record, submission=submission))
    done = stage.nunet(stage.requester, "request", "submit", "--resume", record.job_id, "--yes")
    assert (done.returncode, done.stdout) == (7, "")
    assert done.stderr.startswith("nunet: cannot ")
    listed = stage.requester.nunet("request", "list")
    assert record.job_id in str(listed["not_handed_in"])
    assert record.job_id not in str(listed["jobs"])
    assert tokens_of(stage.requester, "default") == before


def test_status_check_is_one_line_and_an_exit_code(stage: Stage) -> None:
    done = stage.nunet(stage.provider, "status", "--check")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert done.stdout.startswith("ok: worker ")


def _has_ended(stage: Stage, job_id: str) -> bool:
    return all(each.status == "exited" for each in stage.containers(job_id))  # type: ignore[attr-defined]


def _settlements(stage: Stage, job_id: str) -> int:
    """Count how often the node's journal moved the job to settled."""
    events = stage.provider.nunet("jobs", "show", job_id)["events"]
    assert isinstance(events, list)
    return [event["what"] for event in events].count("settled")
