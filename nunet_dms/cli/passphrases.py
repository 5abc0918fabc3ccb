"""A wallet's passphrase: from the terminal, or from a file; never from argv or environment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer

from nunet_dms.cli import render
from nunet_dms.errors import UsageError

PASSPHRASE = typer.Option(
    None,
    "--passphrase-file",
    help="Read the wallet's passphrase from this file of mode 0600; else it is asked for.",
)


def opening(file: Path | None, name: str) -> Callable[[], str]:
    """Return what gives the passphrase of a wallet that is there, once it is needed.

    It raises UsageError where there is neither a file nor anybody at a terminal.
    """

    def asked() -> str:
        if file is not None:
            return passphrase_in(file)
        if not render.can_ask():
            raise UsageError(
                f"cannot open wallet {name}: nobody is at a terminal to type its passphrase",
                hint="give it in a file of mode 0600: --passphrase-file FILE",
            )
        return render.ask_secret(f"passphrase of wallet {name}")

    return asked


def choosing(file: Path | None, name: str, usage: str) -> str:
    """Return a new wallet's passphrase, asked for twice; `usage` is what a script is to type.

    Raises UsageError where there is neither a file nor anybody at a terminal, and for one that is
    too short or not the same twice.
    """
    from nunet_dms.requester.vault import checked_passphrase  # noqa: PLC0415 - nacl

    if file is not None:
        return checked_passphrase(passphrase_in(file))
    if not render.can_ask():
        raise UsageError(
            f"cannot make wallet {name}: nobody is at a terminal to choose its passphrase",
            hint=f"type: {usage}",
        )
    chosen = checked_passphrase(render.ask_secret(f"new passphrase of wallet {name}"))
    if render.ask_secret("the same again") != chosen:
        raise UsageError("nothing was made: the two passphrases are not the same")
    return chosen


def passphrase_in(file: Path) -> str:
    """Return the one line that a file of mode 0600 holds; raises ConfigError or UsageError."""
    from nunet_dms.protocol.secretfile import read_secret  # noqa: PLC0415 - when needed

    try:
        text = read_secret(file, "passphrase file").decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UsageError(f"cannot use passphrase file {file}: it is not UTF-8") from None
    if not text or "\n" in text:
        raise UsageError(f"cannot use passphrase file {file}: it must hold one line")
    return text
