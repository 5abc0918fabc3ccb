"""The development ledger: a chain in one SQLite file, with real transactions and no value.

It applies the phase-1 rules of `ledger` to the bytes it is given and refuses what it cannot
judge. Submitting puts a transaction into the mempool, `tick` makes a block of what waits there;
both are on disk when they return. Blocks are chained by their hashes, which cover the bytes of
their transactions. A slot is a second since the ledger was made; several blocks may share one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from nunet_dms.cardano import script
from nunet_dms.cardano.address import Address
from nunet_dms.cardano.builder import build_transfer
from nunet_dms.cardano.chain import blocks, mempool
from nunet_dms.cardano.chain.backend import ChainTransaction, Tip
from nunet_dms.cardano.chain.ledger import LedgerRule, read_bounded
from nunet_dms.cardano.chain.store import LedgerStore
from nunet_dms.cardano.fees import PROTOCOL, FeeParams, Utxo
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.network import DEVNET, Network
from nunet_dms.cardano.output import new_output
from nunet_dms.cardano.signing import sign
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.errors import CapacityError, RefusedError, UsageError, VerificationError

NO_VALUE_NOTICE = "development ledger: what it holds has no value"
GENESIS_LOVELACE = 30_000_000_000_000_000
"""Lovelace (30 billion ADA): all there ever is, in the faucet's hands at the start."""
MAX_FAUCET_LOVELACE = 100_000_000_000
"""Lovelace (100,000 ADA) for one call, so that no caller empties the faucet."""
MAX_FAUCET_TOKENS = 1_000_000_000_000_000
"""Base units (10**9 mNTX) for one call; a whole number of calls stays far below 2**63."""
MAX_OUTPUTS_LISTED = 1000
"""Unspent outputs returned for one address, as Koios does."""

_GENESIS_DOMAIN = b"nunet-dms/devnet-genesis/v1\0"

log = logging.getLogger(__name__)


