"""Any history of payments, blocks, rollbacks and reopenings, beside a model of a few lines."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from devnet_world import (
    ADA,
    GENESIS_TIME_S,
    NODE,
    PROVIDER,
    REQUESTER,
    FakeClock,
    assert_conserved,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nunet_dms.cardano.address import address_from_bytes
from nunet_dms.cardano.assembly import Draft, assemble
from nunet_dms.cardano.chain.devnet import GENESIS_LOVELACE, Devnet
from nunet_dms.cardano.chain.ledger import LedgerRule
from nunet_dms.cardano.output import TxOutput, new_output
from nunet_dms.cardano.signing import sign
from nunet_dms.cardano.transaction import Transaction, TxInput, read_transaction
from nunet_dms.cardano.value import Value, total
from nunet_dms.errors import RefusedError

OWNERS = {key.key_hash: key for key in (REQUESTER, NODE, PROVIDER)}
FEE = 200_000
WHO = st.sampled_from(sorted(OWNERS))
NOT_THERE: set[str | None] = {
    rule.value
    for rule in (LedgerRule.SPENT_INPUT, LedgerRule.UNKNOWN_INPUT, LedgerRule.MEMPOOL_CONFLICT)
}
"""Rules of an input that is not to be had."""
CHANCE = st.integers(0, 10**6)


class Model:
    """A chain of lists: what each block holds, what waits, and what that makes of the outputs."""

    def __init__(self, genesis: dict[TxInput, TxOutput]) -> None:
        self.genesis = genesis
        self.blocks: list[list[Transaction]] = [[]]
        self.waiting: list[Transaction] = []

    def unspent(self, *, with_waiting: bool) -> dict[TxInput, TxOutput]:
        """Return what is unspent, as of the last block or with the mempool."""
        found = dict(self.genesis)
        confirmed = [each for block in self.blocks for each in block]
        for transaction in confirmed + (self.waiting if with_waiting else []):
            for ref in transaction.inputs:
                found.pop(ref, None)
            for index, output in enumerate(transaction.outputs):
                found[TxInput(transaction.tx_id, index)] = output
        return found

    def drop(self, lost: set[bytes]) -> None:
        """Lose waiting transactions, and those that spend what they made."""
        kept = []
        for transaction in self.waiting:
            if transaction.tx_id in lost or any(r.tx_id in lost for r in transaction.inputs):
                lost.add(transaction.tx_id)
            else:
                kept.append(transaction)
        self.waiting = kept


class Histories(RuleBasedStateMachine):
    """Every rule may come at any time; what must hold is checked after each."""

    @initialize()
    def open(self) -> None:
        """Start with an empty ledger."""
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "devnet.db"
        self.clock = FakeClock()
        self.ledger = Devnet(self.path, self.clock)
        with closing(sqlite3.connect(self.path)) as db:
            ((tx_id, address),) = db.execute("SELECT tx_id, address FROM utxo").fetchall()
        first = new_output(address_from_bytes(address), Value(GENESIS_LOVELACE))
        self.model = Model({TxInput(tx_id, 0): first})
        self.ever: list[TxInput] = []
        self.owned: dict[TxInput, TxOutput] = {}
        self.taken: list[bytes] = []
        self.hashes: dict[bytes, int] = {}

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.folder.cleanup()

    @property
    def slot(self) -> int:
        """The slot of the next block: the clock's, but not before the last block's."""
        return max(int(self.clock.now) - GENESIS_TIME_S, self.ledger.tip().slot)

    @rule(who=WHO, ada=st.integers(2, 50), tokens=st.integers(0, 9))
    def faucet(self, who: bytes, ada: int, tokens: int) -> None:
        """The faucet gives somebody something."""
        tx_id = self.ledger.faucet(OWNERS[who].address(0), ada * ADA, tokens)
        with closing(sqlite3.connect(self.path)) as db:
            (raw,) = db.execute("SELECT raw FROM tx WHERE tx_id = ?", (tx_id,)).fetchone()
        self.remember(raw)

    @precondition(lambda self: self.owned)
    @rule(chance=CHANCE, who=WHO, ttl=st.none() | st.integers(0, 30), early=st.integers(0, 9))
    def pay(self, chance: int, who: bytes, ttl: int | None, early: int) -> None:
        """Somebody pays with any output that ever was: the model knows whether that may pass."""
        ref = self.ever[chance % len(self.ever)]
        source = self.owned[ref]
        owner = OWNERS[address_from_bytes(source.address).payment_hash]
        paid = new_output(OWNERS[who].address(0), source.value - Value(FEE))
        draft = Draft(
            inputs=(ref,),
            outputs=(paid,),
            network_id=0,
            signers=1,
            ttl=None if ttl is None else self.slot + ttl,
            valid_from=self.slot + 1 if early == 0 else None,
        )
        raw = sign(assemble(draft, FEE).raw, owner)
        self.hand_in(raw)

    @precondition(lambda self: self.taken)
    @rule(chance=CHANCE)
    def hand_in_again(self, chance: int) -> None:
        """Something that was taken once comes again: there already, dropped, or outdone."""
        self.hand_in(self.taken[chance % len(self.taken)])

    def hand_in(self, raw: bytes) -> None:
        """Submit, and hold the answer to the model's."""
        transaction = read_transaction(raw)
        present = {each.tx_id for block in self.model.blocks for each in block}
        present |= {each.tx_id for each in self.model.waiting}
        is_new = transaction.tx_id not in present
        expected = self.refusals(transaction) if is_new else {None}
        assert self.answer(raw) in expected
        if is_new and None in expected:
            self.remember(raw)

    def answer(self, raw: bytes) -> str | None:
        """Submit; return the code of the refusal, None when it was taken."""
        try:
            self.ledger.submit(raw)
        except RefusedError as refusal:
            return refusal.code
        return None

    def refusals(self, transaction: Transaction) -> set[str | None]:
        """Return the rules one of which must refuse it; None stands for being taken."""
        if transaction.valid_from is not None and self.slot < transaction.valid_from:
            return {LedgerRule.NOT_YET_VALID.value}
        if transaction.ttl is not None and self.slot >= transaction.ttl:
            return {LedgerRule.EXPIRED.value}
        known = self.model.unspent(with_waiting=True)
        if all(ref in known for ref in transaction.inputs):
            return {None}
        return NOT_THERE

    def remember(self, raw: bytes) -> None:
        """Let the model know what was taken."""
        transaction = read_transaction(raw)
        self.model.waiting.append(transaction)
        self.taken.append(raw)
        for index, output in enumerate(transaction.outputs):
            ref = TxInput(transaction.tx_id, index)
            rich = output.value.lovelace >= ADA + FEE
            if rich and address_from_bytes(output.address).payment_hash in OWNERS:
                if ref not in self.owned:
                    self.ever.append(ref)
                self.owned[ref] = output

    @rule()
    def tick(self) -> None:
        """A block takes what waits and may go in; what is too late is lost with its children."""
        slot = self.slot
        late = [each for each in self.model.waiting if each.ttl is not None and slot >= each.ttl]
        self.model.drop({each.tx_id for each in late})
        early: set[bytes] = set()
        for each in self.model.waiting:
            starts_later = each.valid_from is not None and slot < each.valid_from
            if starts_later or any(ref.tx_id in early for ref in each.inputs):
                early.add(each.tx_id)
        chosen = [each for each in self.model.waiting if each.tx_id not in early]
        tip = self.ledger.tick()
        assert (tip is None) is (not chosen)
        if tip is not None:
            assert tip.slot == slot
            assert tip.block_hash not in self.hashes, "two blocks had the same hash"
            self.hashes[tip.block_hash] = tip.height
            self.model.blocks.append(chosen)
            self.model.waiting = [each for each in self.model.waiting if each.tx_id in early]

    @rule(depth=st.integers(0, 4), drop=st.booleans())
    def rollback(self, depth: int, drop: bool) -> None:
        """Blocks are undone; what they held waits again, first, or is lost."""
        height = max(0, len(self.model.blocks) - 1 - depth)
        self.ledger.rollback(height, drop)
        undone = [each for block in self.model.blocks[height + 1 :] for each in block]
        del self.model.blocks[height + 1 :]
        order = [each.tx_id for each in map(read_transaction, self.taken)]
        waiting = undone + self.model.waiting
        last = {tx_id: place for place, tx_id in enumerate(order)}
        self.model.waiting = sorted(waiting, key=lambda each: last[each.tx_id])
        if drop:
            self.model.drop({each.tx_id for each in undone})

    @rule(seconds=st.integers(-20, 40))
    def wait(self, seconds: int) -> None:
        """Time passes, or the clock is set back."""
        self.clock.now += seconds

    @rule()
    def reopen(self) -> None:
        """The ledger is closed and opened."""
        self.ledger.close()
        self.ledger = Devnet(self.path, self.clock)

    @invariant()
    def the_ledger_is_the_models(self) -> None:
        """Blocks, what waits, and who holds what."""
        if not hasattr(self, "ledger"):
            return
        assert self.ledger.tip().height == len(self.model.blocks) - 1
        with closing(sqlite3.connect(self.path)) as db:
            rows = db.execute("SELECT tx_id FROM tx WHERE height IS NULL ORDER BY sequence")
            assert [tx_id for (tx_id,) in rows] == [each.tx_id for each in self.model.waiting]
        held = {
            utxo.ref: utxo.output
            for key in OWNERS.values()
            for utxo in self.ledger.unspent_outputs(key.address(0))
        }
        assert held == {
            ref: output
            for ref, output in self.model.unspent(with_waiting=False).items()
            if address_from_bytes(output.address).payment_hash in OWNERS
        }

    @invariant()
    def every_waiting_input_is_there_for_it_alone(self) -> None:
        """What waits spends outputs that exist, and no output is spent by two."""
        if not hasattr(self, "ledger"):
            return
        spent: set[TxInput] = set()
        with closing(sqlite3.connect(self.path)) as db:
            spenders = {
                TxInput(tx_id, index): spent_by
                for tx_id, index, spent_by in db.execute(
                    "SELECT tx_id, output_index, spent_by FROM utxo"
                )
            }
        confirmed = [each for block in self.model.blocks for each in block]
        for transaction in confirmed + self.model.waiting:
            for ref in transaction.inputs:
                assert ref not in spent, "an output is spent twice"
                assert spenders[ref] == transaction.tx_id
                spent.add(ref)
        assert spent == {ref for ref, spent_by in spenders.items() if spent_by is not None}

    @invariant()
    def nothing_appears_or_vanishes(self) -> None:
        """By the ledger's own audit, by its totals, and by the file."""
        if not hasattr(self, "ledger"):
            return
        self.ledger.verify()
        unspent, fees = self.ledger.totals()
        confirmed = [each for block in self.model.blocks for each in block]
        minted = total(tuple(Value(0, each.mint) for each in confirmed))
        assert unspent == Value(GENESIS_LOVELACE - fees) + minted
        assert fees == sum(each.fee for each in confirmed)
        assert_conserved(self.path)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
