"""`nunet wallet`: make, import, show and use wallets for mNTX."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nunet_dms import paths
from nunet_dms.cli import render, wallet_send, wallet_sign
from nunet_dms.cli.contact import DEFAULT_WALLET, meet, oracle_url
from nunet_dms.cli.passphrases import PASSPHRASE, choosing
from nunet_dms.errors import UsageError

if TYPE_CHECKING:
    from nunet_dms.cardano.address import Address
    from nunet_dms.requester.vault import Secret
    from nunet_dms.requester.wallet import KnownWallet

app = typer.Typer(no_args_is_help=True)
NAME = typer.Argument(DEFAULT_WALLET, help="The wallet's name.")
NEW_NAME = typer.Argument(help="The new wallet's name.")
ORACLE = typer.Option("", "--oracle", help="The Oracle's URL; else $NUNET_ORACLE, else config.")
JSON = typer.Option(False, "--json", help="One line of JSON.")
WORDS_TO = typer.Option(
    None, "--words-to", help="Write the 24 words to this new file of mode 0600; do not show them."
)
SKEY = typer.Option(None, "--skey", help="A payment key in cardano-cli's text envelope.")
WORDS_FILE = typer.Option(
    None, "--words-file", help="A file of mode 0600 with 12 to 24 words; else they are asked for."
)
CHECKED_WORDS = 3
"""Asked back, so that nobody goes on who has not written the words down."""


@app.command()
def new(
    name: str = NAME, passphrase: Path | None = PASSPHRASE, words_to: Path | None = WORDS_TO,
    as_json: bool = JSON,
) -> None:  # fmt: skip
    """Make a wallet of 24 words, which other Cardano wallets can restore; encrypted on disk.

    The words are shown once, on the terminal only. In scripts:
    nunet wallet new lab --passphrase-file FILE --words-to FILE
    """
    from nunet_dms.cardano.mnemonic import new_entropy, words_of  # noqa: PLC0415 - nacl
    from nunet_dms.protocol.secretfile import write_secret  # noqa: PLC0415 - nacl
    from nunet_dms.requester.vault import Secret  # noqa: PLC0415 - nacl
    from nunet_dms.requester.wallet import check_free  # noqa: PLC0415 - nacl

    usage = f"nunet wallet new {name} --passphrase-file FILE --words-to FILE"
    check_free(paths.resolve().wallets_dir, name)
    if words_to is None and not render.can_ask():
        raise UsageError(
            f"cannot make wallet {name}: its words are shown on a terminal only, and this is none",
            hint=f"type: {usage}",
        )
    chosen = choosing(passphrase, name, usage)
    entropy = new_entropy()
    words = words_of(entropy)
    if words_to is None:
        _teach(words)
    else:
        write_secret(words_to, (" ".join(words) + "\n").encode("ascii"), "words file")
    _make(name, Secret("words", entropy), chosen, as_json=as_json)


@app.command(name="import")
def import_wallet(
    name: str = NEW_NAME, skey: Path | None = SKEY, words_file: Path | None = WORDS_FILE,
    passphrase: Path | None = PASSPHRASE, as_json: bool = JSON,
) -> None:  # fmt: skip
    """Take over a wallet from its words, or a cardano-cli payment key; encrypted on disk.

    Example: nunet wallet import lab --skey payment.skey
    """
    from nunet_dms.cardano.keys import read_signer_file  # noqa: PLC0415 - nacl
    from nunet_dms.requester.vault import secret_of  # noqa: PLC0415 - nacl
    from nunet_dms.requester.wallet import check_free  # noqa: PLC0415 - nacl

    if skey is not None and words_file is not None:
        raise UsageError("cannot import both: give either --skey or --words-file")
    usage = f"nunet wallet import {name} --words-file FILE --passphrase-file FILE"
    check_free(paths.resolve().wallets_dir, name)
    secret = _words_secret(words_file, usage) if skey is None else secret_of(read_signer_file(skey))
    _make(name, secret, choosing(passphrase, name, usage), as_json=as_json)


@app.command()
def show(name: str = NAME, as_json: bool = JSON) -> None:
    """Show a wallet's addresses; never its key. Needs no passphrase."""
    _show(_find(name), as_json=as_json)


@app.command(name="list")
def list_wallets(as_json: bool = JSON) -> None:
    """List the wallets that are here."""
    from nunet_dms.requester.wallet import wallet_names  # noqa: PLC0415 - nacl

    known = [_find(name) for name in wallet_names(paths.resolve().wallets_dir)]
    table = render.Table(
        ("name", "file is", "address on test networks"),
        tuple((each.name, _kept(each), each.address().bech32) for each in known),
    )
    facts = {"wallets": [_facts(each) for each in known]}
    text: tuple[str | render.Table, ...] = (table,) if known else ("no wallets yet",)
    render.show(render.Shown("nunet.wallets/1", facts, text), as_json)


