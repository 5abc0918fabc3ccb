"""Read a Cardano transaction from the bytes that travelled, keeping those bytes.

The id, the metadata hash and script hashes are hashes of the *original* bytes: wallets encode
the same transaction in many ways, and a re-encoding has another id. Keys as in Conway's CDDL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from nunet_dms.cardano.cbor import ARRAY, MAP, SIMPLE, Cursor
from nunet_dms.cardano.hashes import KEY_HASH_BYTES, TX_ID_BYTES, blake2b_224, blake2b_256
from nunet_dms.cardano.metadata import read_auxiliary
from nunet_dms.cardano.output import BYRON, POINTERS, TxOutput, read_assets, read_output
from nunet_dms.cardano.script import read_script_at
from nunet_dms.cardano.value import AssetId
from nunet_dms.errors import MalformedError

__all__ = [
    "OutputRef",
    "Transaction",
    "TxInput",
    "TxOutput",
    "Witness",
    "read_references",
    "read_transaction",
    "verifies",
]

MAX_TRANSACTION_BYTES = 65_536
"""Four times what the ledger allows today (16,384); longer input is not looked at."""
MAX_OUTPUT_INDEX = 65_535
PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64

INPUTS, OUTPUTS, FEE, TTL = 0, 1, 2, 3
METADATA_HASH, VALID_FROM, MINT = 7, 8, 9
REQUIRED_SIGNERS, NETWORK_ID = 14, 15
"""Keys of the body that are read in full."""

KEY_WITNESSES, NATIVE_SCRIPTS = 0, 1
"""Keys of the witness set that are read in full."""

_UNJUDGED_BODY = {
    4: "certificates",
    5: "withdrawals",
    6: "protocol_update",
    11: "script_data_hash",
    13: "collateral",
    16: "collateral_return",
    17: "total_collateral",
    18: "reference_inputs",
    19: "votes",
    20: "proposals",
    21: "treasury_value",
    22: "donation",
}
_UNJUDGED_WITNESSES = {
    2: "bootstrap_witnesses",
    3: "plutus_v1_scripts",
    4: "plutus_data",
    5: "redeemers",
    6: "plutus_v2_scripts",
    7: "plutus_v3_scripts",
}


@dataclass(frozen=True, slots=True, order=True)
class TxInput:
    """A reference to one output of one transaction."""

    tx_id: bytes
    index: int

    def __str__(self) -> str:
        """Return `id#index`, as cardano-cli writes it."""
        return f"{self.tx_id.hex()}#{self.index}"


OutputRef = TxInput


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
class Transaction:
    """A transaction as it was written; nothing about it is verified but its form."""

    raw: bytes
    tx_id: bytes
    body: bytes
    inputs: tuple[TxInput, ...]
    outputs: tuple[TxOutput, ...]
    fee: int
    ttl: int | None
    """First slot in which it may no longer be included."""
    valid_from: int | None
    """First slot in which it may be included."""
    mint: tuple[tuple[AssetId, int], ...]
    network_id: int | None
    required_signers: tuple[bytes, ...]
    metadata_hash: bytes | None
    metadata_raw: bytes | None
    """The auxiliary data as it was encoded, which `metadata_hash` is to be the hash of."""
    metadata: Mapping[int, object]
    witnesses: tuple[Witness, ...]
    native_scripts: tuple[bytes, ...]
    claims_valid: bool
    """The envelope's `is_valid`; the id does not cover it, so only False means anything."""
    unsupported: tuple[str, ...]
    """Names of parts that were read for their form only, such as `certificates`."""

    @property
    def size(self) -> int:
        """Bytes of the whole transaction."""
        return len(self.raw)

    @property
    def signers(self) -> frozenset[bytes]:
        """Key hashes of the witnesses, valid or not."""
        return frozenset(witness.key_hash for witness in self.witnesses)

    def invalid_witnesses(self) -> tuple[Witness, ...]:
        """Return the witnesses whose signature over the id does not hold (libsodium's verdict)."""
        return tuple([witness for witness in self.witnesses if not verifies(witness, self.tx_id)])


def verifies(witness: Witness, tx_id: bytes) -> bool:
    """Return whether the witness's signature over the transaction id holds."""
    try:
        crypto_sign_open(witness.signature + tx_id, witness.public)
    except BadSignatureError:
        return False
    return True


def read_transaction(raw: bytes) -> Transaction:
    """Read a transaction of three or four elements (with or without `is_valid`, CIP-167).

    Raises MalformedError for bytes that are no transaction, and for inputs or keys that repeat.
    """
    if len(raw) > MAX_TRANSACTION_BYTES:
        raise MalformedError(f"cannot read a transaction of over {MAX_TRANSACTION_BYTES} bytes")
    cursor = Cursor(raw)
    envelope = _Envelope()
    place = -1
    for place in cursor.items(ARRAY):
        _read_element(cursor, place, envelope)
    cursor.finish()
    if place != (2 if envelope.claims_valid is None else 3):
        raise cursor.malformed("a transaction has too few or too many elements")
    return _transaction(raw, envelope)


def read_references(cursor: Cursor) -> tuple[TxInput, ...]:
    """Read a set of output references; refuses one that repeats."""
    inputs = []
    for _ in cursor.set_items():
        tx_id, index, place = b"", 0, -1
        for place in cursor.items(ARRAY):
            if place == 0:
                tx_id = cursor.digest(TX_ID_BYTES)
            else:
                index = cursor.unsigned()
        if place != 1 or index > MAX_OUTPUT_INDEX:
            raise cursor.malformed("an input is not a pair of id and index")
        inputs.append(TxInput(tx_id, index))
    if not inputs or len(set(inputs)) != len(inputs):
        raise cursor.malformed("there is no input, or one twice")
    return tuple(inputs)


