"""What waits for a block of the development ledger: taken in, chosen, and dropped.

Every call runs inside the caller's `writing`, so that what it reads holds until it has written.
"""

from __future__ import annotations

import logging

from nunet_dms.cardano.chain.ledger import (
    KnownOutput,
    LedgerRule,
    LedgerState,
    check_interval,
    check_transaction,
)
from nunet_dms.cardano.chain.store import LedgerStore
from nunet_dms.cardano.fees import PROTOCOL
from nunet_dms.cardano.network import DEVNET
from nunet_dms.cardano.plutus import PLUTUS, ExUnits, claimed_parts
from nunet_dms.cardano.transaction import Transaction, TxInput, read_transaction
from nunet_dms.errors import CapacityError, RefusedError

MAX_MEMPOOL_TRANSACTIONS = 4096
"""At most 64 MiB of waiting transactions; then the sender has to wait for a block."""
MAX_BLOCK_BYTES = 90_112
"""Bytes of transactions in one block (mainnet's max_block_body_size)."""
MAX_BLOCK_TRANSACTIONS = 1024
"""Transactions looked at for one block; the smallest that moves anything has about 200 bytes."""

log = logging.getLogger(__name__)


def accept(store: LedgerStore, transaction: Transaction, slot: int) -> None:
    """Check a transaction at this slot and let it wait; the same bytes again change nothing.

    Raises RefusedError with the LedgerRule's code, and CapacityError when the mempool is full.
    """
    present = store.first("transaction_by_id", tx_id=transaction.tx_id)
    if present is not None and present["raw"] == transaction.raw:
        return
    named = (*transaction.inputs, *claimed_parts(transaction).collateral)
    known = {
        found.ref: KnownOutput(found.output, found.state)
        for found in map(store.output, named)
        if found is not None
    }
    zero_time_ms = 1000 * int(store.one("genesis")["time_s"])
    check_transaction(
        transaction, LedgerState(slot, DEVNET.network_id, known, PROTOCOL, zero_time_ms)
    )
    waiting = store.one("mempool_count")[0]
    if waiting >= MAX_MEMPOOL_TRANSACTIONS:
        raise CapacityError(
            f"cannot take the transaction: {waiting} wait for a block and "
            f"{MAX_MEMPOOL_TRANSACTIONS} may",
            hint="try again after the next block",
        )
    store.run("add_transaction", tx_id=transaction.tx_id, raw=transaction.raw)
    for ref in transaction.inputs:
        store.run(
            "spend_output", spent_by=transaction.tx_id, tx_id=ref.tx_id, output_index=ref.index
        )
    for index, output in enumerate(transaction.outputs):
        store.add_output(TxInput(transaction.tx_id, index), output, height=None)


def choose(store: LedgerStore, slot: int) -> list[Transaction]:
    """Return what goes into the next block, in order of arrival; drop what came too late.

    What a clock set back makes too early waits, and so does what needs its outputs. What has lost
    its collateral is dropped too: a later transaction may spend it, for it goes first.
    """
    chosen: list[Transaction] = []
    dropped: set[bytes] = set()
    early: set[bytes] = set()
    size, units = 0, ExUnits(0, 0)
    for row in store.all("mempool", limit=MAX_BLOCK_TRANSACTIONS):
        if row["tx_id"] in dropped:
            continue
        transaction = read_transaction(row["raw"])
        parts = claimed_parts(transaction)
        rule = _interval_broken(transaction, slot)
        needed = {ref.tx_id for ref in (*transaction.inputs, *parts.collateral)}
        if rule == LedgerRule.EXPIRED.value or not _is_there(store, parts.collateral):
            dropped |= drop(store, transaction.tx_id)
        elif rule or not early.isdisjoint(needed):
            early.add(transaction.tx_id)
        else:
            size += transaction.size
            units += parts.units
            if size > MAX_BLOCK_BYTES or not units.within(PLUTUS.max_block_units):
                break
            chosen.append(transaction)
    return chosen


def drop(store: LedgerStore, tx_id: bytes) -> set[bytes]:
    """Take a waiting transaction and its descendants away; return their ids.

    What they spent is unspent again, what they made has never been.
    """
    found, pending = {tx_id}, [tx_id]
    while pending:
        rows = store.all("dependents", tx_id=pending.pop())
        children = {bytes(row["spent_by"]) for row in rows} - found
        found |= children
        pending += children
    for each in found:
        for step in ("release_inputs", "drop_outputs", "drop_transaction"):
            store.run(step, tx_id=each)
        log.info("devnet_transaction_dropped tx_id=%s", each.hex())
    return found


def _is_there(store: LedgerStore, collateral: tuple[TxInput, ...]) -> bool:
    """Return whether every output exists and no block has spent it."""
    found = [store.output(ref) for ref in collateral]
    return all(each is not None and not each.is_spent_on_chain for each in found)


def _interval_broken(transaction: Transaction, slot: int) -> str | None:
    try:
        check_interval(transaction, slot)
    except RefusedError as refusal:
        return refusal.code
    return None