class Devnet:
    """A chain backend whose chain is a file; see the module. Any thread may call.

    `clock` returns Unix seconds. Raises ConfigError when the file cannot be used.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._store = LedgerStore(path)
        try:
            self._genesis_time_s, faucet_key = self._genesis()
        except BaseException:
            self._store.close()
            raise
        self._faucet_key = faucet_key
        self._faucet_address = faucet_key.address(DEVNET.network_id)
        self._policy_script = script.signature(faucet_key.key_hash)
        self.asset = AssetId(script.script_hash(self._policy_script), DEVNET.token_name)
        log.warning(
            "devnet_open path=%s policy=%s %s", path, self.asset.policy.hex(), NO_VALUE_NOTICE
        )

    def close(self) -> None:
        """Close the file; nothing is lost that was acknowledged."""
        self._store.close()

    def __enter__(self) -> Devnet:
        """Return the ledger, to be closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    @property
    def network(self) -> Network:
        """The devnet's row of the network table, with this ledger's own token policy in it."""
        return replace(DEVNET, token_policy=self.asset.policy)

    def tip(self) -> Tip:
        """Return the last block; block 0 made the faucet's ADA."""
        row = self._store.one("tip")
        time_s = self._genesis_time_s + int(row["slot"])
        return Tip(row["slot"], row["height"], row["hash"], time_s)

    def slot_at(self, time_s: float) -> int:
        """Return the slot of a Unix time in seconds; 0 for times before the ledger was made."""
        return max(0, int(time_s) - self._genesis_time_s)

    def parameters(self) -> FeeParams:
        """Return the protocol parameters, which are mainnet's."""
        return PROTOCOL

    def transaction(self, tx_id: bytes) -> ChainTransaction | None:
        """Return the transaction of that id, or None while no block holds it."""
        row = self._store.first("transaction_by_id", tx_id=tx_id)
        if row is None or row["height"] is None:
            return None
        return ChainTransaction(row["raw"], row["height"], row["block_hash"], valid=True)

    def utxo(self, ref: TxInput) -> Utxo | None:
        """Return the output if a block made it and none has spent it."""
        found = self._store.output(ref)
        if found is None or not found.is_unspent_on_chain:
            return None
        return Utxo(found.ref, found.output)

    def is_spent(self, ref: TxInput) -> bool:
        """Return whether a block has spent the output; False also if it never existed."""
        found = self._store.output(ref)
        return found is not None and found.is_spent_on_chain

    def unspent_outputs(self, address: Address) -> tuple[Utxo, ...]:
        """Return what the address holds as of the last block, richest first, at most 1000.

        Raises RefusedError for another network's address.
        """
        _refuse_other_network(address)
        found = self._store.outputs(
            "unspent_outputs", address=address.raw, limit=MAX_OUTPUTS_LISTED
        )
        return tuple(Utxo(each.ref, each.output) for each in found)

    def submit(self, raw: bytes) -> bytes:
        """Put a transaction into the mempool, on disk, and return its id.

        The same bytes again change nothing. Raises RefusedError with the LedgerRule's code, and
        CapacityError when the mempool is full: the same bytes may pass after the next block.
        """
        transaction = read_bounded(raw, PROTOCOL)
        with self._store.writing():
            mempool.accept(self._store, transaction, self._current_slot())
        return transaction.tx_id

    def faucet(self, address: Address, lovelace: int, tokens: int) -> bytes:
        """Send lovelace and freshly minted tokens (base units); return the transaction's id.

        It waits in the mempool like any other. Raises CapacityError for more than one call may
        ask, RefusedError for less ADA than an output needs or for another network's address.
        """
        _refuse_other_network(address)
        _refuse_greed("lovelace", lovelace, MAX_FAUCET_LOVELACE)
        _refuse_greed("token base units", tokens, MAX_FAUCET_TOKENS)
        minted = ((self.asset, tokens),) if tokens else ()
        with self._store.writing():
            unsigned = build_transfer(
                (self._faucet_source(),),
                (new_output(address, Value(lovelace, minted)),),
                self._faucet_address,
                mint=minted,
                scripts=(self._policy_script,) if minted else (),
            )
            transaction = read_bounded(sign(unsigned.raw, self._faucet_key))
            mempool.accept(self._store, transaction, self._current_slot())
        return transaction.tx_id

    def tick(self) -> Tip | None:
        """Make a block from the mempool and return it; None if nothing could go into one.

        The caller's timer decides how often. A transaction whose time has passed is dropped,
        with those that spend its outputs.
        """
        with self._store.writing():
            slot = self._current_slot()
            chosen = mempool.choose(self._store, slot)
            if not chosen:
                return None
            blocks.add_block(self._store, slot, chosen)
            return self.tip()

    def rollback(self, to_height: int, drop: bool = False) -> Tip:
        """Undo every block above that height, as a fork of a real chain does; return the tip.

        Their transactions wait in the mempool again, in their old order, before all others. With
        `drop` they are lost, as if double-spent in the other branch, and so is what spends their
        outputs: handed in again they pass as they would have. Block 0 cannot be undone. Raises
        UsageError for a height that no block above another has.
        """
        with self._store.writing():
            last = self.tip()
            if not 0 <= to_height <= last.height:
                raise UsageError(
                    f"cannot roll back to block {to_height}: there are blocks 0 to {last.height}"
                )
            undone = blocks.undo_blocks(self._store, to_height)
            for tx_id in undone if drop else ():
                mempool.drop(self._store, tx_id)
            log.warning(
                "devnet_rollback from_height=%s to_height=%s transactions=%s dropped=%s",
                last.height, to_height, len(undone), drop,
            )  # fmt: skip
            return self.tip()

    def totals(self) -> tuple[Value, int]:
        """Return all that is unspent, and all fees paid in lovelace, as of the last block."""
        with self._store.reading():
            return blocks.unspent_total(self._store), blocks.paid_and_minted(self._store)[0]

    def verify(self) -> None:
        """Return if the blocks are whole and nothing appeared or vanished in them.

        Raises VerificationError: `broken_chain` names the first broken block, `not_conserved`
        says what is too much or too little.
        """
        with self._store.reading():
            blocks.check_blocks(self._store)
            unspent = blocks.unspent_total(self._store)
            fees, minted = blocks.paid_and_minted(self._store)
        surplus = unspent + Value(fees) - minted - Value(GENESIS_LOVELACE)
        if surplus != Value(0):
            raise VerificationError(
                "not_conserved", f"cannot trust the ledger: it holds {surplus} from nowhere"
            )

    def _genesis(self) -> tuple[int, PaymentKey]:
        """Return the time of slot 0 and the faucet's key; a new file gets them now."""
        if self._store.first("genesis") is None:
            self._make_genesis()
        row = self._store.one("genesis")
        return int(row["time_s"]), PaymentKey.from_seed(row["faucet_seed"])

    def _make_genesis(self) -> None:
        key = PaymentKey.generate()
        address = key.address(DEVNET.network_id)
        # As in Shelley's genesis, the output's id is a hash of the address it pays to.
        ref = TxInput(blake2b_256(_GENESIS_DOMAIN + address.raw), 0)
        first_hash = blocks.block_hash(blocks.Place(0, 0), ref.tx_id, ())
        with self._store.writing():
            if self._store.first("genesis") is not None:
                return  # another process was first
            self._store.run("add_genesis", time_s=int(self._clock()), faucet_seed=key.seed)
            self._store.run(
                "add_block", height=0, hash=first_hash, previous_hash=ref.tx_id, slot=0, fork=0
            )
            self._store.add_output(ref, new_output(address, Value(GENESIS_LOVELACE)), height=0)

    def _current_slot(self) -> int:
        """The clock's slot, but never before the last block's: a clock may be set back."""
        return max(self.slot_at(self._clock()), self.tip().slot)

    def _faucet_source(self) -> Utxo:
        row = self._store.first("richest_output", address=self._faucet_address.raw)
        found = (
            None if row is None else self._store.output(TxInput(row["tx_id"], row["output_index"]))
        )
        if found is None:
            raise CapacityError("cannot use the faucet: it is empty")
        return Utxo(found.ref, found.output)


def _refuse_other_network(address: Address) -> None:
    if address.network_id != DEVNET.network_id:
        raise RefusedError(
            LedgerRule.WRONG_OUTPUT_NETWORK.value,
            f"cannot use {address} here: it belongs to mainnet, this is a {NO_VALUE_NOTICE}",
            hint="give an address that starts with addr_test1",
        )


def _refuse_greed(what: str, requested: int, available: int) -> None:
    if not 0 <= requested <= available:
        raise CapacityError(
            f"cannot use the faucet: {requested} {what} requested, it gives 0 to {available}"
        )
