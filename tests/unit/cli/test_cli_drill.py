"""`nunet doctor --drill`: a row for each trial, what was lost, and the exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from cli_world import Said, admit, word

from nunet_dms import paths
from nunet_dms.demo import drill as demo_drill
from nunet_dms.demo import drill_stage
from nunet_dms.demo.drill import Drilled, Trial
from nunet_dms.node.journal import Journal
from nunet_dms.node.lock import WorkerLock

Nunet = Callable[..., Said]

KEPT = "/var/tmp/drill"  # noqa: S108 - a name, nothing is there
KILLED = Trial(
    name="worker killed", done="SIGKILL to the worker", job_id="ab" * 16, recovered_s=1.84,
    recovered="a worker had the job in hand again", settled_s=9.44,
)  # fmt: skip
CUT = Trial(
    name="Oracle cut", done="SIGKILL to the Oracle", job_id="cd" * 16, recovered_s=0.9,
    recovered="the report was delivered", settled_s=3.0,
    lost=("the log is not said to be complete", "it was settled 2 times"),
)  # fmt: skip
STUCK = Trial(
    name="Oracle cut", done="SIGKILL to the Oracle", job_id="cd" * 16,
    problem="cannot go on: the report was not there after 120 s",
)  # fmt: skip
WELL = Drilled(holds=True, trials=(KILLED,), not_run=(), set_up_s=12.5, beside="", kept="")
LOST = Drilled(holds=False, trials=(KILLED, CUT), not_run=(), set_up_s=12.5, beside="", kept=KEPT)
BROKEN = Drilled(
    holds=False, trials=(KILLED, STUCK), not_run=("worker away at the end",), set_up_s=12.5,
    beside="", kept=KEPT,
)  # fmt: skip

WELL_TEXT = """\
TRIAL          WHAT WAS DONE          LOST     RECOVERED  PAID
worker killed  SIGKILL to the worker  nothing  1.8 s      9.4 s

worker killed: recovered means a worker had the job in hand again
1 of 1 trials lost nothing
"""
LOST_TEXT = """\
TRIAL          WHAT WAS DONE          LOST          RECOVERED  PAID
worker killed  SIGKILL to the worker  nothing       1.8 s      9.4 s
Oracle cut     SIGKILL to the Oracle  2, see below  0.9 s      3.0 s

worker killed: recovered means a worker had the job in hand again
Oracle cut: the log is not said to be complete
Oracle cut: it was settled 2 times
1 of 2 trials lost nothing
the logs of the drill: /var/tmp/drill
"""
BROKEN_TEXT = """\
TRIAL                   WHAT WAS DONE          LOST       RECOVERED  PAID
worker killed           SIGKILL to the worker  nothing    1.8 s      9.4 s
Oracle cut              SIGKILL to the Oracle  not known
worker away at the end  not run

worker killed: recovered means a worker had the job in hand again
Oracle cut: cannot go on: the report was not there after 120 s
1 of 3 trials lost nothing
the logs of the drill: /var/tmp/drill
"""


@pytest.mark.parametrize(
    ("drilled", "code", "text"),
    [(WELL, 0, WELL_TEXT), (LOST, 5, LOST_TEXT), (BROKEN, 5, BROKEN_TEXT)],
    ids=["well", "lost", "broken"],
)
def test_the_whole_text_and_the_exit_code(
    nunet: Nunet, monkeypatch: pytest.MonkeyPatch, drilled: Drilled, code: int, text: str
) -> None:
    monkeypatch.setattr(demo_drill, "drill", lambda _tell, _beside: drilled)
    said = nunet("doctor", "--drill")
    assert (said.code, said.err) == (code, "")
    assert said.out == text


def test_the_json_has_every_trial(nunet: Nunet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_drill, "drill", lambda _tell, _beside: BROKEN)
    said = nunet("doctor", "--drill", "--json")
    facts = json.loads(said.out)
    assert (said.code, facts["schema"], facts["holds"]) == (5, "nunet.drill/1", False)
    assert [each["name"] for each in facts["trials"]] == ["worker killed", "Oracle cut"]
    assert facts["trials"][0]["recovered_s"] == 1.84
    assert facts["trials"][1]["problem"] == STUCK.problem
    assert (facts["not_run"], facts["kept"]) == (["worker away at the end"], KEPT)


def test_it_says_that_the_machine_s_own_worker_is_busy(
    nunet: Nunet, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []

    def drill(_tell: object, beside: str) -> Drilled:
        heard.append(beside)
        return WELL

    monkeypatch.setattr(demo_drill, "drill", drill)
    assert nunet("doctor", "--drill").err == ""
    where = paths.resolve()
    journal, lock = Journal(where.journal, lambda: 1), WorkerLock(where.lock_file)
    admit(journal)
    journal.write_worker(word())
    said = nunet("doctor", "--drill")
    lock.release()
    journal.close()
    words = "this machine's own worker has 1 job in hand: times may be long"
    assert (said.err, heard) == (f"{words}\n", ["", words])


def test_without_the_oracle_s_packages_it_says_what_to_install(
    nunet: Nunet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        drill_stage, "find_spec", lambda name: None if name == "uvicorn" else object()
    )
    said = nunet("doctor", "--drill")
    assert (said.code, said.out) == (2, "")
    assert "it needs an Oracle of its own, and uvicorn is missing" in said.err
    assert "pip install 'nunet-dms[oracle]'" in said.err


def test_it_is_not_done_together_with_the_proof(nunet: Nunet) -> None:
    said = nunet("doctor", "--drill", "--proof")
    assert (said.code, said.out) == (2, "")
    assert "type --drill or --proof" in said.err


def test_the_doctor_alone_loads_nothing_of_the_drill() -> None:
    program = (
        "import sys; from nunet_dms.cli.main import main_inner\n"
        "try: main_inner(['doctor', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.stderr.write(' '.join(m for m in sys.modules if m.startswith('nunet_dms.demo')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=dict(os.environ), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert "--drill" in done.stdout
    assert done.stderr == ""
