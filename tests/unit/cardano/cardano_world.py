"""Three parties with fixed keys, one job, its payment; and tools to take a payment apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nunet_dms.cardano.builder import (
    PaymentPlan,
    UnsignedTransaction,
    Utxo,
    build_payment,
    build_settlement,
    new_output,
    sign,
)
from nunet_dms.cardano.cbor import Tag, decode, encode
from nunet_dms.cardano.escrow import EscrowTerms, commitment_for
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.network import DEVNET
from nunet_dms.cardano.payment import Inclusion, PaymentTerms, SettlementTerms
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.errors import VerificationError

REQUESTER, NODE, ORACLE, STRANGER, PROVIDER = (
    PaymentKey.from_seed(bytes([number]) * 32) for number in range(1, 6)
)
ASSET = AssetId(b"\x11" * 28, b"mNTX")
PRICE = 5_000_000
DEADLINE = 100_000
JOB = b"j" * 32
MIN_ESCROW_LOVELACE = 2_500_000

ESCROW = EscrowTerms(
    commitment_for(JOB),
    REQUESTER.key_hash,
    NODE.key_hash,
    ORACLE.key_hash,
    DEADLINE,
    DEVNET.network_id,
)
TERMS = PaymentTerms(ASSET, PRICE, JOB, ESCROW, MIN_ESCROW_LOVELACE, DEVNET, slots_needed=600)


def refusal_of(call: Callable[..., object], *arguments: object) -> str | None:
    """Return the code with which the call refuses, None when it does not; the rest escapes."""
    try:
        call(*arguments)
    except VerificationError as error:
        return error.code
    return None


def wallet(key: PaymentKey = REQUESTER, lovelace: int = 100_000_000, tokens: int = 10**7) -> Utxo:
    """Return one unspent output of the key."""
    output = new_output(key.address(0), Value.of(lovelace, {ASSET: tokens}))
    return Utxo(TxInput(blake2b_256(key.public), 0), output)


PLAN = PaymentPlan((wallet(),), REQUESTER.address(0), ESCROW, ASSET, PRICE, JOB, ttl=50_000)


def payment(**changes: Any) -> tuple[UnsignedTransaction, bytes]:
    """Return the payment of the plan with these changes, unsigned and signed."""
    built = build_payment(replace(PLAN, **changes))
    return built, sign(built.raw, REQUESTER)


BUILT, PAID = payment()
ESCROW_UTXO = Utxo(TxInput(BUILT.tx_id, 0), BUILT.outputs[0])
INCLUSION = Inclusion(
    raw=PAID, height=7, valid=True, escrow_spent=False, tip_height=7, tip_slot=1_000
)

SETTLEMENT = SettlementTerms(
    ESCROW_UTXO.ref,
    ESCROW,
    ASSET,
    PROVIDER.address(0),
    3_000_000,
    REQUESTER.address(0),
    2_000_000,
)
SETTLED = build_settlement(ESCROW_UTXO, SETTLEMENT)


def altered(
    raw: bytes, change: Callable[[dict[int, Any]], object], signer: PaymentKey | None = None
) -> bytes:
    """Return the transaction with its body changed; signed anew when a signer is given."""
    body, witnesses, valid, auxiliary = decode(raw)  # type: ignore[misc]
    change(body)
    if signer:
        signature = signer.sign(blake2b_256(encode(body)))
        witnesses[0] = Tag(258, [[signer.public, signature]])
    return encode([body, witnesses, valid, auxiliary])


def with_note(note: object, signer: PaymentKey = REQUESTER) -> bytes:
    """Return the payment with other metadata, its hash corrected, signed."""
    body, witnesses, valid, _ = decode(PAID)  # type: ignore[misc]
    if note is None:
        del body[7]
    else:
        body[7] = blake2b_256(encode(note))
    signature = signer.sign(blake2b_256(encode(body)))
    witnesses[0] = Tag(258, [[signer.public, signature]])
    return encode([body, witnesses, valid, note])
