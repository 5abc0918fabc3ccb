"""How many payments one core verifies in a second: parse, id, metadata, signature, amount."""

from __future__ import annotations

import time

from bench.figure import Figure
from nunet_dms.cardano.builder import PaymentPlan, Utxo, build_payment, new_output, sign
from nunet_dms.cardano.escrow import EscrowTerms, commitment_for
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.network import PREPROD
from nunet_dms.cardano.payment import PaymentTerms, check_payment
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.cardano.value import Value

SECONDS = 3.0
JOB_HASH = bytes(range(32))


def measure() -> list[Figure]:
    """Verify one payment again and again."""
    raw, terms = _payment()
    count, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < SECONDS:
        for _ in range(100):
            check_payment(raw, terms)
        count += 100
    what = f"payments verified, {len(raw)} bytes each"
    return [Figure(what, count / spent, None, "/s", "at least 4000 /s on one core")]


def _payment() -> tuple[bytes, PaymentTerms]:
    requester, node, oracle = (PaymentKey.generate() for _ in range(3))
    address, asset = requester.address(0), PREPROD.asset
    escrow = EscrowTerms(
        commitment_for(JOB_HASH), requester.key_hash, node.key_hash, oracle.key_hash, 10_000, 0
    )
    held = new_output(address, Value.of(50_000_000, {asset: 1_000_000}))
    plan = PaymentPlan(
        utxos=(Utxo(TxInput(bytes(32), 0), held),), change_address=address, escrow=escrow,
        asset=asset, price=600_000, job_hash=JOB_HASH, ttl=5_000,
    )  # fmt: skip
    terms = PaymentTerms(asset, 600_000, JOB_HASH, escrow, plan.lovelace, PREPROD)
    return sign(build_payment(plan).raw, requester), terms
