"""Addresses (CIP-19): base and enterprise, of keys and of scripts; and what Byron's name."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from nunet_dms.cardano import bech32
from nunet_dms.cardano.cbor import EMBEDDED_TAG, Cursor
from nunet_dms.cardano.hashes import KEY_HASH_BYTES
from nunet_dms.cardano.network import MAIN_NETWORK_ID, TEST_NETWORK_ID
from nunet_dms.errors import MalformedError

ENTERPRISE_BYTES = 1 + KEY_HASH_BYTES
BASE_BYTES = 1 + 2 * KEY_HASH_BYTES

SCRIPT_PAYMENT = 0b0001
"""Bit of the header's type: the payment part is a script's hash."""
SCRIPT_STAKE = 0b0010
"""Bit of a base address's type: the stake part is a script's hash."""
ENTERPRISE = 0b0110
"""Header type of an address without a stake part."""

_PREFIXES = {TEST_NETWORK_ID: "addr_test", MAIN_NETWORK_ID: "addr"}
_ETHEREUM = re.compile(r"0x[0-9a-fA-F]{40}")


@dataclass(frozen=True, slots=True)
class Address:
    """Where an output goes: a key or a script pays from it, a stake part may follow."""

    network_id: int
    payment_hash: bytes
    payment_is_script: bool
    stake: bytes | None = None
    stake_is_script: bool = False

    @property
    def raw(self) -> bytes:
        """The address as the ledger writes it."""
        kind = SCRIPT_PAYMENT if self.payment_is_script else 0
        if self.stake is None:
            return bytes([(ENTERPRISE | kind) << 4 | self.network_id]) + self.payment_hash
        kind |= SCRIPT_STAKE if self.stake_is_script else 0
        return bytes([kind << 4 | self.network_id]) + self.payment_hash + self.stake

    @property
    def bech32(self) -> str:
        """The address as people write it: `addr1...` or `addr_test1...`."""
        return bech32.encode(_PREFIXES[self.network_id], self.raw)

    def __str__(self) -> str:
        """Return the bech32 form."""
        return self.bech32


def enterprise_address(key_hash: bytes, network_id: int) -> Address:
    """Return the address that a key alone spends from, without a stake part."""
    return Address(network_id, _checked_hash(key_hash), payment_is_script=False)


def script_address(script_hash: bytes, network_id: int) -> Address:
    """Return the address that a script alone guards, without a stake part."""
    return Address(network_id, _checked_hash(script_hash), payment_is_script=True)


def address_from_bytes(raw: bytes) -> Address:
    """Read an address in the ledger's bytes (CIP-19).

    Raises MalformedError for other lengths and networks, and for Byron, pointer and stake
    addresses, which nothing here pays to.
    """
    if not raw:
        raise _malformed("it is empty")
    kind, network_id = raw[0] >> 4, raw[0] & 0x0F
    if kind not in (0, 1, 2, 3, 6, 7):
        raise _malformed("it is a Byron, pointer or stake address; give a payment address")
    if network_id not in _PREFIXES:
        raise _malformed(f"its network id is {network_id}")
    is_base = kind < 4
    if len(raw) != (BASE_BYTES if is_base else ENTERPRISE_BYTES):
        raise _malformed(f"it has {len(raw)} bytes")
    return Address(
        network_id,
        payment_hash=raw[1:ENTERPRISE_BYTES],
        payment_is_script=bool(kind & SCRIPT_PAYMENT),
        stake=raw[ENTERPRISE_BYTES:] if is_base else None,
        stake_is_script=is_base and bool(kind & SCRIPT_STAKE),
    )


def byron_root(raw: bytes) -> bytes:
    """Return the 28-byte root by which a Byron address names its key; raises MalformedError."""
    outer = Cursor(raw)
    is_open = outer.enter(2)
    outer.expect_tag(EMBEDDED_TAG)
    content = outer.byte_string(1, len(raw))
    checksum = outer.unsigned()
    outer.leave(is_open)
    outer.finish()
    if zlib.crc32(content) != checksum:
        raise outer.malformed("a Byron address has a wrong checksum")
    inner = Cursor(content)
    is_open = inner.enter(3)
    root = inner.digest(KEY_HASH_BYTES)
    inner.opaque()  # attributes
    inner.unsigned()
    inner.leave(is_open)
    inner.finish()
    return root


def parse_address(text: str) -> Address:
    """Read an address as a person gives it: `addr1...` or `addr_test1...` (CIP-19, BIP-173).

    Raises MalformedError; an Ethereum address is answered with a sentence of its own.
    """
    text = text.strip()
    if _ETHEREUM.fullmatch(text):
        raise MalformedError(
            f"cannot pay to {text}: it is an Ethereum address; mNTX is paid on Cardano, "
            "give an address that starts with addr1 or addr_test1",
            code="ethereum_address",
        )
    try:
        prefix, raw = bech32.decode(text)
    except MalformedError as error:
        raise _malformed(str(error).removeprefix("cannot read bech32: ")) from error
    address = address_from_bytes(raw)
    if prefix != _PREFIXES[address.network_id]:
        raise _malformed(f"its prefix {prefix!r} does not belong to network {address.network_id}")
    return address


def parse_payee(text: str, network_id: int | None = None) -> Address:
    """Read the address of somebody to be paid: a key's, and of that network if one is given.

    Raises MalformedError as `parse_address` does, `script_wallet` for a script's address, which
    cannot sign for what it earned, and `wrong_network`.
    """
    address = parse_address(text)
    if address.payment_is_script:
        raise MalformedError(
            "cannot pay to a script's address: give that of a wallet whose key you hold",
            code="script_wallet",
        )
    if network_id is not None and address.network_id != network_id:
        raise MalformedError(
            "cannot pay to an address of another Cardano network than the Oracle's: give one that"
            f" starts with {_PREFIXES[network_id]}1",
            code="wrong_network",
        )
    return address


def _checked_hash(digest: bytes) -> bytes:
    if len(digest) != KEY_HASH_BYTES:
        raise _malformed(f"a hash has {len(digest)} bytes instead of {KEY_HASH_BYTES}")
    return digest


def _malformed(why: str) -> MalformedError:
    return MalformedError(f"cannot read the address: {why}", code="malformed_address")
