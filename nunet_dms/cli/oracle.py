"""`nunet oracle`: make an Oracle's folder, look at its chain, and serve it."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nunet_dms import paths
from nunet_dms.cli import oracle_conflicts, oracle_devnet, oracle_disputes, render
from nunet_dms.errors import UsageError

if TYPE_CHECKING:
    from nunet_dms.oracle.config import OracleConfig

EXTRA_MODULES = frozenset({"fastapi", "starlette", "uvicorn", "sqlalchemy"})
"""What the extra `oracle` installs; without them an Oracle can be made, not served."""

DEFAULT_BACKEND = "koios"
"""Of a public network: it wants no key."""

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
    backend: str = typer.Option(
        "", help="koios, blockfrost or ogmios; devnet is the development ledger."
    ),
    url: str = typer.Option("", help="Where the backend answers; else its usual address."),
    key_file: str = typer.Option("", "--key-file", help="File (mode 0600) with the backend's key."),
    listen: str = typer.Option("127.0.0.1:9980", help="host:port; port 0 lets the system choose."),
    block_interval_s: float = typer.Option(
        2.0, "--block-interval-s", help="Seconds between two blocks of the development ledger."
    ),
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Make an Oracle: its folder, its settings with comments, its two keys.

    Example: nunet oracle init --network preprod --backend koios
    """
    from nunet_dms.oracle.chain_config import (  # noqa: PLC0415 - as below
        DEVNET_BACKEND,
        ChainConfig,
    )
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
        chain=ChainConfig(
            backend=backend or (DEVNET_BACKEND if network == "devnet" else DEFAULT_BACKEND),
            url=url,
            key_file=key_file,
        ),
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
def check(
    folder: Path | None = _DIR,
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Ask the chain who it is and where it stands: exit code 6 if it is silent, 7 if foreign.

    Example: nunet oracle check --dir ORACLE
    """
    from nunet_dms.oracle.config import load  # noqa: PLC0415 - loaded only when this command runs
    from nunet_dms.oracle.remote_chain import look_at  # noqa: PLC0415 - requests, here only

    config = load(folder or paths.resolve().oracle_dir)
    if config.chain.is_devnet:
        raise UsageError(
            "cannot check the chain: it is the development ledger in the Oracle's own folder",
            hint="to use a public network, set [oracle] network and [chain] backend in oracle.toml",
        )
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)  # the answer says what is wrong
    found = look_at(config, time.time)
    lines = (
        f"{found.network} (magic {found.magic}) by {' and '.join(found.backends)}",
        *(f"  {url}" for url in found.urls),
        f"block {found.height}, slot {found.slot}, {found.tip_age_s} s ago",
        f"token {found.fingerprint} ({found.token}), {found.decimals} decimals",
        f"a payment counts after {found.confirmations} confirmations",
    )
    render.show(render.Shown("nunet.oracle.check/1", found, lines), as_json)


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
    oracle_conflicts.conflicts,
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


app.add_typer(oracle_devnet.app, name="devnet")
