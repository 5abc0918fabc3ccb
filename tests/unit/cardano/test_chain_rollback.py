"""A rollback undoes blocks, and nothing else; the ledger's own audit finds what does not hold."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from devnet_world import (
    ADA,
    GENESIS_TIME_S,
    NODE,
    PROVIDER,
    REQUESTER,
    FakeClock,
    first_change,
    fund,
    holdings,
    refused,
    transfer,
)

from nunet_dms.cardano.chain.devnet import GENESIS_LOVELACE, Devnet
from nunet_dms.cardano.chain.ledger import LedgerRule
from nunet_dms.cardano.transaction import read_transaction
from nunet_dms.cardano.value import Value
from nunet_dms.errors import ConfigError, UsageError, VerificationError


@pytest.fixture
def ledger(path: Path, clock: FakeClock) -> Iterator[Devnet]:
    with Devnet(path, clock) as opened:
        yield opened
        opened.verify()


def test_what_a_rollback_undoes_waits_again_and_comes_back_in_its_order(ledger: Devnet) -> None:
    funded = fund(ledger, REQUESTER)
    parent = transfer(funded, REQUESTER, PROVIDER)
    child = transfer(first_change(parent), REQUESTER, NODE)
    parent_id = ledger.submit(parent)
    ledger.tick()
    child_id = ledger.submit(child)
    ledger.tick()
    waiting = transfer(first_change(child), REQUESTER, NODE)
    waiting_id = ledger.submit(waiting)
    tip = ledger.rollback(1)
    assert (tip, ledger.tip().height) == (ledger.tip(), 1)
    assert ledger.transaction(parent_id) is None
    assert ledger.utxo(funded.ref) == funded
    assert holdings(ledger, PROVIDER) == Value(0)
    with refused(LedgerRule.MEMPOOL_CONFLICT):
        ledger.submit(transfer(funded, REQUESTER, NODE))
    assert ledger.tick() is not None
    found = [ledger.transaction(each) for each in (parent_id, child_id, waiting_id)]
    assert [each.height for each in found if each] == [2, 2, 2]
    assert holdings(ledger, NODE) == Value(10 * ADA)


def test_what_a_rollback_drops_never_was_and_may_be_handed_in_again(ledger: Devnet) -> None:
    funded = fund(ledger, REQUESTER)
    parent = transfer(funded, REQUESTER, PROVIDER)
    child = transfer(first_change(parent), REQUESTER, NODE)
    unrelated = ledger.faucet(NODE.address(0), 2 * ADA, 0)
    ledger.tick()
    ledger.submit(parent)
    ledger.tick()
    ledger.submit(child)
    ledger.rollback(2, drop=True)
    assert ledger.tick() is None
    assert ledger.transaction(unrelated) is not None
    assert ledger.utxo(funded.ref) == funded
    with refused(LedgerRule.UNKNOWN_INPUT):
        ledger.submit(child)
    assert ledger.submit(parent) == read_transaction(parent).tx_id
    ledger.submit(child)
    ledger.tick()
    assert holdings(ledger, PROVIDER) == Value(5 * ADA)


def test_after_a_drop_a_double_spend_may_win(ledger: Devnet) -> None:
    funded = fund(ledger, REQUESTER)
    paid = transfer(funded, REQUESTER, PROVIDER)
    ledger.submit(paid)
    ledger.tick()
    ledger.rollback(1, drop=True)
    ledger.submit(transfer(funded, REQUESTER, NODE))
    with refused(LedgerRule.MEMPOOL_CONFLICT):
        ledger.submit(paid)
    ledger.tick()
    with refused(LedgerRule.SPENT_INPUT):
        ledger.submit(paid)
    assert holdings(ledger, NODE) == Value(5 * ADA)
    assert holdings(ledger, PROVIDER) == Value(0)


@pytest.mark.parametrize("drop", [False, True])
def test_the_same_transactions_never_make_the_same_block_again(ledger: Devnet, drop: bool) -> None:
    raw = transfer(fund(ledger, REQUESTER), REQUESTER, PROVIDER)
    seen = set()
    for _ in range(3):
        ledger.submit(raw)
        tip = ledger.tick()
        assert tip is not None
        seen.add(tip.block_hash)
        ledger.rollback(1, drop)
    assert len(seen) == 3


def test_genesis_and_faucet_outlive_every_rollback(ledger: Devnet) -> None:
    asset, genesis = ledger.asset, ledger.tip()
    fund(ledger, REQUESTER)
    assert ledger.rollback(0, drop=True) == genesis
    assert ledger.totals() == (Value(GENESIS_LOVELACE), 0)
    assert fund(ledger, REQUESTER, 7).output.value.quantity(asset) == 7


@pytest.mark.parametrize("height", [-1, 2])
def test_a_rollback_to_no_block_is_refused_and_changes_nothing(ledger: Devnet, height: int) -> None:
    fund(ledger, REQUESTER)
    before = ledger.tip()
    with pytest.raises(UsageError, match=f"block {height}: there are blocks 0 to 1"):
        ledger.rollback(height)
    assert ledger.tip() == before


def test_a_rollback_is_on_disk_when_it_returns(path: Path, clock: FakeClock) -> None:
    with Devnet(path, clock) as ledger:
        raw = transfer(fund(ledger, REQUESTER), REQUESTER, PROVIDER)
        tx_id = ledger.submit(raw)
        ledger.tick()
        ledger.rollback(1)
    with Devnet(path, clock) as ledger:
        assert ledger.tip().height == 1
        ledger.tick()
        assert ledger.transaction(tx_id) is not None
        ledger.verify()


def test_a_rollback_that_fails_halfway_undoes_nothing(ledger: Devnet, path: Path) -> None:
    raw = transfer(fund(ledger, REQUESTER), REQUESTER, PROVIDER)
    tx_id = ledger.submit(raw)
    tip = ledger.tick()
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "CREATE TRIGGER no_more_forks BEFORE UPDATE ON genesis "
            "BEGIN SELECT RAISE(ABORT, 'stopped'); END"
        )
        db.commit()
    with pytest.raises(sqlite3.IntegrityError, match="stopped"):
        ledger.rollback(0, drop=True)
    assert ledger.tip() == tip
    assert ledger.transaction(tx_id) is not None


def test_totals_are_all_there_is_and_all_that_was_paid(ledger: Devnet) -> None:
    assert ledger.totals() == (Value(GENESIS_LOVELACE), 0)
    raw = transfer(fund(ledger, REQUESTER, tokens=40), REQUESTER, PROVIDER)
    before, fees = ledger.totals()
    assert before == Value(GENESIS_LOVELACE - fees, ((ledger.asset, 40),))
    ledger.submit(raw)
    assert ledger.totals() == (before, fees)
    ledger.tick()
    fee = read_transaction(raw).fee
    assert ledger.totals() == (before - Value(fee), fees + fee)


@pytest.mark.parametrize(
    ("change", "code", "where"),
    [
        ("UPDATE tx SET raw = zeroblob(99) WHERE height = 2", "broken_chain", "block 2"),
        ("UPDATE tx SET height = 3 WHERE height = 2", "broken_chain", "block 2"),
        ("UPDATE block SET slot = slot + 1 WHERE height = 2", "broken_chain", "block 2"),
        ("UPDATE block SET slot = 0 WHERE height = 3", "broken_chain", "block 3"),
        ("UPDATE block SET fork = 1 WHERE height = 3", "broken_chain", "block 3"),
        ("UPDATE block SET hash = zeroblob(32) WHERE height = 1", "broken_chain", "block 1"),
        ("UPDATE block SET previous_hash = hash WHERE height = 0", "broken_chain", "block 0"),
        ("DELETE FROM block WHERE height = 2", "broken_chain", "block 2"),
        ("UPDATE utxo SET lovelace = lovelace + 1 WHERE height = 3", "not_conserved", ""),
        ("UPDATE utxo_asset SET quantity = quantity + 1", "not_conserved", ""),
    ],
)  # fmt: skip
def test_the_first_broken_block_is_named(
    path: Path, clock: FakeClock, change: str, code: str, where: str
) -> None:
    with Devnet(path, clock) as ledger:
        for number in range(1, 4):
            clock.now = GENESIS_TIME_S + 10 * number
            fund(ledger, REQUESTER)
        ledger.verify()
        with closing(sqlite3.connect(path)) as db:
            db.execute(change)
            db.commit()
        with pytest.raises(VerificationError, match="cannot trust") as broken:
            ledger.verify()
    assert (broken.value.code, broken.value.where) == (code, where)
    if code == "broken_chain":
        with pytest.raises(ConfigError, match=f"cannot open the ledger .*: cannot trust {where}: "):
            Devnet(path, clock)


BACK_TO_2 = ("ALTER TABLE utxo DROP COLUMN datum", "PRAGMA user_version = 2")
BACK_TO_1 = (
    *BACK_TO_2,
    "ALTER TABLE genesis DROP COLUMN forks",
    "ALTER TABLE block DROP COLUMN fork",
    "PRAGMA user_version = 1",
)


@pytest.mark.parametrize("back", [BACK_TO_1, BACK_TO_2], ids=["1", "2"])
def test_a_ledger_of_an_older_version_goes_on_with_its_blocks(
    path: Path, clock: FakeClock, back: tuple[str, ...]
) -> None:
    with Devnet(path, clock) as ledger:
        funded, tip = fund(ledger, REQUESTER), ledger.tip()
    with closing(sqlite3.connect(path)) as db:
        for step in back:
            db.execute(step)
        db.commit()
    for _ in range(2):
        with Devnet(path, clock) as ledger:
            assert ledger.tip() == tip
            assert ledger.utxo(funded.ref) == funded
            ledger.verify()
    with Devnet(path, clock) as ledger:
        ledger.rollback(0)
        again = ledger.tick()
        assert again is not None
        assert again.block_hash != tip.block_hash
        ledger.verify()
