"""Ed25519 keys with which a node or an Oracle signs what it says (RFC 8032, by PyNaCl)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey as NaclKey
from nacl.signing import VerifyKey

from nunet_dms.errors import ConfigError
from nunet_dms.protocol.secretfile import read_secret, write_secret


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret Ed25519 key; its text forms show the public half only."""

    seed: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> SigningKey:
        """Return a new key from the operating system's randomness."""
        return cls(bytes(NaclKey.generate()))

    @property
    def public(self) -> str:
        """The public key: 32 bytes as hex."""
        return bytes(NaclKey(self.seed).verify_key).hex()

    def sign(self, message: bytes) -> str:
        """Return the signature of `message`: 64 bytes as hex."""
        return NaclKey(self.seed).sign(message).signature.hex()


def is_signed_by(public: str, message: bytes, signature: str) -> bool:
    """Say whether `signature` (hex) is `public`'s (hex) over `message`."""
    try:
        VerifyKey(bytes.fromhex(public)).verify(message, bytes.fromhex(signature))
    except (BadSignatureError, ValueError, TypeError):
        return False
    return True


def node_id_of(public: str) -> str:
    """Return a node's id: blake2b-224 of its public key, as hex."""
    return hashlib.blake2b(bytes.fromhex(public), digest_size=28).hexdigest()


def fingerprint_of(public: str) -> str:
    """Return a public key in groups of four, short enough to be read aloud."""
    text = hashlib.blake2b(bytes.fromhex(public), digest_size=16).hexdigest()
    return "-".join(text[start : start + 4] for start in range(0, 32, 4))


def write_signing_key(path: Path, key: SigningKey) -> None:
    """Write a new key file; raises ConfigError if it exists."""
    write_secret(path, key.seed.hex().encode() + b"\n")


def read_signing_key(path: Path) -> SigningKey:
    """Read a key file; raises ConfigError if it is absent, open to others, or broken."""
    try:
        seed = bytes.fromhex(read_secret(path).decode("ascii").strip())
    except ValueError:
        seed = b""
    if len(seed) != 32:
        raise ConfigError(f"cannot use the key file {path}: it must hold 32 bytes as hex")
    return SigningKey(seed)
