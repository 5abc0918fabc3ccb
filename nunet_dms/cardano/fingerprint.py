"""A token's fingerprint for people's eyes (CIP-14); it is shown, never matched on."""

from __future__ import annotations

from hashlib import blake2b

from nunet_dms.cardano import bech32
from nunet_dms.cardano.value import AssetId

PREFIX = "asset"
FINGERPRINT_BYTES = 20


def asset_fingerprint(asset: AssetId) -> str:
    """Return the token's fingerprint, `asset1...` (CIP-14): 44 characters, the same for everybody.

    Two tokens may be made to share one with enough work: compare policy and name, never this.
    """
    digest = blake2b(asset.policy + asset.name, digest_size=FINGERPRINT_BYTES).digest()
    return bech32.encode(PREFIX, digest)
