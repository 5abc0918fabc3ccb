"""Sign transactions: add witnesses and leave every byte that is signed as it is."""

from __future__ import annotations

from nunet_dms.cardano.assembly import encode_witnesses
from nunet_dms.cardano.cbor import ARRAY, MAP, Cursor
from nunet_dms.cardano.keys import Signer
from nunet_dms.cardano.transaction import (
    KEY_WITNESSES,
    SIGNATURE_BYTES,
    Witness,
    read_transaction,
    verifies,
)
from nunet_dms.errors import VerificationError


def witness_for(raw: bytes, key: Signer) -> Witness:
    """Return the key's signature over the transaction; raises MalformedError."""
    return Witness(key.public, key.sign(read_transaction(raw).tx_id))


def add_witness(raw: bytes, witness: Witness) -> bytes:
    """Return the transaction with the witness in it; an older one of the same key gives way.

    Raises MalformedError for a broken transaction, and VerificationError for a witness whose
    signature does not hold: it would make the transaction worthless.
    """
    transaction = read_transaction(raw)
    if len(witness.signature) != SIGNATURE_BYTES or not verifies(witness, transaction.tx_id):
        raise VerificationError(
            "bad_signature", "cannot add the witness: its signature is not of this transaction"
        )
    kept = [held for held in transaction.witnesses if held.public != witness.public]
    start, end = _witness_set_span(raw)
    parts = _other_parts(raw[start:end])
    return raw[:start] + encode_witnesses((*kept, witness), (), parts) + raw[end:]


def sign(raw: bytes, *keys: Signer) -> bytes:
    """Return the transaction with a witness of each key; raises MalformedError."""
    for key in keys:
        raw = add_witness(raw, witness_for(raw, key))
    return raw


def _witness_set_span(raw: bytes) -> tuple[int, int]:
    cursor = Cursor(raw)
    span = (0, 0)
    for place in cursor.items(ARRAY):
        passed = cursor.opaque()
        if place == 1:
            span = passed
    return span


def _other_parts(witness_set: bytes) -> dict[int, bytes]:
    """Return what a witness set holds besides key witnesses, as it was encoded."""
    cursor = Cursor(witness_set)
    parts = {}
    for _ in cursor.items(MAP):
        key = cursor.unsigned()
        start, end = cursor.opaque()
        parts[key] = witness_set[start:end]
    parts.pop(KEY_WITNESSES, None)
    return parts
