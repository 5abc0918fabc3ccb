"""No token lost, none paid twice, none for work not done: over whole histories made by chance.

`NUNET_HISTORIES` asks for more of them, `NUNET_HISTORY_SEED` for one again.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from money_history import History

STEPS = 60
HISTORIES = int(os.environ.get("NUNET_HISTORIES", "20"))
SEEDS = [int(seed) for seed in os.environ.get("NUNET_HISTORY_SEED", "").split()]


@pytest.mark.parametrize("seed", SEEDS or range(HISTORIES))
def test_what_was_deposited_is_paid_refunded_still_there_or_fees(tmp_path: Path, seed: int) -> None:
    history = History(tmp_path / "oracle", seed)
    try:
        for _ in range(STEPS):
            history.act()
            history.check()
        history.finish()
        history.check()
        history.world.ledger.verify()
        left = {job_id: sums.still_there for job_id, sums in history.sums().items()}
        assert not any(value.lovelace for value in left.values()), left
    except BaseException:
        print(f"NUNET_HISTORY_SEED={seed}; what happened:", *history.story, sep="\n  ")  # noqa: T201
        raise
    finally:
        history.world.close()
