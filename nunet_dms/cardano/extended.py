"""Extended Ed25519 keys (BIP32-Ed25519): a scalar and a nonce half instead of a seed.

Their signatures are ordinary Ed25519 ones (RFC 8032), which libsodium and every node verify.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha512
from typing import NoReturn

from nacl.bindings import (
    crypto_core_ed25519_scalar_add,
    crypto_core_ed25519_scalar_mul,
    crypto_core_ed25519_scalar_reduce,
    crypto_scalarmult_ed25519_base_noclamp,
)

from nunet_dms.cardano.hashes import blake2b_224
from nunet_dms.errors import ConfigError

SCALAR_BYTES = 32
EXTENDED_BYTES = 64
"""The scalar kL, then kR, from which each signature's nonce is made."""


@dataclass(frozen=True, slots=True, repr=False)
class ExtendedKey:
    """A signing key that was derived from a wallet's words."""

    secret: bytes
    """64 bytes: kL, then kR."""
    public: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Work out the public key; raises ConfigError for what is no extended key."""
        if len(self.secret) != EXTENDED_BYTES:
            raise ConfigError(f"cannot use an extended key of {len(self.secret)} bytes")
        # BIP32-Ed25519: kL is a multiple of the cofactor, its highest bit is clear.
        if self.secret[0] & 7 or self.secret[SCALAR_BYTES - 1] & 0x80 or not any(self._scalar):
            raise ConfigError("cannot use this extended key: its scalar is none of BIP32-Ed25519")
        object.__setattr__(self, "public", public_of(self._scalar))

    def __repr__(self) -> str:
        """Name the key by its hash; the secret never appears."""
        return f"ExtendedKey({self.key_hash.hex()})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: a secret stays where it is."""
        raise TypeError("a signing key is not pickled")

    @property
    def key_hash(self) -> bytes:
        """The 28-byte hash by which scripts and addresses name the key."""
        return blake2b_224(self.public)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of the message."""
        nonce = crypto_core_ed25519_scalar_reduce(sha512(self._nonce_half + message).digest())
        point = crypto_scalarmult_ed25519_base_noclamp(nonce)
        challenge = crypto_core_ed25519_scalar_reduce(
            sha512(point + self.public + message).digest()
        )
        product = crypto_core_ed25519_scalar_mul(challenge, self._scalar)
        return point + crypto_core_ed25519_scalar_add(nonce, product)

    @property
    def _scalar(self) -> bytes:
        return self.secret[:SCALAR_BYTES]

    @property
    def _nonce_half(self) -> bytes:
        return self.secret[SCALAR_BYTES:]


def public_of(scalar: bytes) -> bytes:
    """Return the public key of a 32-byte scalar."""
    return crypto_scalarmult_ed25519_base_noclamp(scalar)
