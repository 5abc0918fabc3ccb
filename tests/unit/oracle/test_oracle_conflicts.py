"""One report a job: the same again is a duplicate, another one is refused, kept, and told."""

from __future__ import annotations

import pytest
from money_world import Node, Requester, World

from nunet_dms.errors import RefusedError
from nunet_dms.oracle import conflicts
from nunet_dms.oracle.clockwork import Clockwork
from nunet_dms.oracle.problems import status_of


@pytest.fixture
def reported(world: World, node: Node, requester: Requester) -> str:
    """A job that its node ran and reported."""
    job_id = requester.order()
    world.step()
    node.accept(job_id)
    world.step(50)
    assert not node.report(job_id).duplicate
    return job_id


def contradict(node: Node, job_id: str, ran_ms: int = 40_000) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        node.report(job_id, ran_ms=ran_ms)
    return caught.value


def test_the_same_report_again_is_a_duplicate_and_no_conflict(
    world: World, node: Node, reported: str
) -> None:
    assert node.report(reported).duplicate
    assert conflicts.find(world.oracle) == ()


def test_another_report_is_refused_with_422_and_kept_as_evidence(
    world: World, node: Node, reported: str
) -> None:
    before = world.job(reported)
    refused = contradict(node, reported)
    assert (refused.code, status_of(refused)) == ("report_conflict", 422)
    assert world.job(reported) == before
    (kept,) = conflicts.find(world.oracle)
    assert (kept.job_id, kept.node_id, kept.taken_hash) == (
        reported, node.node_id, before.report_hash,
    )  # fmt: skip
    assert "40000" in kept.body
    assert (kept.times, kept.is_seen) == (1, False)


def test_a_conflict_outlives_the_oracle_and_is_told_until_it_is_looked_at(
    world: World, node: Node, reported: str
) -> None:
    contradict(node, reported)
    contradict(node, reported)
    world.reopen()
    (kept,) = conflicts.find(world.oracle)
    assert kept.times == 2
    clockwork = Clockwork(world.oracle)
    clockwork.step(world.clock())
    assert clockwork.conflicts == 1
    conflicts.mark_seen(world.oracle, reported)
    clockwork.step(world.clock())
    assert clockwork.conflicts == 0
    contradict(node, reported, ran_ms=1)
    assert conflicts.unseen(world.oracle) == 1, "a new one is told again"


def test_what_is_kept_of_one_job_is_bounded(world: World, node: Node, reported: str) -> None:
    for ran_ms in range(conflicts.KEPT_MAX + 3):
        contradict(node, reported, ran_ms)
    assert len(conflicts.find(world.oracle)) == conflicts.KEPT_MAX


def test_a_job_without_a_conflict_cannot_be_marked(world: World, reported: str) -> None:
    with pytest.raises(RefusedError, match="no second report"):
        conflicts.mark_seen(world.oracle, reported)
