"""Put a transaction together: its body, its size, the fee that the size asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nunet_dms.cardano.cbor import SET_TAG, Encoded, Tag, encode
from nunet_dms.cardano.fees import PROTOCOL, FeeParams, min_fee
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.output import TxOutput, assets_to_cbor, encode_output
from nunet_dms.cardano.transaction import (
    FEE,
    INPUTS,
    KEY_WITNESSES,
    METADATA_HASH,
    MINT,
    NATIVE_SCRIPTS,
    NETWORK_ID,
    OUTPUTS,
    PUBLIC_BYTES,
    SIGNATURE_BYTES,
    TTL,
    VALID_FROM,
    TxInput,
    Witness,
)
from nunet_dms.cardano.value import AssetId
from nunet_dms.errors import CapacityError

TYPICAL_FEE = 200_000
"""Encodes in as many bytes as any fee that we pay."""
MAX_FEE_ROUNDS = 8
"""Two are enough unless a number crosses an encoding's border on the way."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A transaction without its fee and without its signatures."""

    inputs: tuple[TxInput, ...]
    outputs: tuple[TxOutput, ...]
    network_id: int
    signers: int
    """How many keys will sign; their witnesses are paid for in the fee."""
    ttl: int | None = None
    valid_from: int | None = None
    mint: tuple[tuple[AssetId, int], ...] = ()
    scripts: tuple[bytes, ...] = ()
    auxiliary: bytes | None = None

    def with_last_output(self, output: TxOutput) -> Draft:
        """Return the draft with one more output."""
        return replace(self, outputs=(*self.outputs, output))


@dataclass(frozen=True, slots=True)
class UnsignedTransaction:
    """A whole transaction that lacks its signatures; `sign` adds them."""

    raw: bytes
    tx_id: bytes
    fee: int
    outputs: tuple[TxOutput, ...]


def assemble(draft: Draft, fee: int) -> UnsignedTransaction:
    """Return the transaction with that fee, in canonical CBOR (CIP-21)."""
    body = encode(_body(draft, fee))
    raw = encode_envelope(body, encode_witnesses((), draft.scripts), draft.auxiliary)
    return UnsignedTransaction(raw, blake2b_256(body), fee, draft.outputs)


def fee_for(draft: Draft, params: FeeParams = PROTOCOL) -> int:
    """Return the fee that the draft needs once signed; raises CapacityError when too large."""
    fee = TYPICAL_FEE
    for _ in range(MAX_FEE_ROUNDS):
        size = _signed_size(draft, fee)
        if size > params.max_tx_size:
            raise CapacityError(
                f"cannot build the transaction: it has {size} bytes, the network takes "
                f"{params.max_tx_size}"
            )
        needed = min_fee(size, params)
        if needed == fee:
            break
        fee = needed
    return fee


def encode_witnesses(
    witnesses: tuple[Witness, ...],
    scripts: tuple[bytes, ...],
    others: dict[int, bytes] | None = None,
) -> bytes:
    """Return a witness set; `others` are parts that are encoded already, by key."""
    parts: dict[int, object] = {key: Encoded(raw) for key, raw in (others or {}).items()}
    if witnesses:
        pairs = [[witness.public, witness.signature] for witness in witnesses]
        parts[KEY_WITNESSES] = Tag(SET_TAG, pairs)
    if scripts:
        parts[NATIVE_SCRIPTS] = Tag(SET_TAG, [Encoded(script) for script in scripts])
    return encode(parts)


def encode_envelope(body: bytes, witness_set: bytes, auxiliary: bytes | None) -> bytes:
    """Return the four-element transaction that every node since Alonzo takes."""
    last = None if auxiliary is None else Encoded(auxiliary)
    return encode([Encoded(body), Encoded(witness_set), True, last])


def _body(draft: Draft, fee: int) -> dict[int, object]:
    references = [[ref.tx_id, ref.index] for ref in sorted(draft.inputs)]
    body: dict[int, object] = {
        INPUTS: Tag(SET_TAG, references),
        OUTPUTS: [Encoded(encode_output(output)) for output in draft.outputs],
        FEE: fee,
        NETWORK_ID: draft.network_id,
    }
    if draft.ttl is not None:
        body[TTL] = draft.ttl
    if draft.valid_from is not None:
        body[VALID_FROM] = draft.valid_from
    if draft.mint:
        body[MINT] = assets_to_cbor(draft.mint)
    if draft.auxiliary is not None:
        body[METADATA_HASH] = blake2b_256(draft.auxiliary)
    return body


def _signed_size(draft: Draft, fee: int) -> int:
    # Each stand-in differs, as real witnesses do: a set with repeats would be refused.
    stand_ins = tuple(
        [
            Witness(number.to_bytes(PUBLIC_BYTES, "big"), bytes(SIGNATURE_BYTES))
            for number in range(draft.signers)
        ]
    )
    witness_set = encode_witnesses(stand_ins, draft.scripts)
    return len(encode_envelope(encode(_body(draft, fee)), witness_set, draft.auxiliary))
