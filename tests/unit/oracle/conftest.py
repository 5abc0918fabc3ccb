"""A real Oracle on a real ledger, and its two parties, for the tests about money."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from money_world import Node, Requester, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An Oracle on an empty ledger, without a window for objections."""
    made = World(tmp_path / "oracle")
    yield made
    made.close()


@pytest.fixture
def node(world: World) -> Node:
    """A registered node."""
    return Node(world).register()


@pytest.fixture
def requester(world: World) -> Requester:
    """A wallet with tokens."""
    return Requester(world).fund()
