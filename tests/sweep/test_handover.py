"""One worker hands its jobs to the next, of the same version or another: nothing falls between."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from nunet_dms.node.checkpoints import DRAIN_CHECKPOINT_S
from nunet_dms.node.journal_reader import JournalReader
from nunet_dms.node.lock import holder
from nunet_dms.protocol.job import Checkpoint
from nunet_dms.protocol.report import Reason
from tests.sweep.fault_proxy import HANG, PASS, FaultProxy
from tests.sweep.house import ROOT, House
from tests.sweep.place import Place, counted, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

RESTARTS = 3
VERSIONS = ("0.1.1", "0.1.2", "0.1.3", "0.1.4")
PACKAGED = ("nunet_dms", "examples", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture
def place(house: House, tmp_path: Path) -> Iterator[Place]:
    made = Place(house, tmp_path / "place")
    yield made
    if pid := holder(made.where.lock_file):
        os.kill(pid, signal.SIGKILL)


def check_whole(place: Place, job_id: str) -> None:
    """Let a job that was handed over end; hold it against what it printed and what it earned."""
    place.let_end(job_id)
    job = place.wait_settled(job_id)
    assert (job.reason, job.exit_code, job.log_complete) == (Reason.SUCCEEDED, 0, True)
    assert place.log(job_id) == counted(place.counted_to(job_id))
    assert place.starts(job_id) == 1
    assert (place.earned(), place.spent()) == (job.provider_amount, job.provider_amount)
    wait_until("the container's end", lambda: not place.containers(job_id))


def test_sigterm_stops_taking_work_and_leaves_containers_for_the_next_worker(place: Place) -> None:
    pid = int(str(place.facts("worker", "start")["pid"]))
    job_id = place.order_endless()
    wait_until("the first line", lambda: place.log(job_id))
    os.kill(pid, signal.SIGTERM)
    wait_until("a free lock", lambda: holder(place.where.lock_file) is None, DRAIN_CHECKPOINT_S)
    assert place.containers(job_id)[0]["State"] == "running"
    place.facts("worker", "start")
    check_whole(place, job_id)


@pytest.mark.alone
def test_a_second_sigterm_does_not_wait_for_a_last_checkpoint(house: House, tmp_path: Path) -> None:
    with FaultProxy(house.world.url).serving() as proxy:
        place = Place(house, tmp_path / "place", proxy.url)
        place.facts("worker", "start")
        job_id = place.order_endless(checkpoint=Checkpoint(folder="/nunet/saved", interval_s=3600))
        wait_until("the first line", lambda: place.log(job_id))
        proxy.mode = HANG
        twice_s, once_s = drained_s(place, 2), drained_s(place, 1)
        proxy.mode = PASS
        assert twice_s < once_s / 2
        assert once_s < DRAIN_CHECKPOINT_S * 1.5
        assert place.containers(job_id)[0]["State"] == "running"
        place.facts("worker", "start")
        check_whole(place, job_id)
        place.facts("worker", "stop")


def drained_s(place: Place, signals: int) -> float:
    """Stop a worker by so many signals; return how long it took to let go."""
    if (pid := holder(place.where.lock_file)) is None:
        place.nunet("worker", "start")
        pid = holder(place.where.lock_file)
    assert pid
    wait_until("a look at the machine", lambda: machine_is_known(place))
    began = time.monotonic()
    for number in range(signals):
        os.kill(pid, signal.SIGTERM)
        if not number:
            wait_until("its word that it drains", lambda: not is_ready(place, pid))
    wait_until("a free lock", lambda: holder(place.where.lock_file) is None)
    return time.monotonic() - began


def is_ready(place: Place, pid: int) -> bool:
    with JournalReader(place.where.journal) as journal:
        row = journal.worker()
    return row is not None and row.pid == pid and row.ready


def machine_is_known(place: Place) -> bool:
    with JournalReader(place.where.journal) as journal:
        return journal.machine() is not None


def test_restarts_lose_no_job_no_byte_of_log_and_no_report(place: Place) -> None:
    pids = [place.facts("worker", "start")["pid"]]
    job_id = place.order_endless()
    wait_until("the first line", lambda: place.log(job_id))
    for _ in range(RESTARTS):
        grown_past(place, job_id)
        facts = place.facts("worker", "restart")
        assert (facts["former_pid"], facts["jobs"]) == (pids[-1], 1)
        pids.append(facts["pid"])
    assert len(set(pids)) == RESTARTS + 1
    check_whole(place, job_id)


def test_upgrades_lose_no_job_no_byte_of_log_and_no_report(
    place: Place, wheels: tuple[Path, ...], installation: Path
) -> None:
    program = str(installation / "bin" / "nunet")
    install(installation, wheels[0])
    place.nunet("worker", "start", program=program)
    job_id = place.order_endless()
    wait_until("the first line", lambda: place.log(job_id))
    for version, wheel in zip(VERSIONS[1:], wheels[1:], strict=True):
        grown_past(place, job_id)
        install(installation, wheel)
        grown_past(place, job_id)  # the old worker works on, over files that are not its own
        said = place.nunet("worker", "restart", "--json", program=program)
        assert said.returncode == 0, said.stderr
        assert f'"version": "{version}"' in said.stdout or f'"version":"{version}"' in said.stdout
    check_whole(place, job_id)


def grown_past(place: Place, job_id: str) -> None:
    """Wait until the Oracle has more of a log than just now, while its job still runs."""
    before = len(place.log(job_id))
    wait_until("more of the log", lambda: len(place.log(job_id)) > before)
    assert place.containers(job_id)[0]["State"] == "running"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """This very source as packages of several versions."""
    return tuple(_wheel(tmp_path_factory.mktemp("wheel"), version) for version in VERSIONS)


def _wheel(folder: Path, version: str) -> Path:
    source = folder / "source"
    source.mkdir()
    for name in PACKAGED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    init = source / "nunet_dms" / "__init__.py"
    init.write_text(re.sub(r'(__version__ = )"[^"]+"', rf'\1"{version}"', init.read_text()))
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-index", "--wheel-dir", folder, source],
        check=True,
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """An environment that has what nunet-dms needs, and not nunet-dms."""
    folder = tmp_path / "installation"
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (theirs,) = Path(sys.prefix).glob("lib/python*/site-packages")
    (site / "needed.pth").write_text(f"{theirs}\n")
    return folder


def install(installation: Path, wheel: Path) -> None:
    """Put a version in the place of the one before, as an upgrade does."""
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", installation / "bin" / "python", "install",
         "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", "--upgrade", wheel],
        check=True,
    )  # fmt: skip
