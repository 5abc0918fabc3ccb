"""`nunet request resume` against a served Oracle: what it pays for, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nunet_dms.errors import ConfigError
from nunet_dms.oracle import jobs
from nunet_dms.protocol import strict
from nunet_dms.protocol.checkpoint import seal_checkpoint
from nunet_dms.protocol.job import Resume
from nunet_dms.protocol.keys import SigningKey
from nunet_dms.protocol.report import Reason
from nunet_dms.requester.jobfile import read_job
from nunet_dms.requester.records import Records
from tests.contract.conftest import Shell, in_background
from tests.contract.oracle.checkpoint_world import LINUX, WSL, Saving
from tests.contract.oracle.oracle_world import Node, World

STATE = {"state.json": b"epoch 1", "sub/empty": b""}


@pytest.fixture
def node(world: World) -> Node:
    """A node on Linux that has told so."""
    made = Node(world)
    made.register(machine=LINUX)
    made.heartbeat()
    return made


@pytest.fixture
def job_file(job_file: str) -> str:
    """A job that saves itself."""
    path = Path(job_file)
    path.write_text(path.read_text() + '[checkpoint]\nfolder = "/ckpt"\ninterval_s = 10\n')
    return job_file


def begun(shell: Shell, world: World, node: Node, job_file: str) -> Saving:
    """Submit a job and let the node take it."""
    job_id = str(shell.facts("request", "submit", job_file, "--yes")["job_id"])
    world.step(1)
    world.step(1)
    return Saving(world, node, job_id, node.take(job_id))


def ended(saving: Saving) -> None:
    """Let a job run into its time limit, and be paid for."""
    saving.world.step(50)
    saving.end(reason=Reason.TIME_LIMIT, exit_code=143)
    (settlement,) = saving.node.poll().settlements
    saving.node.cosign(settlement)
    saving.world.step(1)
    saving.node.heartbeat()


def record_of(tmp_path: Path, job_id: str) -> object:
    return Records(tmp_path / "home" / "state" / "requests").find(job_id)


def test_a_job_goes_on_without_any_of_its_files_and_is_followed_to_its_end(
    funded: Shell, node: Node, world: World, job_file: str, tmp_path: Path
) -> None:
    saving = begun(funded, world, node, job_file)
    saving.save(1, STATE, left_out=2)
    ended(saving)
    for path in (Path(job_file), tmp_path / "job.py"):
        path.unlink()
    with in_background(world, node, Reason.SUCCEEDED):
        code, out, err = funded.nunet(
            "request", "resume", saving.job_id[:8], "--time-limit", "50", "--follow", "--yes",
            "--json", "--results", str(tmp_path / "out"),
        )  # fmt: skip
    assert code == 0, err
    found = json.loads(out.splitlines()[-1])
    assert (found["reason"], found["job_id"] != saving.job_id) == ("succeeded", True)
    assert found["price"] == 50_000  # of its own: half the time limit
    assert "from checkpoint 1 of " in err
    assert "2 files, 7 bytes, after 1 s" in err
    assert "not in it: 2 links" in err
    assert (tmp_path / "out" / "out" / "metrics.json").exists()
    record = record_of(tmp_path, found["job_id"])
    resume = record.spec.checkpoint.resume  # type: ignore[attr-defined]
    assert isinstance(resume, Resume)
    assert (resume.job_id, resume.number) == (saving.job_id, 1)


def test_show_names_the_last_checkpoint_and_how_to_go_on(
    funded: Shell, node: Node, world: World, job_file: str
) -> None:
    saving = begun(funded, world, node, job_file)
    assert "checkpoint" not in funded.nunet("request", "show", saving.job_id)[1]
    saving.save(1, STATE)
    out = funded.nunet("request", "show", saving.job_id)[1]
    (line,) = [line for line in out.splitlines() if line.startswith("checkpoint")]
    assert "number 1 of 20" in line
    assert line.endswith(f"7 bytes; to go on from it: nunet request resume {saving.job_id[:12]}")
    facts = funded.facts("request", "show", saving.job_id)["checkpoint"]
    assert isinstance(facts, dict)
    assert (facts["number"], facts["size_bytes"]) == (1, 7)


def test_one_begun_on_linux_is_refused_under_wsl_with_that_reason_and_nothing_is_paid(
    funded: Shell, node: Node, world: World, job_file: str
) -> None:
    saving = begun(funded, world, node, job_file)
    saving.save(1, STATE)
    ended(saving)
    node.register(machine=WSL)
    before = funded.facts("wallet", "balance")["tokens"]
    code, out, err = funded.nunet("request", "resume", saving.job_id, "--yes")
    assert (code, out) == (7, "")
    assert "begun on Linux, this node runs under WSL" in err
    assert funded.facts("wallet", "balance")["tokens"] == before


def test_a_checkpoint_that_another_node_signed_is_refused_before_anything_is_quoted(
    funded: Shell, node: Node, world: World, job_file: str
) -> None:
    saving = begun(funded, world, node, job_file)
    saving.save(1, STATE)
    ended(saving)
    forged = seal_checkpoint(saving.manifest(1, {"state.json": b"9"}), SigningKey.generate())
    with world.oracle.store.writing() as db:
        jobs.keep(db, saving.job_id, jobs.Paper.CHECKPOINT, strict.encode(forged).decode())
    quotes = world.rows()["quotes"]
    code, _, err = funded.nunet("request", "resume", saving.job_id, "--yes")
    assert code == 7
    assert "another node signed it" in err
    assert world.rows()["quotes"] == quotes


def test_a_job_that_runs_or_has_no_checkpoint_is_refused(
    funded: Shell, node: Node, world: World, job_file: str
) -> None:
    saving = begun(funded, world, node, job_file)
    code, _, err = funded.nunet("request", "resume", saving.job_id, "--yes")
    assert (code, "no checkpoint that is whole" in err) == (7, True)
    saving.save(1, STATE)
    code, _, err = funded.nunet("request", "resume", saving.job_id, "--yes")
    assert (code, "it is running; cancel it, or let it end" in err) == (7, True)


def test_a_job_without_a_folder_or_unknown_here_exits_2(
    funded: Shell, node: Node, job_file: str
) -> None:
    assert node
    path = Path(job_file)
    path.write_text(path.read_text().split("[checkpoint]")[0])
    job_id = str(funded.facts("request", "submit", job_file, "--yes")["job_id"])
    for words, why in (
        ((job_id, "--yes"), "names no [checkpoint] folder"),
        (("abcdef",), "cannot find a job 'abcdef' that was signed here"),
        ((job_id, "--results", "out"), "--results without --follow"),
    ):
        code, _, err = funded.nunet("request", "resume", *words)
        assert code == 2
        assert why in err


def test_resume_is_not_written_by_hand(job_file: str) -> None:
    path = Path(job_file)
    path.write_text(path.read_text() + "resume = 1\n")
    with pytest.raises(ConfigError, match="not written by hand") as caught:
        read_job(path)
    assert "nunet request resume" in caught.value.hint
