"""A wallet's file: its secret encrypted under a passphrase, what is public in clear.

Argon2id makes a key of the passphrase, XSalsa20-Poly1305 encrypts with it (libsodium's). What is
sealed begins with a hash of all that is in clear, so that nobody can put another address on it.
"""

# No `from __future__ import annotations`: strict.decode needs the fields' real types.

import os
import unicodedata
from dataclasses import dataclass
from typing import Annotated, Literal, NoReturn

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox

from nunet_dms.cardano.extended import ExtendedKey
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.hd import PAYMENT_PATH, STAKE_PATH, master_key
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.errors import MalformedError, NunetError, UsageError, VerificationError
from nunet_dms.protocol import strict
from nunet_dms.protocol.bounds import Hex16, Hex28, Hex32, HexBytes, Range

PASSPHRASE_MIN_CHARS = 8
PASSPHRASE_MAX_CHARS = 1024
MEMORY_MAX_BYTES = 512 * 1024 * 1024
"""Twice what we use: a file may not make us use up a machine's memory before it is refused."""
PASSES_MAX = 10
CLEAR_HASH_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretching:
    """What it costs to try one passphrase (Argon2id, RFC 9106)."""

    name: Literal["argon2id"] = "argon2id"
    salt: Hex16
    passes: Annotated[int, Range(argon2id.OPSLIMIT_MIN, PASSES_MAX)]
    memory_bytes: Annotated[int, Range(argon2id.MEMLIMIT_MIN, MEMORY_MAX_BYTES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """How dear it is made: libsodium's moderate, 256 MiB and about a second."""

    passes: int = argon2id.OPSLIMIT_MODERATE
    memory_bytes: int = argon2id.MEMLIMIT_MODERATE


MODERATE = Cost()
SecretKind = Literal["words", "key", "extended_key"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clear:
    """What anybody who may read the file may know."""

    kind: SecretKind
    public_key: Hex32
    stake_key_hash: Hex28 | None
    stretching: Stretching


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """The whole file."""

    version: Literal[1] = 1
    clear: Clear
    cipher: Literal["xsalsa20-poly1305"] = "xsalsa20-poly1305"
    sealed: HexBytes
    """24 bytes of nonce, then the encryption of the clear part's hash and of the secret."""


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """What a vault keeps: a wallet's entropy, a key's seed, or an extended key."""

    kind: SecretKind
    content: bytes

    def __repr__(self) -> str:
        """Name the kind; the secret never appears."""
        return f"Secret({self.kind})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: a secret stays where it is."""
        raise TypeError("a secret is not pickled")

    @property
    def key(self) -> PaymentKey | ExtendedKey:
        """The key that pays; raises ConfigError for content that makes none."""
        if self.kind == "words":
            return master_key(self.content).at(PAYMENT_PATH).key
        return PaymentKey(self.content) if self.kind == "key" else ExtendedKey(self.content)

    @property
    def stake_key_hash(self) -> str | None:
        """Hash of the key that delegates, as hex; None for what is no wallet of words."""
        if self.kind != "words":
            return None
        return master_key(self.content).at(STAKE_PATH).key.key_hash.hex()


def secret_of(key: PaymentKey | ExtendedKey) -> Secret:
    """Return an imported key as what a vault keeps."""
    if isinstance(key, PaymentKey):
        return Secret("key", key.seed)
    return Secret("extended_key", key.secret)


def seal(secret: Secret, passphrase: str, cost: Cost = MODERATE) -> Vault:
    """Return the secret under a passphrase; raises UsageError for one that is too short."""
    stretching = Stretching(
        salt=os.urandom(argon2id.SALTBYTES).hex(),
        passes=cost.passes,
        memory_bytes=cost.memory_bytes,
    )
    clear = Clear(
        kind=secret.kind,
        public_key=secret.key.public.hex(),
        stake_key_hash=secret.stake_key_hash,
        stretching=stretching,
    )
    box = SecretBox(_key_of(checked_passphrase(passphrase), stretching))
    return Vault(clear=clear, sealed=bytes(box.encrypt(_clear_hash(clear) + secret.content)).hex())


def unseal(vault: Vault, passphrase: str) -> Secret:
    """Return the secret; raises VerificationError `wrong_passphrase` or `wallet_altered`."""
    box = SecretBox(_key_of(passphrase, vault.clear.stretching))
    try:
        opened = box.decrypt(bytes.fromhex(vault.sealed))
    except (CryptoError, ValueError):
        raise VerificationError(
            "wrong_passphrase",
            "cannot open the wallet: the passphrase is wrong, or its file is damaged",
        ) from None
    secret = Secret(vault.clear.kind, opened[CLEAR_HASH_BYTES:])
    if opened[:CLEAR_HASH_BYTES] != _clear_hash(vault.clear):
        raise VerificationError(
            "wallet_altered",
            "cannot open the wallet: what its file says in clear was changed since it was made",
            hint="restore the file from a backup, or import its words again",
        )
    return secret


def read_vault(content: bytes, at: str) -> Vault:
    """Return a wallet's file; raises MalformedError naming what is wrong, never repeating it."""
    try:
        return strict.decode(Vault, content, at=at)
    except MalformedError as error:
        raise MalformedError(f"cannot read wallet {at}: {error.where} is not as it must be") from (
            None
        )


def checked_passphrase(passphrase: str) -> str:
    """Return a new passphrase; raises UsageError for one that is too short or far too long."""
    if not PASSPHRASE_MIN_CHARS <= len(passphrase) <= PASSPHRASE_MAX_CHARS:
        raise UsageError(
            f"cannot use this passphrase: give {PASSPHRASE_MIN_CHARS} to {PASSPHRASE_MAX_CHARS} "
            "characters"
        )
    return passphrase


def _key_of(passphrase: str, stretching: Stretching) -> bytes:
    # NFKD, as BIP-39 has it: keyboards differ in how they write the same letter.
    try:
        return argon2id.kdf(
            SecretBox.KEY_SIZE,
            unicodedata.normalize("NFKD", passphrase).encode(),
            bytes.fromhex(stretching.salt),
            opslimit=stretching.passes,
            memlimit=stretching.memory_bytes,
        )
    except (CryptoError, MemoryError) as error:  # libsodium's only failure is to get no memory
        needed_mib = stretching.memory_bytes >> 20
        raise NunetError(
            f"cannot open or make the wallet: {needed_mib} MiB of free memory are needed"
        ) from error


def _clear_hash(clear: Clear) -> bytes:
    return blake2b_256(strict.encode(clear))
