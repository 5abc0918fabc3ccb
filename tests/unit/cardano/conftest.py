"""A development ledger in a file of its own, for every test that wants one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from devnet_world import FakeClock

from nunet_dms.cardano.chain.devnet import Devnet


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "devnet.db"


@pytest.fixture
def ledger(path: Path, clock: FakeClock) -> Iterator[Devnet]:
    with Devnet(path, clock) as opened:
        yield opened
