"""Payment keys (Ed25519 through libsodium) and the files that hold them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, Protocol

from nacl.bindings import crypto_sign, crypto_sign_seed_keypair
from nacl.utils import random as random_bytes

from nunet_dms.cardano.address import Address, enterprise_address
from nunet_dms.cardano.extended import EXTENDED_BYTES, ExtendedKey
from nunet_dms.cardano.hashes import blake2b_224
from nunet_dms.errors import ConfigError
from nunet_dms.protocol.secretfile import read_secret, write_secret

SEED_BYTES = 32
SIGNATURE_BYTES = 64

ENVELOPE_TYPE = "PaymentSigningKeyShelley_ed25519"
ENVELOPE_DESCRIPTION = "Payment Signing Key"
_CBOR_HEAD = "5820"
"""A byte string of 32 bytes."""
EXTENDED_TYPE = "PaymentExtendedSigningKeyShelley_ed25519_bip32"
_EXTENDED_HEAD = "5880"
"""A byte string of 128 bytes: extended key, public key, chain code."""
_EXTENDED_TOTAL = 128


class Signer(Protocol):
    """A key that signs: a PaymentKey or an ExtendedKey."""

    @property
    def public(self) -> bytes:
        """The 32-byte public key."""
        ...

    @property
    def key_hash(self) -> bytes:
        """The 28-byte hash by which scripts and addresses name the key."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of the message."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class PaymentKey:
    """An Ed25519 signing key that pays from an enterprise address."""

    seed: bytes
    public: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Derive the public key (RFC 8032)."""
        if len(self.seed) != SEED_BYTES:
            raise ConfigError(f"cannot use a signing key of {len(self.seed)} bytes")
        object.__setattr__(self, "public", crypto_sign_seed_keypair(self.seed)[0])

    def __repr__(self) -> str:
        """Name the key by its hash; the secret never appears."""
        return f"PaymentKey({self.key_hash.hex()})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: a secret stays where it is."""
        raise TypeError("a signing key is not pickled")

    @classmethod
    def generate(cls) -> PaymentKey:
        """Return a new key from the operating system's randomness."""
        return cls(random_bytes(SEED_BYTES))

    @classmethod
    def from_seed(cls, seed: bytes) -> PaymentKey:
        """Return the key of a 32-byte seed; raises ConfigError for another length."""
        return cls(seed)

    @property
    def key_hash(self) -> bytes:
        """The 28-byte hash by which scripts and addresses name the key."""
        return blake2b_224(self.public)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of the message."""
        return crypto_sign(message, self.seed + self.public)[:SIGNATURE_BYTES]

    def address(self, network_id: int) -> Address:
        """Return the key's enterprise address on that network."""
        return enterprise_address(self.key_hash, network_id)


def write_key_file(path: Path, key: PaymentKey) -> None:
    """Write the key as cardano-cli's text envelope, mode 0600, synced to the disk.

    Raises ConfigError when something is there already: a key is never overwritten.
    """
    envelope = {
        "type": ENVELOPE_TYPE,
        "description": ENVELOPE_DESCRIPTION,
        "cborHex": _CBOR_HEAD + key.seed.hex(),
    }
    write_secret(path, (json.dumps(envelope, indent=4) + "\n").encode("ascii"))


def read_key_file(path: Path) -> PaymentKey:
    """Read a key from cardano-cli's text envelope.

    Raises ConfigError when the file is missing, is readable by others, or holds no such key;
    no message repeats what the file holds.
    """
    return _key_in(read_secret(path), path)


def read_signer_file(path: Path) -> PaymentKey | ExtendedKey:
    """Read either kind of cardano-cli's payment keys; raises ConfigError as `read_key_file`."""
    content = read_secret(path)
    try:
        return _key_in(content, path)
    except ConfigError:
        return _extended_key_in(content, path)


def _key_in(content: bytes, path: Path) -> PaymentKey:
    seed = _envelope_bytes(content, ENVELOPE_TYPE, _CBOR_HEAD)
    if seed is None or len(seed) != SEED_BYTES:
        raise ConfigError(f"cannot read key file {path}: it holds no {ENVELOPE_TYPE}")
    return PaymentKey(seed)


def _extended_key_in(content: bytes, path: Path) -> ExtendedKey:
    found = _envelope_bytes(content, EXTENDED_TYPE, _EXTENDED_HEAD)
    wrong = ConfigError(
        f"cannot read key file {path}: it holds no {ENVELOPE_TYPE} and no {EXTENDED_TYPE}"
    )
    if found is None or len(found) != _EXTENDED_TOTAL:
        raise wrong
    key = ExtendedKey(found[:EXTENDED_BYTES])
    if found[EXTENDED_BYTES : EXTENDED_BYTES + len(key.public)] != key.public:
        raise wrong
    return key


def _envelope_bytes(content: bytes, kind: str, head: str) -> bytes | None:
    """Return the bytes in a text envelope of that type; None for anything else."""
    try:
        envelope = json.loads(content)
        if envelope["type"] != kind or not envelope["cborHex"].startswith(head):
            return None
        return bytes.fromhex(envelope["cborHex"][len(head) :])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
