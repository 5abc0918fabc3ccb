"""`nunet oracle devnet`: the development ledger itself, looked through or taken back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nunet_dms import paths
from nunet_dms.cli import render
from nunet_dms.errors import UsageError

if TYPE_CHECKING:
    from nunet_dms.cardano.chain.devnet import Devnet

app = typer.Typer(no_args_is_help=True, help="Look through the development ledger, or undo blocks.")

DIR = typer.Option(None, "--dir", help="The Oracle's folder.", file_okay=False)
JSON = typer.Option(False, "--json", help="One line of JSON.")


@app.command()
def verify(folder: Path | None = DIR, as_json: bool = JSON) -> None:
    """Check that the blocks are whole, and that nothing appeared or vanished in them.

    Exit code 7 names the first broken block, or what is too much or too little.
    """
    from nunet_dms.protocol.amount import ADA, unit_of  # noqa: PLC0415 - when needed

    with _opened(folder) as devnet:
        devnet.verify()
        (unspent, fees), tip = devnet.totals(), devnet.tip()
        tokens, network = unspent.quantity(devnet.asset), devnet.network
    unit = unit_of(network.token_name, network.token_decimals)
    facts = {
        "height": tip.height, "slot": tip.slot, "hash": tip.block_hash.hex(),
        "lovelace": unspent.lovelace, "tokens": tokens, "fees_lovelace": fees,
    }  # fmt: skip
    lines = (
        f"whole to block {tip.height}, {tip.block_hash.hex()}",
        f"{ADA.show(unspent.lovelace)} and {unit.show(tokens)} are unspent,"
        f" {ADA.show(fees)} were paid in fees",
    )
    render.show(render.Shown("nunet.oracle.devnet.verify/1", facts, lines), as_json)


@app.command()
def rollback(
    height: int = typer.Argument(min=0, help="The last block that stays."),
    drop: bool = typer.Option(False, "--drop", help="Lose what the blocks held; else it waits."),
    folder: Path | None = DIR,
    as_json: bool = JSON,
) -> None:
    """Undo every block above a height, as a fork of a real chain does; beside a running `serve`.

    Example: nunet oracle devnet rollback 41 --drop
    """
    with _opened(folder) as devnet:
        before, tip = devnet.tip(), devnet.rollback(height, drop=drop)
    facts = {"height": tip.height, "undone": before.height - tip.height, "dropped": drop}
    word = "lost" if drop else "waiting again"
    lines = (f"blocks undone: {facts['undone']}; what they held is {word}; the last is {height}",)
    render.show(render.Shown("nunet.oracle.devnet.rollback/1", facts, lines), as_json)


@contextmanager
def _opened(folder: Path | None) -> Iterator[Devnet]:
    """Open the ledger in an Oracle's folder; raises UsageError where its chain is another."""
    from nunet_dms.cardano.chain.devnet import Devnet  # noqa: PLC0415 - when needed
    from nunet_dms.oracle.config import load  # noqa: PLC0415 - when needed

    config = load(folder or paths.resolve().oracle_dir)
    if not config.chain.is_devnet or not config.ledger.exists():
        raise UsageError(
            f"cannot open a development ledger: {config.folder} has none",
            hint=f"type: nunet oracle serve --dir {config.folder}",
        )
    with Devnet(config.ledger, time.time) as devnet:
        yield devnet
