"""What the parts of a worker work with; `worker.compose` makes it once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nunet_dms.node.backoff import Backoff
from nunet_dms.node.clock import Clock
from nunet_dms.node.engine.types import Engine
from nunet_dms.node.identity import Identity
from nunet_dms.node.journal import Journal
from nunet_dms.node.limits import DEADLINE_MARGIN_S
from nunet_dms.node.oracle_client import OracleClient
from nunet_dms.node.pool import Pool


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything that a step needs, each of which a test may replace."""

    journal: Journal
    engine: Engine
    oracle: OracleClient
    pool: Pool
    identity: Identity
    clock: Clock
    backoff: Backoff
    jobs_dir: Path
    core_mhz: int
    user: str
    boot_id: str
    deadline_margin_s: int = DEADLINE_MARGIN_S
    """How much later than its time limit a job is ended from inside."""
