"""`nunet request resume`: a new paid attempt at a job, from its last checkpoint."""

from __future__ import annotations

from pathlib import Path

import typer

from nunet_dms import paths
from nunet_dms.cli import render
from nunet_dms.cli.contact import oracle_url, requester
from nunet_dms.cli.passphrases import PASSPHRASE
from nunet_dms.cli.submit import (
    FOLLOW,
    JSON,
    MAX_PRICE,
    ORACLE,
    RESULTS,
    YES,
    Ending,
    hand_in,
    recorded,
    signed_job,
)
from nunet_dms.cli.times import clock_time

JOB = typer.Argument(help="The id of the job to go on with, or how it begins.")
TIME_LIMIT = typer.Option(
    None, "--time-limit", min=1, max=30 * 86_400,
    help="Seconds that the new attempt may run; else as many as the one before.",
)  # fmt: skip


def resume(
    job: str = JOB, time_limit: int | None = TIME_LIMIT, follow: bool = FOLLOW,
    results: Path | None = RESULTS, max_price: str = MAX_PRICE,
    passphrase: Path | None = PASSPHRASE, oracle: str = ORACLE, yes: bool = YES,
    as_json: bool = JSON,
) -> None:  # fmt: skip
    """Pay for another attempt at a job that has ended, from its last whole checkpoint.

    It is a new job with a price of its own, on any node that the checkpoint fits: the same system
    (one begun on Linux does not go on under WSL), a kernel not older, the CPU's instruction sets
    and the types of GPU. No file of the job needs to be here.

    Example: nunet request resume 3f2a9c --time-limit 3600 --follow --results out
    """
    from nunet_dms.requester.resuming import going_on  # noqa: PLC0415 - when needed

    where, ending = paths.resolve(), Ending(follow, results)
    old = recorded(where, job)
    url = oracle_url(where, oracle or old.oracle_url)
    with requester(where, url, old.wallet, passphrase) as us:
        found = going_on(old, us.checkpoint, time_limit)
        saved = found.manifest
        render.progress(
            f"from checkpoint {saved.number} of {clock_time(saved.taken_ms // 1000)}: "
            f"{len(saved.files.files)} files, {saved.files.total_bytes} bytes, "
            f"after {saved.ran_ms // 1000} s"
        )
        if saved.left_out:
            render.progress(f"not in it: {saved.left_out} links or other special files")
        hand_in(us, signed_job(us, found.job, max_price, yes=yes), ending, as_json=as_json)
