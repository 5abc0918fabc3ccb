"""What is missing, twice or wrong of a canary is said, each by its name."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tomlkit

from nunet_dms.demo.canary import Canary, Found, losses

CANARY = Canary(2)
WHOLE = Found(
    reason="succeeded", log=CANARY.log, log_complete=True, starts="starts\n", ends="ends\n",
    settlements=1, due=500, paid=500, receipt_holds=True, containers=0,
)  # fmt: skip


def test_of_a_whole_canary_nothing_is_lost() -> None:
    assert losses(CANARY, WHOLE) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reason": "node_fault"}, "the job ended as node_fault"),
        ({"log": b""}, "the log is not the job's from byte 0 on (0 of 290 bytes)"),
        (
            {"log": CANARY.log[:100] + b"x" + CANARY.log[101:]},
            "the log is not the job's from byte 100 on (290 of 290 bytes)",
        ),
        (
            {"log": CANARY.log + b"once more\n"},
            "the log is not the job's from byte 290 on (300 of 290 bytes)",
        ),
        ({"log_complete": False}, "the log is not said to be complete"),
        ({"starts": "starts\nstarts\n"}, "it began 2 times"),
        ({"ends": ""}, "it came to its end 0 times"),
        ({"settlements": 2}, "it was settled 2 times"),
        ({"paid": 1000}, "1000 of 500 base units were paid"),
        ({"receipt_holds": False}, "its receipt does not hold"),
        ({"containers": 1}, "1 containers are left"),
    ],
)
def test_each_loss_is_said(changes: dict[str, object], words: str) -> None:
    assert losses(CANARY, replace(WHOLE, **changes)) == (words,)  # type: ignore[arg-type]


def test_the_program_writes_what_is_expected_of_it(tmp_path: Path) -> None:
    job = tomlkit.parse(Canary(1).job_file("image@sha256:0", 500)).unwrap()
    program = job["command"][-1]
    done = subprocess.run(
        [sys.executable, "-c", program], env={"NUNET_OUTPUT_DIR": str(tmp_path)},
        capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == Canary(1).log
    found = replace(
        WHOLE, log=done.stdout, starts=(tmp_path / "starts").read_text(),
        ends=(tmp_path / "ends").read_text(),
    )  # fmt: skip
    assert losses(Canary(1), found) == ()
    assert (job["time_limit_s"], job["resources"]["cpu_mhz"]) == (10, 500)
