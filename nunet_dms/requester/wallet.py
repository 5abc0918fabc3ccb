"""Wallets in files, known by a short name: `NAME.wallet` is encrypted, `NAME.skey` is not.

What a wallet is called and where it is paid needs no passphrase; only signing does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nunet_dms.cardano.address import Address, enterprise_address
from nunet_dms.cardano.extended import ExtendedKey
from nunet_dms.cardano.hashes import blake2b_224
from nunet_dms.cardano.hd import base_address, stake_address
from nunet_dms.cardano.keys import PaymentKey, Signer, read_signer_file
from nunet_dms.cardano.network import TEST_NETWORK_ID
from nunet_dms.errors import ConfigError, UsageError, VerificationError
from nunet_dms.protocol import strict
from nunet_dms.protocol.secretfile import read_secret, write_secret
from nunet_dms.requester.vault import MODERATE, Cost, Secret, Vault, read_vault, seal, unseal

DEFAULT_WALLET = "default"
WALLET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
ENCRYPTED, PLAIN = ".wallet", ".skey"

Passphrase = Callable[[], str]
"""Asks for it, when it is needed."""


@dataclass(frozen=True, slots=True)
class Wallet:
    """Who pays: a name for people, the key, and the key's address on one network."""

    name: str
    key: Signer
    address: Address


@dataclass(frozen=True, slots=True)
class KnownWallet:
    """A wallet as its file tells without a passphrase."""

    name: str
    file: Path
    key_hash: bytes
    """Of the key that pays."""
    stake_hash: bytes | None
    """Of the key that delegates; None for a key without words, whose address has no such part."""
    vault: Vault | None = field(repr=False)
    plain_key: PaymentKey | ExtendedKey | None = None

    @property
    def is_encrypted(self) -> bool:
        """Whether signing needs a passphrase."""
        return self.vault is not None

    def address(self, network_id: int = TEST_NETWORK_ID) -> Address:
        """Return where the wallet is paid on that network."""
        if self.stake_hash is None:
            return enterprise_address(self.key_hash, network_id)
        return base_address(self.key_hash, self.stake_hash, network_id)

    def stake_address(self, network_id: int) -> str | None:
        """Return where its rewards go, in bech32; None without a stake key."""
        return None if self.stake_hash is None else stake_address(self.stake_hash, network_id)

    def unlocked(self, network_id: int, passphrase: Passphrase) -> Wallet:
        """Return the wallet with its key; raises VerificationError for a wrong passphrase."""
        address = self.address(network_id)
        if self.vault is None:
            if self.plain_key is None:
                raise ConfigError(f"cannot use wallet {self.name}: {self.file} holds no key")
            return Wallet(self.name, self.plain_key, address)
        key = unseal(self.vault, passphrase()).key
        if key.key_hash != self.key_hash:
            raise VerificationError(
                "wallet_altered", f"cannot open wallet {self.name}: its key is another's"
            )
        return Wallet(self.name, key, address)


def new_wallet(
    folder: Path, name: str, secret: Secret, passphrase: str, cost: Cost = MODERATE
) -> KnownWallet:
    """Write a wallet's secret, encrypted; raises ConfigError if there is one of that name."""
    path = check_free(folder, name)
    vault = seal(secret, passphrase, cost)
    write_secret(path, strict.encode(vault) + b"\n")
    return _known(name, path, vault)


def check_free(folder: Path, name: str) -> Path:
    """Return the file that a new wallet would have; raises ConfigError if the name is taken."""
    for path in _files_of(folder, name):
        if path.exists():
            raise ConfigError(
                f"cannot make wallet {name}: {path} exists and is kept",
                hint="give the new wallet another name",
            )
    return _files_of(folder, name)[0]


def find_wallet(folder: Path, name: str) -> KnownWallet:
    """Return a wallet as far as it needs no passphrase.

    Raises ConfigError if there is none, if there are two, or if others may read it.
    """
    encrypted, plain = _files_of(folder, name)
    if encrypted.exists() and plain.exists():
        raise ConfigError(f"cannot tell which wallet {name} is: {encrypted} or {plain}")
    if encrypted.exists():
        return _known(name, encrypted, read_vault(read_secret(encrypted), str(encrypted)))
    if plain.exists():
        key = read_signer_file(plain)
        return KnownWallet(name, plain, key.key_hash, None, None, key)
    raise ConfigError(
        f"cannot use wallet {name}: there is no {encrypted}", hint=f"type: nunet wallet new {name}"
    )


def wallet_names(folder: Path) -> tuple[str, ...]:
    """Return the names of all wallets, in order."""
    try:
        files = [path for path in folder.iterdir() if path.suffix in (ENCRYPTED, PLAIN)]
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(sorted({path.stem for path in files if WALLET_NAME.fullmatch(path.stem)}))


def _known(name: str, path: Path, vault: Vault) -> KnownWallet:
    clear = vault.clear
    stake_hash = None if clear.stake_key_hash is None else bytes.fromhex(clear.stake_key_hash)
    key_hash = blake2b_224(bytes.fromhex(clear.public_key))
    return KnownWallet(name, path, key_hash, stake_hash, vault)


def _files_of(folder: Path, name: str) -> tuple[Path, Path]:
    if WALLET_NAME.fullmatch(name) is None:
        raise UsageError(f"cannot use wallet name {name!r:.80}: give letters, digits, - and _")
    return folder / f"{name}{ENCRYPTED}", folder / f"{name}{PLAIN}"
