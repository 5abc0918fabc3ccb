"""Wallets: payment keys in files, known by a short name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.keys import PaymentKey, read_key_file, write_key_file
from nunet_dms.cardano.network import TEST_NETWORK_ID
from nunet_dms.errors import ConfigError, UsageError

DEFAULT_WALLET = "default"
WALLET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Wallet:
    """Who pays: a name for people, the key, and the key's address on one network."""

    name: str
    key: PaymentKey
    address: Address


def new_wallet(folder: Path, name: str, network_id: int = TEST_NETWORK_ID) -> Wallet:
    """Make a wallet and write its key; raises ConfigError if there is one of that name."""
    path = wallet_file(folder, name)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = PaymentKey.generate()
    write_key_file(path, key)
    return Wallet(name, key, key.address(network_id))


def open_wallet(folder: Path, name: str, network_id: int = TEST_NETWORK_ID) -> Wallet:
    """Read a wallet's key; raises ConfigError if there is none, or others may read it."""
    path = wallet_file(folder, name)
    if not path.exists():
        raise ConfigError(
            f"cannot use wallet {name}: there is no {path}", hint=f"type: nunet wallet new {name}"
        )
    key = read_key_file(path)
    return Wallet(name, key, key.address(network_id))


def wallet_file(folder: Path, name: str) -> Path:
    """Return where a wallet's key lies; raises UsageError for a name that is no plain word."""
    if WALLET_NAME.fullmatch(name) is None:
        raise UsageError(f"cannot use wallet name {name!r:.80}: give letters, digits, - and _")
    return folder / f"{name}.skey"
