"""Witnesses: a transaction's signatures, by keys of Shelley and of Byron, and its scripts."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha3_256

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from nunet_dms.cardano.cbor import MAP, Cursor
from nunet_dms.cardano.hashes import blake2b_224
from nunet_dms.cardano.script import read_script_at

PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64
CHAIN_CODE_BYTES = 32
MAX_ATTRIBUTE_BYTES = 4_096
"""Of a Byron address; real ones have at most 50, and the ledger names no limit."""

KEY_WITNESSES, NATIVE_SCRIPTS, BOOTSTRAP_WITNESSES = 0, 1, 2
"""Keys of the witness set that are read in full."""

_ROOT_PREFIX = b"\x83\x00\x82\x00\x58\x40"
"""A list of three: an address of a key (0), such a key (0 and 64 bytes), attributes."""

_UNJUDGED = {
    3: "plutus_v1_scripts",
    4: "plutus_data",
    5: "redeemers",
    6: "plutus_v2_scripts",
    7: "plutus_v3_scripts",
}


@dataclass(frozen=True, slots=True)
class Witness:
    """A public key (32 bytes) and its Ed25519 signature (64 bytes) over the transaction id."""

    public: bytes
    signature: bytes

    @property
    def key_hash(self) -> bytes:
        """The 28-byte hash by which scripts and addresses name the key."""
        return blake2b_224(self.public)


@dataclass(frozen=True, slots=True)
class BootstrapWitness:
    """A Byron key's signature over the transaction id, with what its address was made of."""

    public: bytes
    signature: bytes
    chain_code: bytes
    attributes: bytes
    """Of the address, as they were encoded."""

    @property
    def key_hash(self) -> bytes:
        """The 28-byte root by which Byron addresses name the key; `byron_root` reads theirs."""
        made_of = _ROOT_PREFIX + self.public + self.chain_code + self.attributes
        return blake2b_224(sha3_256(made_of).digest())


class WitnessSet:
    """What a witness set said, gathered while the cursor passes it."""

    __slots__ = ("bootstraps", "keys", "scripts")

    def __init__(self) -> None:
        self.keys: tuple[Witness, ...] = ()
        self.bootstraps: tuple[BootstrapWitness, ...] = ()
        self.scripts: tuple[bytes, ...] = ()


def verifies(witness: Witness | BootstrapWitness, tx_id: bytes) -> bool:
    """Return whether the signature over the transaction id holds (libsodium's verdict)."""
    try:
        crypto_sign_open(witness.signature + tx_id, witness.public)
    except BadSignatureError:
        return False
    return True


def read_witness_set(cursor: Cursor) -> WitnessSet:
    """Read a witness set; raises MalformedError, also for a key that repeats.

    A signature that is there twice counts once: the ledger takes the list for a set, and old
    wallets wrote such lists.
    """
    read = WitnessSet()
    seen = set()
    for _ in cursor.items(MAP):
        key = cursor.unsigned()
        if key in seen:
            raise cursor.malformed(f"the witness set has key {key} twice")
        seen.add(key)
        if key == KEY_WITNESSES:
            read.keys = tuple({_read_witness(cursor): 0 for _ in cursor.set_items()})
            _expect_some(cursor, read.keys)
        elif key == NATIVE_SCRIPTS:
            read.scripts = tuple([_read_script(cursor) for _ in cursor.set_items()])
            _expect_some(cursor, read.scripts)
        elif key == BOOTSTRAP_WITNESSES:
            read.bootstraps = tuple({_read_bootstrap(cursor): 0 for _ in cursor.set_items()})
            cursor.unjudged.add("bootstrap_witnesses")
        else:
            cursor.opaque()
            cursor.unjudged.add(_UNJUDGED.get(key, f"witness_key_{key}"))
    return read


def _expect_some(cursor: Cursor, items: tuple[object, ...]) -> None:
    if not items:
        cursor.unjudged.add("empty_witness_list")  # which Conway no longer lets pass


def _read_witness(cursor: Cursor) -> Witness:
    is_open = cursor.enter(2)
    witness = Witness(cursor.digest(PUBLIC_BYTES), cursor.digest(SIGNATURE_BYTES))
    cursor.leave(is_open)
    return witness


def _read_bootstrap(cursor: Cursor) -> BootstrapWitness:
    is_open = cursor.enter(4)
    witness = BootstrapWitness(
        public=cursor.digest(PUBLIC_BYTES),
        signature=cursor.digest(SIGNATURE_BYTES),
        chain_code=cursor.digest(CHAIN_CODE_BYTES),
        attributes=cursor.byte_string(1, MAX_ATTRIBUTE_BYTES),
    )
    cursor.leave(is_open)
    return witness


def _read_script(cursor: Cursor) -> bytes:
    start = cursor.pos
    read_script_at(cursor)
    return cursor.data[start : cursor.pos]
