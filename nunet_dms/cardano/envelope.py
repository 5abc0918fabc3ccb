"""Transactions and signatures as files that wallets exchange.

cardano-cli writes a JSON envelope with a type and hex; a browser wallet (CIP-30) gives the bare
hex of a witness set; some tools write bare CBOR. All of them are read; envelopes are written.
"""

from __future__ import annotations

import json
import re

from nunet_dms.cardano.cbor import SET_TAG, Tag, decode
from nunet_dms.cardano.transaction import (
    KEY_WITNESSES,
    MAX_TRANSACTION_BYTES,
    PUBLIC_BYTES,
    SIGNATURE_BYTES,
    Witness,
)
from nunet_dms.errors import MalformedError

FILE_MAX_BYTES = 2 * MAX_TRANSACTION_BYTES + 4096
"""Hex and an envelope around the longest transaction that is read."""
UNSIGNED_TYPE = "Unwitnessed Tx ConwayEra"
SIGNED_TYPE = "Witnessed Tx ConwayEra"
_TX_TYPE = re.compile(r"((Unw|W)itnessed )?Tx [A-Z][a-z]+Era")
_WITNESS_TYPE = re.compile(r"TxWitness [A-Z][a-z]+Era")
_HEX = re.compile(rb"([0-9a-fA-F]{2})+")
KEY_WITNESS = 0
"""Of the two kinds of witness that cardano-cli writes; the other is of Byron addresses."""

Handed = bytes | tuple[Witness, ...]
"""A transaction's bytes, or signatures alone."""


def write_envelope(raw: bytes, *, signed: bool) -> bytes:
    """Return cardano-cli's text envelope of a transaction of the Conway era."""
    kind = SIGNED_TYPE if signed else UNSIGNED_TYPE
    found = {"type": kind, "description": "Ledger Cddl Format", "cborHex": raw.hex()}
    return (json.dumps(found, indent=4) + "\n").encode("ascii")


def read_handed(content: bytes) -> Handed:
    """Return the transaction, or the signatures, that a file holds.

    Raises MalformedError for anything else. The transaction itself is not read here.
    """
    if len(content) > FILE_MAX_BYTES:
        raise _malformed(f"it has over {FILE_MAX_BYTES} bytes")
    text = content.strip()
    if text.startswith(b"{"):
        return _in_envelope(text)
    return _bare(bytes.fromhex(text.decode("ascii")) if _HEX.fullmatch(text) else content)


def _in_envelope(text: bytes) -> Handed:
    try:
        envelope = json.loads(text)
        kind, raw = str(envelope["type"]), bytes.fromhex(envelope["cborHex"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _malformed("it is no text envelope with a type and a cborHex") from None
    if _TX_TYPE.fullmatch(kind):
        return raw
    if _WITNESS_TYPE.fullmatch(kind):
        return _witnesses(decode(raw))
    raise _malformed(f"its type {kind!r:.60} is neither a transaction's nor a witness's")


def _bare(raw: bytes) -> Handed:
    """Tell by its first item what CBOR without an envelope is."""
    if raw[:2] == b"\x82\x00" or (raw[:1] and raw[0] >> 5 == 5):
        return _witnesses(decode(raw))
    return raw


def _witnesses(found: object) -> tuple[Witness, ...]:
    """Return the signatures in a witness (`[0, [key, signature]]`) or in a witness set."""
    match found:
        case (int(kind), pair) if kind == KEY_WITNESS:
            return (_witness(pair),)
        case dict():
            pairs = found.get(KEY_WITNESSES, ())
            if isinstance(pairs, Tag) and pairs.number == SET_TAG:
                pairs = pairs.value
            if isinstance(pairs, tuple) and pairs:
                return tuple([_witness(pair) for pair in pairs])
        case _:
            pass
    raise _malformed("there is no signature of a key in it")


def _witness(pair: object) -> Witness:
    match pair:
        case (bytes() as public, bytes() as signature) if (
            len(public) == PUBLIC_BYTES and len(signature) == SIGNATURE_BYTES
        ):
            return Witness(public, signature)
        case _:
            raise _malformed("a signature in it is not a pair of key and signature")


def _malformed(why: str) -> MalformedError:
    return MalformedError(f"cannot read the transaction file: {why}", code="no_transaction")
