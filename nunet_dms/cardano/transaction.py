"""Read a Cardano transaction from the bytes that travelled, keeping those bytes.

The id, the metadata hash and script hashes are hashes of the *original* bytes: wallets encode
the same transaction in many ways, and a re-encoding has another id. Forms are those of the
ledger's CDDL from Shelley to Conway, and the envelope of Dijkstra. Refused on purpose, though
old eras let it pass: an input twice, and a key twice in body, value, metadata or witness set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nunet_dms.cardano.body import (
    FEE,
    INPUTS,
    METADATA_HASH,
    MINT,
    NETWORK_ID,
    OUTPUTS,
    REQUIRED_SIGNERS,
    TTL,
    VALID_FROM,
    TxInput,
    read_body,
)
from nunet_dms.cardano.cbor import ARRAY, SIMPLE, Cursor
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.metadata import read_auxiliary
from nunet_dms.cardano.output import TxOutput
from nunet_dms.cardano.value import AssetId
from nunet_dms.cardano.witness import (
    KEY_WITNESSES,
    NATIVE_SCRIPTS,
    PUBLIC_BYTES,
    SIGNATURE_BYTES,
    BootstrapWitness,
    Witness,
    WitnessSet,
    read_witness_set,
    verifies,
)
from nunet_dms.errors import MalformedError

__all__ = [
    "FEE",
    "INPUTS",
    "KEY_WITNESSES",
    "METADATA_HASH",
    "MINT",
    "NATIVE_SCRIPTS",
    "NETWORK_ID",
    "OUTPUTS",
    "PUBLIC_BYTES",
    "REQUIRED_SIGNERS",
    "SIGNATURE_BYTES",
    "TTL",
    "VALID_FROM",
    "BootstrapWitness",
    "Transaction",
    "TxInput",
    "TxOutput",
    "Witness",
    "read_transaction",
    "verifies",
]

MAX_TRANSACTION_BYTES = 65_536
"""Four times what the ledger allows today (16,384); longer input is not looked at."""


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
    bootstrap_witnesses: tuple[BootstrapWitness, ...]
    """Signatures of Byron keys; `unsupported` names them too."""
    native_scripts: tuple[bytes, ...]
    claims_valid: bool
    """The envelope's `is_valid`; the id does not cover it, so only False means anything."""
    counted_size: int
    """Bytes for which the ledger wants a fee and sets a limit: those of body, witness set and
    auxiliary data in a list of three, without `is_valid` (its `toCBORForSizeComputation`)."""
    unsupported: tuple[str, ...]
    """Names of what was read for its form only, such as `certificates`, or is of a past era."""

    @property
    def size(self) -> int:
        """Bytes of the whole transaction, as it travelled."""
        return len(self.raw)

    @property
    def signers(self) -> frozenset[bytes]:
        """Key hashes of the witnesses, valid or not."""
        return frozenset(witness.key_hash for witness in self.witnesses)

    @property
    def is_signed(self) -> bool:
        """Whether any key signed it, Shelley's or Byron's; `invalid_witnesses` says how well."""
        return bool(self.witnesses or self.bootstrap_witnesses)

    def invalid_witnesses(self) -> tuple[Witness | BootstrapWitness, ...]:
        """Return the witnesses whose signature over the id does not hold (libsodium's verdict)."""
        every: tuple[Witness | BootstrapWitness, ...]
        every = (*self.witnesses, *self.bootstrap_witnesses)
        return tuple([witness for witness in every if not verifies(witness, self.tx_id)])


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
    return _transaction(cursor, envelope)


class _Envelope:
    """What the elements of a transaction said, gathered while the cursor passes them."""

    __slots__ = (
        "auxiliary", "body", "claims_valid", "counted_size", "fields", "metadata", "signed_by",
    )  # fmt: skip

    def __init__(self) -> None:
        self.body = b""
        self.fields: dict[int, Any] = {}
        self.signed_by = WitnessSet()
        self.claims_valid: bool | None = None
        self.counted_size = 1  # the head of a list of three
        self.auxiliary: bytes | None = None
        self.metadata: Mapping[int, object] = {}


def _read_element(cursor: Cursor, place: int, envelope: _Envelope) -> None:
    start = cursor.pos
    if place == 0:
        envelope.fields = read_body(cursor)
        envelope.body = cursor.data[start : cursor.pos]
    elif place == 1:
        envelope.signed_by = read_witness_set(cursor)
    elif cursor.major() == SIMPLE:
        constant = cursor.value()
        if place == 2 and isinstance(constant, bool):
            envelope.claims_valid = constant
            return
        if constant is not None:
            raise cursor.malformed("auxiliary data is missing")
    else:
        envelope.metadata = read_auxiliary(cursor)
        envelope.auxiliary = cursor.data[start : cursor.pos]
    envelope.counted_size += cursor.pos - start


def _transaction(cursor: Cursor, envelope: _Envelope) -> Transaction:
    fields = envelope.fields
    return Transaction(
        raw=cursor.data,
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
        witnesses=envelope.signed_by.keys,
        bootstrap_witnesses=envelope.signed_by.bootstraps,
        native_scripts=envelope.signed_by.scripts,
        claims_valid=envelope.claims_valid is not False,
        counted_size=envelope.counted_size,
        unsupported=tuple(sorted(cursor.unjudged)),
    )
