"""`nunet wallet`: make and show wallets for mNTX."""

from __future__ import annotations

import typer

from nunet_dms import paths
from nunet_dms.cli import render
from nunet_dms.cli.contact import DEFAULT_WALLET, meet, oracle_url

app = typer.Typer(no_args_is_help=True)
NAME = typer.Argument(DEFAULT_WALLET, help="The wallet's name.")
ORACLE = typer.Option("", "--oracle", help="The Oracle's URL; else $NUNET_ORACLE, else config.")
JSON = typer.Option(False, "--json", help="One line of JSON.")


@app.command()
def new(name: str = NAME, as_json: bool = JSON) -> None:
    """Make a wallet: a key file of mode 0600, in cardano-cli's own format."""
    from nunet_dms.requester.wallet import new_wallet  # noqa: PLC0415 - nacl

    new_wallet(paths.resolve().wallets_dir, name)
    _show(name, as_json=as_json, made=True)


@app.command()
def show(name: str = NAME, as_json: bool = JSON) -> None:
    """Show a wallet's address; never its key."""
    _show(name, as_json=as_json)


@app.command()
def balance(name: str = NAME, oracle: str = ORACLE, as_json: bool = JSON) -> None:
    """Show what a wallet holds, as the Oracle's ledger has it."""
    from nunet_dms.cardano.value import AssetId  # noqa: PLC0415 - nacl
    from nunet_dms.protocol.amount import LOVELACE_DECIMALS, show_amount  # noqa: PLC0415 - lazy
    from nunet_dms.requester.ledger import Ledger  # noqa: PLC0415 - requests, here only
    from nunet_dms.requester.wallet import open_wallet  # noqa: PLC0415 - nacl

    where = paths.resolve()
    with meet(where, oracle_url(where, oracle)) as met:
        address = open_wallet(where.wallets_dir, name, met.info.network_id).address
        held = Ledger(met.http).balance(address)
    token = AssetId(bytes.fromhex(met.info.token_policy), bytes.fromhex(met.info.token_name))
    tokens, lovelace = held.quantity(token), held.lovelace
    unit = token.name.decode("ascii", "replace")
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
    from nunet_dms.requester.ledger import Ledger  # noqa: PLC0415 - requests, here only
    from nunet_dms.requester.wallet import open_wallet  # noqa: PLC0415 - nacl

    where = paths.resolve()
    with meet(where, oracle_url(where, oracle)) as met:
        address = open_wallet(where.wallets_dir, name, met.info.network_id).address
        tx_id = Ledger(met.http).faucet(address, lovelace, tokens)
    facts = {"wallet": name, "tx_id": tx_id, "tokens": tokens, "lovelace": lovelace}
    lines = (f"on the way in transaction {tx_id}", met.info.warning)
    render.show(render.Shown("nunet.wallet.faucet/1", facts, lines), as_json)


def _show(name: str, *, as_json: bool, made: bool = False) -> None:
    from nunet_dms.requester.wallet import open_wallet, wallet_file  # noqa: PLC0415 - nacl

    folder = paths.resolve().wallets_dir
    wallet, path = open_wallet(folder, name), wallet_file(folder, name)
    key_hash = wallet.key.key_hash.hex()
    facts = {
        "wallet": name, "address": wallet.address.bech32, "key_hash": key_hash, "file": str(path),
    }  # fmt: skip
    lines = [f"address   {wallet.address}", f"key hash  {key_hash}", f"key file  {path}"]
    if made:
        lines.append("back up the key file: whoever has it has the tokens")
    render.show(render.Shown("nunet.wallet/1", facts, tuple(lines)), as_json)
