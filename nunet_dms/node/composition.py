"""Where every object of a worker is built and handed on: the whole program in one function."""

from __future__ import annotations

import random
from pathlib import Path

from nunet_dms.config import Config
from nunet_dms.errors import NunetError
from nunet_dms.node.backoff import Backoff
from nunet_dms.node.clock import Clock
from nunet_dms.node.deps import Deps
from nunet_dms.node.engine.profile import job_user
from nunet_dms.node.engine.types import Engine
from nunet_dms.node.identity import read_identity
from nunet_dms.node.inbox import InboxHandler
from nunet_dms.node.journal import Journal
from nunet_dms.node.lookout import make_lookout
from nunet_dms.node.oracle_client import OracleClient
from nunet_dms.node.oracle_pin import trusted_key
from nunet_dms.node.pool import Pool
from nunet_dms.node.runner import Runner
from nunet_dms.node.worker import Worker
from nunet_dms.oracle_http import NodeProof, OracleHttp
from nunet_dms.paths import Paths


def compose(
    paths: Paths, config: Config, engine: Engine, clock: Clock, *, starts_again: bool = False
) -> tuple[Worker, Pool]:
    """Build a worker and the pool that it works with.

    `starts_again`: the life before ended itself because the journal's disk failed.
    """
    identity = read_identity(paths, config.wallet.address)
    boot_id = _boot_id()
    journal = Journal(paths.journal, clock.now_ms, boot_id)
    journal.storage.keep_ballast()
    journal.died = journal.died and not starts_again
    try:
        http = OracleHttp(
            config.oracle.url,
            NodeProof(identity.key, identity.node_id),
            ticket_key=trusted_key(config.oracle, journal),
            clock=clock.wall_s,
        )
    except NunetError:
        journal.close()  # settings that cannot be used are no sudden end
        raise
    pool = Pool(clock.monotonic_s)
    deps = Deps(
        journal=journal,
        engine=engine,
        oracle=OracleClient(http, identity.node_id),
        pool=pool,
        identity=identity,
        clock=clock,
        backoff=Backoff(random.Random()),  # noqa: S311 - jitter, not a secret
        jobs_dir=paths.jobs_dir,
        core_mhz=config.capacity.core_mhz,
        user=job_user(),
        boot_id=boot_id,
    )
    runner = Runner(deps)
    lookout = make_lookout(paths, config, journal, clock)
    inbox = InboxHandler(deps, runner, lookout.capacity, paths.receipts_dir)
    inbox.resume()
    return Worker(deps, runner, inbox, lookout, config, paths.cancel_dir), pool


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
