"""What an Oracle keeps of a job that ended: log and files for some days, signed things for ever."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone

import pytest
from oracle_world import Node, Requester, World, spec

from nunet_dms.errors import RefusedError
from nunet_dms.oracle import checkpoints, files, retention
from nunet_dms.protocol.job import Manifest
from nunet_dms.protocol.submission import JobState, JobView

DAY_S = 86_400
KEPT_S = 30 * DAY_S
LOG = b"epoch 1\n"
RESULTS = {"model": b"weights", "again": b"weights", "metrics": b"{}"}


def settled(world: World, node: Node, requester: Requester) -> JobView:
    """Run a job with a log and results to its settlement."""
    node.heartbeat()
    job = requester.order()
    world.step()
    ticket_id = node.take(job.job_id)
    node.http.put_log(job.job_id, 0, LOG)
    manifest = node.put_results(job.job_id, RESULTS)
    node.send_report(
        node.report(
            job.job_id, ticket_id, log_bytes=len(LOG), log_sha256=hashlib.sha256(LOG).hexdigest(),
            results_hash=manifest.digest,
        )
    )  # fmt: skip
    world.step()
    (settlement,) = node.poll().settlements
    node.cosign(settlement)
    world.step()
    world.step(10)
    found = requester.job(job.job_id)
    assert found.state is JobState.SETTLED
    return found


def results(requester: Requester, job_id: str) -> Manifest:
    return requester.http.call("GET", f"/v1/jobs/{job_id}/results", None, Manifest)


def test_log_and_files_go_after_their_days_and_the_receipt_stays(
    world: World, node: Node, requester: Requester
) -> None:
    job = settled(world, node, requester)
    assert job.settled_ms is not None
    assert job.files_until_s == job.settled_ms // 1000 + KEPT_S
    receipt = node.receipt(job.job_id)
    world.step(KEPT_S - DAY_S)
    assert requester.log(job.job_id)[0] == LOG
    assert len(results(requester, job.job_id).files) == 3
    assert len(world.blob_files()) == 3
    world.step(2 * DAY_S)
    assert world.blob_files() == []
    assert (world.rows()["job_blobs"], world.rows()["log_chunks"]) == (0, 0)
    gone = requester.job(job.job_id)
    assert gone.files_until_s == int(world.clock())
    assert (gone.state, gone.log_bytes, gone.log_complete) == (JobState.SETTLED, len(LOG), True)
    assert node.receipt(job.job_id) == receipt


def test_the_requester_is_told_the_day_on_which_they_went(
    world: World, node: Node, requester: Requester
) -> None:
    job = settled(world, node, requester)
    world.step(KEPT_S + DAY_S)
    day = datetime.fromtimestamp(world.clock(), tz=timezone.utc)
    for ask in (
        lambda: requester.log(job.job_id),
        lambda: results(requester, job.job_id),
        lambda: checkpoints.last_of(world.oracle, requester.address.bech32, job.job_id),
    ):
        with pytest.raises(RefusedError) as refused:
            ask()
        assert refused.value.code == "files_gone"
        assert f"they were removed on {day:%Y-%m-%d}" in str(refused.value)
        assert "30 days" in str(refused.value)


def test_they_are_out_of_reach_from_the_moment_on_even_if_no_sweep_came(
    world: World, node: Node, requester: Requester
) -> None:
    job = settled(world, node, requester)
    world.clock.now_s += KEPT_S
    for ask in (
        lambda: requester.log(job.job_id),
        lambda: results(requester, job.job_id),
        lambda: checkpoints.last_of(world.oracle, requester.address.bech32, job.job_id),
    ):
        with pytest.raises(RefusedError) as refused:
            ask()
        assert refused.value.code == "files_gone"


def test_what_another_job_needs_stays(world: World, node: Node, requester: Requester) -> None:
    settled(world, node, requester)
    world.step(KEPT_S - DAY_S)
    node.heartbeat()
    later = requester.order()  # with the same input
    world.step(2 * DAY_S)
    (kept,) = world.blob_files()
    assert kept.name == spec().inputs.files[0].sha256
    assert world.rows()["job_blobs"] == 1
    assert later.files_until_s is None


def test_a_void_job_s_files_go_too(world: World, node: Node, requester: Requester) -> None:
    node.heartbeat()
    job = requester.order()
    with world.oracle.store.writing() as db:
        db.exec_driver_sql("UPDATE jobs SET state = 'void' WHERE job_id = ?", (job.job_id,))
    world.step(KEPT_S + DAY_S)
    assert world.blob_files() == []


def test_a_sweep_that_was_cut_off_is_finished_by_the_next(
    world: World, node: Node, requester: Requester, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = settled(world, node, requester)
    world.step(2 * DAY_S)  # nobody may upload them again
    monkeypatch.setattr(files, "SWEPT_AT_ONCE", 1)
    assert files.release(world.oracle, job.job_id) == 1
    assert len(world.blob_files()) == 2
    world.step(KEPT_S + DAY_S)
    assert world.blob_files() == []
    assert retention.sweep(world.oracle, world.clock()) == 0
