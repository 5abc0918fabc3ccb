"""The two hashes that Cardano uses for everything: BLAKE2b of 28 and of 32 bytes."""

from __future__ import annotations

from hashlib import blake2b

KEY_HASH_BYTES = 28
"""Length of a key hash, a script hash and a policy id."""
TX_ID_BYTES = 32
"""Length of a transaction id and of a metadata hash."""


def blake2b_224(data: bytes) -> bytes:
    """Return the 28-byte hash used for keys, scripts and policies (RFC 7693, unkeyed)."""
    return blake2b(data, digest_size=KEY_HASH_BYTES).digest()


def blake2b_256(data: bytes) -> bytes:
    """Return the 32-byte hash used for transactions and metadata (RFC 7693, unkeyed)."""
    return blake2b(data, digest_size=TX_ID_BYTES).digest()
