"""`nunet doctor --drill` on a real engine: it holds, it fails honestly, and it leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from nunet_dms.demo import drill_stage
from nunet_dms.demo.drill import PLANS, drill
from nunet_dms.demo.stage import Home, wait_until
from nunet_dms.node.engine.profile import LABEL_NODE
from nunet_dms.paths import resolve
from tests.e2e.conftest import NUNET

pytestmark = [pytest.mark.docker, pytest.mark.timeout(500)]

DRILL_WAIT_S = 400
HEED_CTRL_C = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""A shell's programs in the background ignore Ctrl-C, and hand that on to their own."""
STEP_WAIT_S = 30.0


@dataclass(frozen=True)
class Around:
    """Where a drill may write, and the owner's own home, which it is to leave alone."""

    temporary: Path
    home: Path
    engine: docker.DockerClient

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "TMPDIR": str(self.temporary), "NUNET_HOME": str(self.home)}

    def processes(self) -> list[str]:
        """Return the processes whose environment names a place below our temporary folder."""
        mark, found = f"NUNET_HOME={self.temporary}".encode(), []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in environ.read_bytes():
                    found.append(environ.parent.name)
            except OSError:  # ended meanwhile
                continue
        return found

    def check_clean(self) -> None:
        """Nothing is left: no file, no process, no container, and nothing of the owner's moved."""
        assert list(self.temporary.iterdir()) == []
        assert self.processes() == []
        assert self.containers() == []
        assert not self.home.exists()

    def containers(self) -> list[str]:
        """Return the containers of our nodes that have folders of a job below ours."""
        found = self.engine.api.containers(all=True, filters={"label": LABEL_NODE})
        sources = [mount["Source"] for each in found for mount in each["Mounts"]]
        return [source for source in sources if source.startswith(str(self.temporary))]


@pytest.fixture
def around(
    tmp_path: Path, docker_client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Around]:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    made = Around(temporary, tmp_path / "owner", docker_client)
    monkeypatch.setenv("NUNET_HOME", str(made.home))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield made
    assert made.processes() == []


def test_a_killed_worker_and_a_killed_oracle_lose_nothing(around: Around) -> None:
    done = subprocess.run(
        [NUNET, "doctor", "--drill", "--json"], env=around.environment, capture_output=True,
        text=True, timeout=DRILL_WAIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    drilled = json.loads(done.stdout)
    assert (drilled["schema"], drilled["holds"], drilled["kept"]) == ("nunet.drill/1", True, "")
    assert [each["name"] for each in drilled["trials"]] == [plan.name for plan in PLANS]
    for each in drilled["trials"]:
        assert (each["lost"], each["problem"]) == ([], "")
        assert 0 < each["recovered_s"] < each["settled_s"]
    around.check_clean()


def test_a_worker_that_cannot_start_again_is_told_and_the_rest_is_not_run(around: Around) -> None:
    def start(provider: Home) -> None:
        resolve(environ=provider.environment).config_file.write_text("[oracle\n")
        provider.nunet("worker", "start")

    heard: list[str] = []
    drilled = drill(heard.append, plans=PLANS[:2], start_worker=start)
    (trial,) = drilled.trials
    assert (drilled.holds, drilled.not_run) == (False, ("Oracle cut",))
    assert trial.problem.startswith("`nunet worker start` ended with 2: nunet: cannot ")
    assert (trial.recovered_s, trial.settled_s, trial.lost) == (None, None, ())
    assert heard[-1] == "clearing away"
    kept = Path(drilled.kept)
    assert sorted(each.name for each in kept.iterdir()) == ["oracle.log", "worker.log"]
    told = (kept / "worker.log").read_text()
    assert "job_started" in told
    assert "housekeeping_failed" not in told
    assert around.containers() == []


def test_a_worker_that_never_comes_is_waited_for_and_told(
    around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill_stage, "STEP_WAIT_S", STEP_WAIT_S)
    drilled = drill(lambda _text: None, plans=PLANS[2:], start_worker=lambda _home: None)
    (trial,) = drilled.trials
    assert trial.problem == f"cannot go on: the report was not there after {STEP_WAIT_S:g} s"
    assert not drilled.holds
    assert around.containers() == []


def test_what_is_lost_is_named(around: Around) -> None:
    """Somebody removes the job's container while its worker is dead: the node's fault."""

    def start(provider: Home) -> None:
        jobs = resolve(environ=provider.environment).jobs_dir
        for each in around.engine.api.containers(filters={"label": LABEL_NODE}):
            if any(mount["Source"].startswith(str(jobs)) for mount in each["Mounts"]):
                around.engine.api.remove_container(each["Id"], force=True)
        provider.nunet("worker", "start")

    drilled = drill(lambda _text: None, plans=PLANS[:1], start_worker=start)
    (trial,) = drilled.trials
    assert (drilled.holds, trial.problem) == (False, "")
    assert "the job ended as node_fault" in trial.lost
    assert "it came to its end 0 times" in trial.lost
    assert any(loss.startswith("the log is not the job's from byte") for loss in trial.lost)


@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, "/proof-"), (signal.SIGINT, "/jobs/"), (signal.SIGTERM, "/jobs/")],
    ids=["ctrl-c while it onboards", "ctrl-c while a job runs", "sigterm while a job runs"],
)
def test_an_interrupted_drill_leaves_nothing(around: Around, number: int, moment: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HEED_CTRL_C, NUNET, "doctor", "--drill"], env=around.environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        wait_until("its container", lambda: moment in str(around.containers()), DRILL_WAIT_S)
        os.killpg(process.pid, number)
        said, _ = process.communicate(timeout=DRILL_WAIT_S)
    assert process.returncode not in {0, 5}
    assert "clearing away" in said
    assert "Traceback" not in said
    around.check_clean()
