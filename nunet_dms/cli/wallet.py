"""`nunet wallet`: make and show wallets for mNTX."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from nunet_dms import paths
from nunet_dms.cli import render
from nunet_dms.cli.contact import DEFAULT_WALLET, meet, oracle_url, read_wallet, wallet_file
from nunet_dms.errors import UsageError

WALLET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
TEST_NETWORK_ID = 0
"""Of every network but mainnet."""

app = typer.Typer(no_args_is_help=True)
NAME = typer.Argument(DEFAULT_WALLET, help="The wallet's name.")
ORACLE = typer.Option("", "--oracle", help="The Oracle's URL; else $NUNET_ORACLE, else config.")
JSON = typer.Option(False, "--json", help="One line of JSON.")


@app.command()
def new(name: str = NAME, as_json: bool = JSON) -> None:
    """Make a wallet: a key file of mode 0600, in cardano-cli's own format."""
    from nunet_dms.cardano.keys import PaymentKey, write_key_file  # noqa: PLC0415 - nacl

    if not WALLET_NAME.fullmatch(name):
        raise UsageError(
            f"cannot use the wallet name {name!r:.40}: up to 64 letters, digits, '.', '_' and '-'"
        )
    path = wallet_file(paths.resolve(), name)
    write_key_file(path, PaymentKey.generate())
    _show(name, path, as_json=as_json, made=True)


@app.command()
def show(name: str = NAME, as_json: bool = JSON) -> None:
    """Show a wallet's address; never its key."""
    _show(name, wallet_file(paths.resolve(), name), as_json=as_json)


@app.command()
def balance(name: str = NAME, oracle: str = ORACLE, as_json: bool = JSON) -> None:
    """Show what a wallet holds, as the Oracle's ledger has it."""
    from nunet_dms.requester.amount import LOVELACE_DECIMALS, show_amount  # noqa: PLC0415 - lazy
    from nunet_dms.requester.client import holdings  # noqa: PLC0415 - requests, here only

    where = paths.resolve()
    with meet(where, oracle_url(where, oracle)) as met:
        address = read_wallet(where, name).address(met.info.network_id)
        found = holdings(met.http, address)
    unit = bytes.fromhex(met.info.token_name).decode("ascii", "replace")
    ours = (met.info.token_policy, met.info.token_name)
    tokens = sum(
        held.quantity
        for utxo in found.utxos
        for held in utxo.assets
        if (held.policy, held.name) == ours
    )
    lovelace = sum(utxo.lovelace for utxo in found.utxos)
    facts = {
        "wallet": name, "address": address.bech32, "lovelace": lovelace, "tokens": tokens,
        "token_decimals": met.info.token_decimals,
    }  # fmt: skip
    lines = (
        f"{show_amount(tokens, met.info.token_decimals, unit)}"
        f"  {show_amount(lovelace, LOVELACE_DECIMALS, 'ADA')}  at {address.bech32}",
    )
    render.show(render.Shown("nunet.wallet.balance/1", facts, lines), as_json)


@app.command()
def faucet(
    name: str = NAME,
    tokens: int = typer.Option(1_000_000_000, help="Base units of mNTX."),
    lovelace: int = typer.Option(100_000_000, help="Millionths of an ADA."),
    oracle: str = ORACLE,
    as_json: bool = JSON,
) -> None:
    """Have the development ledger give a wallet mNTX and ADA, both without value."""
    from nunet_dms.requester.client import ask_faucet  # noqa: PLC0415 - requests, here only

    where = paths.resolve()
    with meet(where, oracle_url(where, oracle)) as met:
        address = read_wallet(where, name).address(met.info.network_id)
        tx_id = ask_faucet(met.http, address, lovelace, tokens)
    facts = {"wallet": name, "tx_id": tx_id, "tokens": tokens, "lovelace": lovelace}
    lines = (f"on the way in transaction {tx_id}", met.info.warning)
    render.show(render.Shown("nunet.wallet.faucet/1", facts, lines), as_json)


def _show(name: str, path: Path, *, as_json: bool, made: bool = False) -> None:
    key = read_wallet(paths.resolve(), name)
    address = key.address(TEST_NETWORK_ID).bech32
    facts = {
        "wallet": name, "address": address, "key_hash": key.key_hash.hex(), "file": str(path),
    }  # fmt: skip
    lines = [f"address   {address}", f"key hash  {key.key_hash.hex()}", f"key file  {path}"]
    if made:
        lines.append("back up the key file: whoever has it has the tokens")
    render.show(render.Shown("nunet.wallet/1", facts, tuple(lines)), as_json)
