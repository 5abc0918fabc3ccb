"""From a wallet's words to its keys: CIP-3 (Icarus), BIP32-Ed25519, and the paths of CIP-1852."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import NoReturn

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.bech32 import encode as bech32_encode
from nunet_dms.cardano.extended import EXTENDED_BYTES, SCALAR_BYTES, ExtendedKey, public_of
from nunet_dms.cardano.network import MAIN_NETWORK_ID

HARDENED = 2**31
PURPOSE, COIN = 1852, 1815
"""CIP-1852; the coin is ADA in SLIP-44."""
ACCOUNT = (PURPOSE + HARDENED, COIN + HARDENED, HARDENED)
"""m/1852'/1815'/0': the first account, the one that wallets open."""
PAYMENT_PATH = (*ACCOUNT, 0, 0)
STAKE_PATH = (*ACCOUNT, 2, 0)

PBKDF2_ROUNDS = 4096
"""CIP-3, Icarus; the strength is the words', not the rounds'."""
MASTER_BYTES = 96
LEFT_BYTES = 28
"""Of the left half of a derivation that is added to the scalar."""
STAKE_HEADER = 0b1110
"""Header type of a stake address of a key (CIP-19)."""


@dataclass(frozen=True, slots=True, repr=False)
class HdKey:
    """A key that others can be derived from: 64 bytes of extended key, 32 of chain code."""

    secret: bytes
    chain_code: bytes

    def __repr__(self) -> str:
        """Say nothing: every part is secret."""
        return "HdKey(...)"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: a secret stays where it is."""
        raise TypeError("a signing key is not pickled")

    @property
    def key(self) -> ExtendedKey:
        """The signing key."""
        return ExtendedKey(self.secret)

    def child(self, index: int) -> HdKey:
        """Return the child key; an index from HARDENED on needs the secret, others do not."""
        left, right = self.secret[:SCALAR_BYTES], self.secret[SCALAR_BYTES:]
        told = self.secret if index >= HARDENED else public_of(left)
        kinds = (b"\x00", b"\x01") if index >= HARDENED else (b"\x02", b"\x03")
        tail = told + index.to_bytes(4, "little")
        z = hmac.digest(self.chain_code, kinds[0] + tail, "sha512")
        chain_code = hmac.digest(self.chain_code, kinds[1] + tail, "sha512")[SCALAR_BYTES:]
        scalar = 8 * int.from_bytes(z[:LEFT_BYTES], "little") + int.from_bytes(left, "little")
        nonce = int.from_bytes(z[SCALAR_BYTES:], "little") + int.from_bytes(right, "little")
        secret = scalar.to_bytes(SCALAR_BYTES, "little") + (nonce % 2**256).to_bytes(
            SCALAR_BYTES, "little"
        )
        return HdKey(secret, chain_code)

    def at(self, path: tuple[int, ...]) -> HdKey:
        """Return the key at a path below this one."""
        key = self
        for index in path:
            key = key.child(index)
        return key


def master_key(entropy: bytes, second_factor: bytes = b"") -> HdKey:
    """Return the key that all others of a wallet come from (CIP-3, Icarus)."""
    raw = bytearray(
        hashlib.pbkdf2_hmac("sha512", second_factor, entropy, PBKDF2_ROUNDS, MASTER_BYTES)
    )
    raw[0] &= 0b1111_1000
    raw[31] = raw[31] & 0b0001_1111 | 0b0100_0000
    return HdKey(bytes(raw[:EXTENDED_BYTES]), bytes(raw[EXTENDED_BYTES:]))


def base_address(payment_hash: bytes, stake_hash: bytes, network_id: int) -> Address:
    """Return the address that wallets show: the payment key spends, the stake key delegates."""
    return Address(network_id, payment_hash, payment_is_script=False, stake=stake_hash)


def stake_address(stake_hash: bytes, network_id: int) -> str:
    """Return where a wallet's rewards go, in bech32: `stake1...` or `stake_test1...`."""
    prefix = "stake" if network_id == MAIN_NETWORK_ID else "stake_test"
    return bech32_encode(prefix, bytes([STAKE_HEADER << 4 | network_id]) + stake_hash)
