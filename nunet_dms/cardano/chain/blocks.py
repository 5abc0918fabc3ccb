"""The blocks of the development ledger: made, undone, and checked from the first to the last.

A block's hash covers its place, the hash of the block before it, and the bytes of its
transactions. After a rollback it covers the fork's number too, so that the same transactions in
the same slot never make the same block twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nunet_dms.cardano.chain.store import LedgerStore
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.transaction import Transaction, read_transaction
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.errors import MalformedError, VerificationError

_BLOCK_DOMAIN = b"nunet-dms/devnet-block/v1\0"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block stands: its height, its slot, how many rollbacks there were before it."""

    height: int
    slot: int
    fork: int = 0


def block_hash(place: Place, previous_hash: bytes, contents: Iterable[bytes]) -> bytes:
    """Hash a block: its place, the block before it, and the bytes of its transactions."""
    numbers = (place.height, place.slot, place.fork) if place.fork else (place.height, place.slot)
    header = _BLOCK_DOMAIN + b"".join(number.to_bytes(8, "big") for number in numbers)
    return blake2b_256(header + previous_hash + b"".join(blake2b_256(raw) for raw in contents))


def add_block(store: LedgerStore, slot: int, transactions: list[Transaction]) -> None:
    """Make the next block of these transactions, inside the caller's `writing`."""
    last = store.one("tip")
    place = Place(last["height"] + 1, slot, store.one("genesis")["forks"])
    store.run(
        "add_block",
        height=place.height,
        hash=block_hash(place, last["hash"], [each.raw for each in transactions]),
        previous_hash=last["hash"],
        slot=place.slot,
        fork=place.fork,
    )
    for transaction in transactions:
        for step in ("confirm_transaction", "confirm_outputs", "confirm_spending"):
            store.run(step, height=place.height, tx_id=transaction.tx_id)


def undo_blocks(store: LedgerStore, height: int) -> list[bytes]:
    """Take away every block above the height, inside the caller's `writing`.

    Return the ids of their transactions, which wait in the mempool again, in their old order.
    """
    undone = [bytes(row["tx_id"]) for row in store.all("transactions_above", height=height)]
    for step in ("undo_spending", "undo_outputs", "undo_transactions", "undo_blocks"):
        store.run(step, height=height)
    store.run("count_fork")
    return undone


def check_blocks(store: LedgerStore) -> None:
    """Return if every block is the one that its hash names and follows the one before it.

    Raises VerificationError `broken_chain`, whose `where` names the first block that is not.
    """
    expected_height, previous_hash, slot = 0, None, 0
    for row in store.all("blocks"):
        height = int(row["height"])
        if height != expected_height:
            raise _broken(expected_height, "it is missing")
        if previous_hash is not None and row["previous_hash"] != previous_hash:
            raise _broken(height, "it does not follow the block before it")
        if row["slot"] < slot:
            raise _broken(height, "its slot lies before the last block's")
        contents = [each["raw"] for each in store.all("contents", height=height)]
        place = Place(height, row["slot"], row["fork"])
        if row["hash"] != block_hash(place, row["previous_hash"], contents):
            raise _broken(height, "what it holds is not what its hash says")
        expected_height, previous_hash, slot = height + 1, row["hash"], int(row["slot"])


def unspent_total(store: LedgerStore) -> Value:
    """Return everything that blocks have made and none has spent."""
    lovelace = 0
    amounts: dict[AssetId, int] = {}
    # Summed here: SQLite's sum() overflows where a policy of somebody's own mints enough.
    for row in store.all("unspent_lovelace"):
        lovelace += row["lovelace"]
    for row in store.all("unspent_assets"):
        asset = AssetId(row["policy"], row["name"])
        amounts[asset] = amounts.get(asset, 0) + row["quantity"]
    return Value.of(lovelace, amounts)


def paid_and_minted(store: LedgerStore) -> tuple[int, Value]:
    """Return the fees that blocks took, in lovelace, and what they minted less what they burned.

    Both are read from the transactions' bytes, not from what the tables say of them.
    """
    fees = 0
    amounts: dict[AssetId, int] = {}
    for row in store.all("confirmed"):
        transaction = _confirmed(row["raw"], row["height"])
        fees += transaction.fee
        for asset, amount in transaction.mint:
            amounts[asset] = amounts.get(asset, 0) + amount
    return fees, Value.of(0, amounts)


def _confirmed(raw: bytes, height: int) -> Transaction:
    try:
        return read_transaction(raw)
    except MalformedError as error:
        raise _broken(height, "it holds bytes that are no transaction") from error


def _broken(height: int, why: str) -> VerificationError:
    return VerificationError(
        "broken_chain", f"cannot trust block {height}: {why}", where=f"block {height}"
    )
