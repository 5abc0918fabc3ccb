"""`nunet wallet sign`: sign a transaction that somebody else wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nunet_dms import paths
from nunet_dms.cli import render
from nunet_dms.cli.passphrases import PASSPHRASE, opening
from nunet_dms.errors import UsageError, VerificationError

if TYPE_CHECKING:
    from nunet_dms.cardano.transaction import Transaction

NAME = typer.Argument(help="The wallet's name.")
FILE = typer.Argument(
    help="A cardano-cli text envelope, or bare hex or CBOR.", exists=True, dir_okay=False
)
OUT = typer.Option(None, "--out", help="Write it to this new file; else FILE.signed.")
BLIND = typer.Option(False, "--blind", help="Sign even what cannot be explained.")
YES = typer.Option(False, "--yes", help="Do not ask.")
JSON = typer.Option(False, "--json", help="One line of JSON.")


def sign(
    name: str = NAME, file: Path = FILE, out: Path | None = OUT, blind: bool = BLIND,
    yes: bool = YES, passphrase: Path | None = PASSPHRASE, as_json: bool = JSON,
) -> None:  # fmt: skip
    """Sign a transaction from a file, after telling in words what it does. Needs no network.

    Example: nunet wallet sign cold payment.tx --out payment.signed
    """
    from nunet_dms.cardano.envelope import write_envelope  # noqa: PLC0415 - nacl
    from nunet_dms.cardano.signing import sign as signed_by  # noqa: PLC0415 - nacl
    from nunet_dms.requester.wallet import find_wallet  # noqa: PLC0415 - nacl

    if not yes and not render.can_ask():
        raise UsageError(
            "cannot sign: nobody is at a terminal to agree", hint="to skip the question: --yes"
        )
    target = out or file.with_name(f"{file.name}.signed")
    check_new(target)
    known = find_wallet(paths.resolve().wallets_dir, name)
    transaction = _transaction_in(file)
    home = frozenset(known.address(network_id).raw for network_id in (0, 1))
    _tell(transaction, home, blind=blind)
    if not yes and not render.confirm("Sign this?"):
        raise UsageError("nothing was signed")
    us = known.unlocked(0, opening(passphrase, name))
    write_new(target, write_envelope(signed_by(transaction.raw, us.key), signed=True))
    tx_id = transaction.tx_id.hex()
    facts = {"wallet": name, "tx_id": tx_id, "key_hash": us.key.key_hash.hex(), "file": str(target)}
    render.show(render.Shown("nunet.wallet.sign/1", facts, (f"signed in {target}",)), as_json)


def _tell(transaction: Transaction, home: frozenset[bytes], *, blind: bool) -> None:
    """Say what the transaction does; raises VerificationError where that cannot be said."""
    from nunet_dms.requester.explain import explain, known_units  # noqa: PLC0415 - nacl

    told = explain(transaction, home, known_units())
    for line in told.lines:
        render.progress(line)
    if told.unexplained and not blind:
        raise VerificationError(
            "unexplained",
            f"cannot explain the transaction: it holds {', '.join(told.unexplained)}",
            hint="to sign it all the same: --blind",
        )


def _transaction_in(file: Path) -> Transaction:
    from nunet_dms.cardano.envelope import read_handed  # noqa: PLC0415 - nacl
    from nunet_dms.cardano.transaction import read_transaction  # noqa: PLC0415 - nacl

    handed = read_handed(read_bounded(file))
    if not isinstance(handed, bytes):
        raise UsageError(f"cannot sign {file}: it holds signatures, and no transaction")
    return read_transaction(handed)


def read_bounded(file: Path) -> bytes:
    """Return what a transaction's file holds, up to what one may hold; raises UsageError."""
    from nunet_dms.cardano.envelope import FILE_MAX_BYTES  # noqa: PLC0415 - nacl

    try:
        with file.open("rb") as content:
            return content.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error


def check_new(file: Path) -> None:
    """Raise UsageError for a file that is there: nothing is written over."""
    if file.exists():
        raise UsageError(f"cannot write {file}: it exists and is kept")


def write_new(file: Path, content: bytes) -> None:
    """Write a file that was not there; raises UsageError. A transaction is no secret."""
    try:
        with file.open("xb") as target:
            target.write(content)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error