@app.command()
def balance(name: str = NAME, oracle: str = ORACLE, as_json: bool = JSON) -> None:
    """Show what a wallet holds, as the Oracle's ledger has it. Needs no passphrase."""
    from nunet_dms.cardano.fingerprint import asset_fingerprint  # noqa: PLC0415 - nacl
    from nunet_dms.protocol.amount import ADA, unit_of  # noqa: PLC0415 - lazy
    from nunet_dms.requester.explain import asset_name  # noqa: PLC0415 - nacl
    from nunet_dms.requester.ledger import Ledger  # noqa: PLC0415 - requests, here only

    where, known = paths.resolve(), _find(name)
    with meet(where, oracle_url(where, oracle)) as met:
        network = met.network
        address = known.address(network.network_id)
        held = Ledger(met.http).balance(address)
    unit, tokens = unit_of(network.token_name, network.token_decimals), held.quantity(network.asset)
    fingerprint = asset_fingerprint(network.asset)
    others = [(asset, amount) for asset, amount in held.assets if asset != network.asset]
    facts = {
        "wallet": name, "address": address.bech32, "lovelace": held.lovelace, "tokens": tokens,
        "token": unit.name, "token_decimals": unit.decimals, "token_fingerprint": fingerprint,
        "others": [
            {"policy": asset.policy.hex(), "name": asset.name.hex(), "amount": amount}
            for asset, amount in others
        ],
    }  # fmt: skip
    lines = (
        f"{unit.show(tokens)}  {ADA.show(held.lovelace)}  at {address.bech32}",
        f"{unit.name} is {fingerprint}",
        *[f"{amount} of {asset_name(asset)}" for asset, amount in others],
    )
    render.show(render.Shown("nunet.wallet.balance/1", facts, lines), as_json)


app.command()(wallet_send.send)
app.command()(wallet_sign.sign)


@app.command()
def faucet(
    name: str = NAME,
    tokens: str = typer.Option("1000", help="How many mNTX, such as 1.5."),
    ada: str = typer.Option("100", help="How many ADA."),
    oracle: str = ORACLE,
    as_json: bool = JSON,
) -> None:
    """Have the development ledger give a wallet mNTX and ADA, both without value."""
    from nunet_dms.protocol.amount import ADA, unit_of  # noqa: PLC0415 - lazy
    from nunet_dms.requester.ledger import Ledger  # noqa: PLC0415 - requests, here only

    where, known = paths.resolve(), _find(name)
    with meet(where, oracle_url(where, oracle)) as met:
        network = met.network
        unit = unit_of(network.token_name, network.token_decimals)
        amount, lovelace = unit.parse(tokens), ADA.parse(ada)
        address = known.address(network.network_id)
        tx_id = Ledger(met.http).faucet(address, lovelace, amount)
    facts = {"wallet": name, "tx_id": tx_id, "tokens": amount, "lovelace": lovelace}
    lines = (
        f"{unit.show(amount)} and {ADA.show(lovelace)} are on the way in transaction {tx_id}",
        met.info.warning,
    )
    render.show(render.Shown("nunet.wallet.faucet/1", facts, lines), as_json)


def _teach(words: tuple[str, ...]) -> None:
    """Show the words once, wipe them off, and ask some of them back."""
    import secrets  # noqa: PLC0415 - with the rest of what makes a wallet

    rows = [
        "  ".join(f"{place:2d} {words[place - 1]:<8}" for place in range(first, first + 4))
        for first in range(1, len(words), 4)
    ]
    heading = "write these words down, in this order; whoever has them has the tokens"
    render.show_secret((heading, "", *rows, ""), "press Enter when they are on paper")
    for place in sorted(secrets.SystemRandom().sample(range(len(words)), CHECKED_WORDS)):
        if render.ask(f"word {place + 1}").lower() != words[place]:
            raise UsageError(
                f"nothing was made: word {place + 1} is another", hint="begin again, with new words"
            )
    render.wipe()  # the words that were asked back


def _words_secret(file: Path | None, usage: str) -> Secret:
    from nunet_dms.cardano.mnemonic import entropy_of  # noqa: PLC0415 - nacl
    from nunet_dms.protocol.secretfile import read_secret  # noqa: PLC0415 - nacl
    from nunet_dms.requester.vault import Secret  # noqa: PLC0415 - nacl

    if file is not None:
        text = read_secret(file, "words file").decode("ascii", "replace")
    elif render.can_ask():
        text = render.ask_secret("the wallet's words, in order, spaces between")
    else:
        raise UsageError(
            "cannot import: nobody is at a terminal to type the words", hint=f"type: {usage}"
        )
    return Secret("words", entropy_of(text))


def _make(name: str, secret: Secret, passphrase: str, *, as_json: bool) -> None:
    from nunet_dms.requester.wallet import new_wallet  # noqa: PLC0415 - nacl

    made = new_wallet(paths.resolve().wallets_dir, name, secret, passphrase)
    _show(made, as_json=as_json, made=True)


def _find(name: str) -> KnownWallet:
    from nunet_dms.requester.wallet import find_wallet  # noqa: PLC0415 - nacl

    return find_wallet(paths.resolve().wallets_dir, name)


def _show(wallet: KnownWallet, *, as_json: bool, made: bool = False) -> None:
    lines = [
        f"address     {wallet.address()}  on test networks",
        f"            {_main(wallet)}  on mainnet",
        f"key hash    {wallet.key_hash.hex()}",
    ]
    if (staking := wallet.stake_address(0)) is not None:
        lines.append(f"stake       {staking}  on test networks")
    lines.append(f"file        {wallet.file}, {_kept(wallet)}")
    if made:
        lines.append("keep the file and its passphrase, or the words: without them all is lost")
    render.show(render.Shown("nunet.wallet/1", _facts(wallet), tuple(lines)), as_json)


def _facts(wallet: KnownWallet) -> dict[str, object]:
    return {
        "wallet": wallet.name,
        "address": wallet.address().bech32,
        "mainnet_address": _main(wallet).bech32,
        "stake_address": wallet.stake_address(0),
        "mainnet_stake_address": wallet.stake_address(1),
        "key_hash": wallet.key_hash.hex(),
        "file": str(wallet.file),
        "encrypted": wallet.is_encrypted,
    }


def _main(wallet: KnownWallet) -> Address:
    from nunet_dms.cardano.network import MAIN_NETWORK_ID  # noqa: PLC0415 - lazy

    return wallet.address(MAIN_NETWORK_ID)


def _kept(wallet: KnownWallet) -> str:
    return "encrypted" if wallet.is_encrypted else "not encrypted"
