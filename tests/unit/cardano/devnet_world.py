"""A development ledger under a clock that a test moves, and people who pay on it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from nunet_dms.cardano.builder import build_transfer, new_output, sign
from nunet_dms.cardano.chain.devnet import GENESIS_LOVELACE, Devnet
from nunet_dms.cardano.chain.ledger import LedgerRule
from nunet_dms.cardano.fees import Utxo
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.transaction import TxInput, read_transaction
from nunet_dms.cardano.value import AssetId, Value, total
from nunet_dms.errors import RefusedError

REQUESTER, NODE, ORACLE, PROVIDER = (PaymentKey.from_seed(bytes([n]) * 32) for n in range(1, 5))
ADA = 1_000_000
GENESIS_TIME_S = 1_800_000_000


class FakeClock:
    """Time stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = GENESIS_TIME_S + 0.5

    def __call__(self) -> float:
        return self.now


@contextmanager
def refused(rule: LedgerRule) -> Iterator[None]:
    """What is inside must be refused by exactly this rule."""
    with pytest.raises(RefusedError) as refusal:
        yield
    assert refusal.value.code == rule.value


def holdings(ledger: Devnet, key: PaymentKey) -> Value:
    return total(tuple(utxo.output.value for utxo in ledger.unspent_outputs(key.address(0))))


def fund(ledger: Devnet, key: PaymentKey, tokens: int = 1000) -> Utxo:
    """Give the key 100 ADA and tokens, in a block of their own."""
    tx_id = ledger.faucet(key.address(0), 100 * ADA, tokens)
    assert ledger.tick() is not None
    found = ledger.utxo(TxInput(tx_id, 0))
    assert found is not None
    return found


def transfer(utxo: Utxo, owner: PaymentKey, receiver: PaymentKey, lovelace: int = 5 * ADA) -> bytes:
    outputs = (new_output(receiver.address(0), Value(lovelace)),)
    return sign(build_transfer((utxo,), outputs, owner.address(0)).raw, owner)


def first_change(raw: bytes) -> Utxo:
    """The change of a transaction: its last output."""
    transaction = read_transaction(raw)
    index = len(transaction.outputs) - 1
    return Utxo(TxInput(transaction.tx_id, index), transaction.outputs[index])


def assert_conserved(path: Path) -> None:
    """All ADA is unspent somewhere or was a fee, all else was minted and not burned; by the file.

    What waits in the mempool counts as if it were in a block.
    """
    with closing(sqlite3.connect(path)) as db:
        assets = db.execute(
            "SELECT policy, name, quantity FROM utxo NATURAL JOIN utxo_asset WHERE spent_by IS NULL"
        ).fetchall()
        (lovelace,) = db.execute("SELECT sum(lovelace) FROM utxo WHERE spent_by IS NULL").fetchone()
        everything = [read_transaction(raw) for (raw,) in db.execute("SELECT raw FROM tx")]
    held: Counter[AssetId] = Counter()
    for policy, name, quantity in assets:
        held[AssetId(policy, name)] += quantity
    minted: Counter[AssetId] = Counter()
    for transaction in everything:
        for asset, amount in transaction.mint:
            minted[asset] += amount
    assert lovelace + sum(each.fee for each in everything) == GENESIS_LOVELACE
    assert +held == +minted
    assert min(minted.values(), default=0) >= 0
