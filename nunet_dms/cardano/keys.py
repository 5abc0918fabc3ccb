"""Payment keys (Ed25519 through libsodium) and the files that hold them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from nacl.bindings import crypto_sign, crypto_sign_seed_keypair
from nacl.utils import random as random_bytes

from nunet_dms.cardano.address import Address, enterprise_address
from nunet_dms.cardano.hashes import blake2b_224
from nunet_dms.errors import ConfigError
from nunet_dms.protocol.secretfile import read_secret, write_secret

SEED_BYTES = 32
SIGNATURE_BYTES = 64

ENVELOPE_TYPE = "PaymentSigningKeyShelley_ed25519"
ENVELOPE_DESCRIPTION = "Payment Signing Key"
_CBOR_HEAD = "5820"
"""A byte string of 32 bytes."""


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


def _key_in(content: bytes, path: Path) -> PaymentKey:
    wrong = ConfigError(f"cannot read key file {path}: it holds no {ENVELOPE_TYPE}")
    try:
        envelope = json.loads(content)
        if envelope["type"] != ENVELOPE_TYPE or not envelope["cborHex"].startswith(_CBOR_HEAD):
            raise wrong
        seed = bytes.fromhex(envelope["cborHex"][len(_CBOR_HEAD) :])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise wrong from None
    if len(seed) != SEED_BYTES:
        raise wrong
    return PaymentKey(seed)
