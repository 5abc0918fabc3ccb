"""`nunet oracle`: make an Oracle's folder, and serve it."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nunet_dms import paths
from nunet_dms.cli import oracle_disputes, render
from nunet_dms.errors import UsageError

if TYPE_CHECKING:
    from nunet_dms.oracle.config import OracleConfig

EXTRA_MODULES = frozenset({"fastapi", "starlette", "uvicorn", "sqlalchemy"})
"""What the extra `oracle` installs; without them an Oracle can be made, not served."""

app = typer.Typer(no_args_is_help=True)

_DIR = typer.Option(None, "--dir", help="The Oracle's folder.", file_okay=False)


@dataclass(frozen=True, slots=True)
class Made:
    """The facts of `nunet oracle init --json`, schema nunet.oracle.init/1."""

    folder: str
    network: str
    listen: str
    ticket_key: str
    fingerprint: str
    """Of the ticket key: what a provider compares at first contact."""
    escrow_key_hash: str


@app.command()
def init(
    folder: Path | None = _DIR,
    network: str = typer.Option("devnet", help="devnet, preprod or mainnet."),
    listen: str = typer.Option("127.0.0.1:9980", help="host:port; port 0 lets the system choose."),
    block_interval_s: float = typer.Option(
        2.0, "--block-interval-s", help="Seconds between two blocks of the development ledger."
    ),
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Make an Oracle: its folder, its settings with comments, its two keys."""
    from nunet_dms.oracle.config import (  # noqa: PLC0415 - loaded only when this command runs
        OracleConfig,
        split_listen,
    )
    from nunet_dms.oracle.config import init as make  # noqa: PLC0415 - as above

    host, port = split_listen(listen)
    config = OracleConfig(
        folder=folder or paths.resolve().oracle_dir,
        network=network,
        host=host,
        port=port,
        block_interval_s=block_interval_s,
    )
    make(config)
    made = _made(config, listen)
    lines = (
        f"made an Oracle in {made.folder} ({made.network})",
        f"ticket key {made.fingerprint}",
        f"back up {config.ticket_key.name} and {config.escrow_key.name}: tickets and settlements "
        "need them",
        f"start it with: nunet oracle serve --dir {made.folder}",
    )
    render.show(render.Shown("nunet.oracle.init/1", made, lines), as_json)


@app.command()
def serve(folder: Path | None = _DIR) -> None:
    """Serve the Oracle until Ctrl-C or SIGTERM; its log goes to stderr."""
    from nunet_dms.oracle.config import load  # noqa: PLC0415 - loaded only when this command runs

    config = load(folder or paths.resolve().oracle_dir)
    try:
        from nunet_dms.oracle.server import serve as run  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA_MODULES:
            raise
        raise UsageError(
            f"cannot serve an Oracle: {error.name} is not installed",
            hint="install 'nunet-dms[oracle]'",
        ) from error
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    run(config, announce=_announce)


for _command in (
    oracle_disputes.disputes,
    oracle_disputes.revise,
    oracle_disputes.uphold,
    oracle_disputes.alerts,
):
    app.command()(_command)


def _announce(line: str) -> None:
    render.show(render.Shown("nunet.oracle.serve/1", {"line": line}, (line,)))


def _made(config: OracleConfig, listen: str) -> Made:
    from nunet_dms.oracle.config import read_keys  # noqa: PLC0415 - as above
    from nunet_dms.protocol.keys import fingerprint_of  # noqa: PLC0415 - as above

    keys = read_keys(config)
    return Made(
        folder=str(config.folder),
        network=config.network,
        listen=listen,
        ticket_key=keys.ticket.public,
        fingerprint=fingerprint_of(keys.ticket.public),
        escrow_key_hash=keys.escrow.key_hash.hex(),
    )
