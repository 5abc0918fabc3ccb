"""How many payments one core verifies in a second: parse, id, metadata, signature, amount, job.

Every payment is another one: its own payer, job, escrow, price and bytes. The baseline is what no
verifier can leave out: an Ed25519 signature (PyNaCl) and two hashes over the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import blake2b
from typing import TypeVar

from nacl.bindings import crypto_sign_open

from bench.figure import Figure
from nunet_dms.cardano.builder import PaymentPlan, Utxo, build_payment, new_output, sign
from nunet_dms.cardano.escrow import EscrowTerms, commitment_for
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.network import PREPROD
from nunet_dms.cardano.payment import PaymentTerms, check_payment
from nunet_dms.cardano.transaction import TxInput, read_transaction
from nunet_dms.cardano.value import Value

T = TypeVar("T")

PAYMENTS = 2_000
"""Different ones, verified once a round."""
PIECE = 100
"""Payments timed together."""
ROUNDS = 5
"""Of a piece's times the best counts: what else the machine does only makes it longer."""
NODE, ORACLE = PaymentKey.generate(), PaymentKey.generate()


def measure() -> list[Figure]:
    """Verify many payments, each once a round, in seconds of one core."""
    payments = [_payment(number) for number in range(PAYMENTS)]
    bare = [_bare(raw) for raw, _ in payments]
    ours_s = baseline_s = 0.0
    for start in range(0, PAYMENTS, PIECE):
        piece = slice(start, start + PIECE)
        ours_s += _best_s(_verify, payments[piece])
        baseline_s += _best_s(_verify_bare, bare[piece])
    sizes = sorted({len(raw) for raw, _ in payments})
    return [
        Figure(
            what=f"distinct payments verified, {sizes[0]}-{sizes[-1]} bytes",
            ours=PAYMENTS / ours_s,
            baseline=PAYMENTS / baseline_s,
            unit="/s",
            target="at least 4000 /s on one core; baseline: bare Ed25519 and hashes",
        )
    ]


def _best_s(verify: Callable[[list[T]], None], piece: list[T]) -> float:
    spent = []
    for _ in range(ROUNDS):
        began = time.process_time()
        verify(piece)
        spent.append(time.process_time() - began)
    return min(spent)


def _verify(piece: list[tuple[bytes, PaymentTerms]]) -> None:
    for raw, terms in piece:
        check_payment(raw, terms)


def _verify_bare(piece: list[tuple[bytes, bytes, bytes, bytes]]) -> None:
    for signed, public, body, auxiliary in piece:
        crypto_sign_open(signed, public)
        blake2b(body, digest_size=32).digest()
        blake2b(auxiliary, digest_size=32).digest()


def _payment(number: int) -> tuple[bytes, PaymentTerms]:
    requester = PaymentKey.generate()
    job_hash = blake2b_256(number.to_bytes(8, "big"))
    address, asset, price = requester.address(0), PREPROD.asset, 600_000 + number
    escrow = EscrowTerms(
        commitment_for(job_hash), requester.key_hash, NODE.key_hash, ORACLE.key_hash, 10_000, 0
    )
    held = new_output(address, Value.of(50_000_000 + number, {asset: 1_000_000}))
    plan = PaymentPlan(
        utxos=(Utxo(TxInput(job_hash, 0), held),), change_address=address, escrow=escrow,
        asset=asset, price=price, job_hash=job_hash, ttl=5_000,
    )  # fmt: skip
    terms = PaymentTerms(asset, price, job_hash, escrow, plan.lovelace, PREPROD)
    return sign(build_payment(plan).raw, requester), terms


def _bare(raw: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    read = read_transaction(raw)
    witness = read.witnesses[0]
    return witness.signature + read.tx_id, witness.public, read.body, read.metadata_raw or b""