class _Envelope:
    """What the elements of a transaction said, gathered while the cursor passes them."""

    __slots__ = (
        "auxiliary", "body", "claims_valid", "fields", "metadata", "scripts", "unsupported",
        "witnesses",
    )  # fmt: skip

    def __init__(self) -> None:
        self.body = b""
        self.fields: dict[int, Any] = {}
        self.witnesses: list[Witness] = []
        self.scripts: list[bytes] = []
        self.claims_valid: bool | None = None
        self.auxiliary: bytes | None = None
        self.metadata: Mapping[int, object] = {}
        self.unsupported: list[str] = []


def _transaction(raw: bytes, envelope: _Envelope) -> Transaction:
    fields = envelope.fields
    if not fields.keys() >= {INPUTS, OUTPUTS, FEE}:
        raise MalformedError("cannot read the transaction: inputs, outputs or fee are missing")
    return Transaction(
        raw=raw,
        tx_id=blake2b_256(envelope.body),
        body=envelope.body,
        inputs=fields[INPUTS],
        outputs=fields[OUTPUTS],
        fee=fields[FEE],
        ttl=fields.get(TTL),
        valid_from=fields.get(VALID_FROM),
        mint=fields.get(MINT, ()),
        network_id=fields.get(NETWORK_ID),
        required_signers=fields.get(REQUIRED_SIGNERS, ()),
        metadata_hash=fields.get(METADATA_HASH),
        metadata_raw=envelope.auxiliary,
        metadata=envelope.metadata,
        witnesses=tuple(envelope.witnesses),
        native_scripts=tuple(envelope.scripts),
        claims_valid=envelope.claims_valid is not False,
        unsupported=tuple(envelope.unsupported),
    )


def _read_element(cursor: Cursor, place: int, envelope: _Envelope) -> None:
    start = cursor.pos
    if place == 0:
        _read_body(cursor, envelope)
        envelope.body = cursor.data[start : cursor.pos]
    elif place == 1:
        _read_witness_set(cursor, envelope)
    elif cursor.major() == SIMPLE:
        constant = cursor.value()
        if place == 2 and isinstance(constant, bool):
            envelope.claims_valid = constant
        elif constant is not None:
            raise cursor.malformed("auxiliary data is missing")
    else:
        envelope.metadata, has_scripts = read_auxiliary(cursor)
        envelope.auxiliary = cursor.data[start : cursor.pos]
        if has_scripts:
            envelope.unsupported.append("auxiliary_scripts")


def _read_body(cursor: Cursor, envelope: _Envelope) -> None:
    fields = envelope.fields
    seen = set()
    for _ in cursor.items(MAP):
        key = cursor.unsigned()
        if key in seen:
            raise cursor.malformed(f"the body has key {key} twice")
        seen.add(key)
        reader = _BODY_READERS.get(key)
        if reader:
            fields[key] = reader(cursor)
        else:
            cursor.opaque()
            envelope.unsupported.append(_UNJUDGED_BODY.get(key, f"body_key_{key}"))
    for output in fields.get(OUTPUTS, ()):
        if output.address_type == BYRON:
            envelope.unsupported.append("byron_address")
        elif output.address_type in POINTERS:
            envelope.unsupported.append("pointer_address")


def _read_witness_set(cursor: Cursor, envelope: _Envelope) -> None:
    seen = set()
    for _ in cursor.items(MAP):
        key = cursor.unsigned()
        if key in seen:
            raise cursor.malformed(f"the witness set has key {key} twice")
        seen.add(key)
        if key == KEY_WITNESSES:
            envelope.witnesses = [_read_witness(cursor) for _ in cursor.set_items()]
        elif key == NATIVE_SCRIPTS:
            envelope.scripts = [_read_script(cursor) for _ in cursor.set_items()]
        else:
            cursor.opaque()
            envelope.unsupported.append(_UNJUDGED_WITNESSES.get(key, f"witness_key_{key}"))
    if len(set(envelope.witnesses)) != len(envelope.witnesses):
        raise cursor.malformed("a witness is there twice")


def _read_witness(cursor: Cursor) -> Witness:
    public, signature, place = b"", b"", -1
    for place in cursor.items(ARRAY):
        if place == 0:
            public = cursor.digest(PUBLIC_BYTES)
        else:
            signature = cursor.digest(SIGNATURE_BYTES)
    if place != 1:
        raise cursor.malformed("a witness is not a pair of key and signature")
    return Witness(public, signature)


def _read_script(cursor: Cursor) -> bytes:
    start = cursor.pos
    read_script_at(cursor)
    return cursor.data[start : cursor.pos]


def _read_outputs(cursor: Cursor) -> tuple[TxOutput, ...]:
    return tuple([read_output(cursor) for _ in cursor.items(ARRAY)])


def _read_signers(cursor: Cursor) -> tuple[bytes, ...]:
    return tuple([cursor.digest(KEY_HASH_BYTES) for _ in cursor.set_items()])


def _read_metadata_hash(cursor: Cursor) -> bytes:
    return cursor.digest(TX_ID_BYTES)


_BODY_READERS: Mapping[int, Callable[[Cursor], object]] = {
    INPUTS: read_references,
    OUTPUTS: _read_outputs,
    FEE: Cursor.unsigned,
    TTL: Cursor.unsigned,
    METADATA_HASH: _read_metadata_hash,
    VALID_FROM: Cursor.unsigned,
    MINT: read_assets,
    REQUIRED_SIGNERS: _read_signers,
    NETWORK_ID: Cursor.unsigned,
}
