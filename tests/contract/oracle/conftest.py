"""The world of the Oracle's contract tests, and its usual inhabitants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from oracle_world import ManualClock, Node, Requester, World, running

from nunet_dms.protocol.quote import Quote
from nunet_dms.protocol.submission import JobView


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A running Oracle on an empty development ledger."""
    with running(tmp_path / "oracle", ManualClock()) as found:
        yield found


@pytest.fixture
def node(world: World) -> Node:
    """A registered node that takes jobs."""
    return Node(world).online()


@pytest.fixture
def requester(world: World) -> Requester:
    """A wallet with ADA and mNTX."""
    return Requester(world)


@pytest.fixture
def quote(requester: Requester, node: Node) -> Quote:
    """A quote whose inputs are uploaded: only the payment is missing."""
    assert node
    found = requester.quote()
    requester.upload(found)
    return found


@pytest.fixture
def running_job(world: World, requester: Requester, node: Node) -> tuple[JobView, str]:
    """A job that runs, and its ticket's id."""
    job = requester.order()
    world.step()
    return job, node.take(job.job_id)
