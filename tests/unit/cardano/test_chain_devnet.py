"""The development ledger: what it takes, what it keeps, and that nothing appears or vanishes."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path

import pytest
from devnet_world import (
    ADA,
    GENESIS_TIME_S,
    NODE,
    ORACLE,
    PROVIDER,
    REQUESTER,
    FakeClock,
    assert_conserved,
    first_change,
    fund,
    holdings,
    refused,
    transfer,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from nunet_dms.cardano import script
from nunet_dms.cardano.builder import (
    PaymentPlan,
    build_payment,
    build_refund,
    build_settlement,
    build_transfer,
    new_output,
    sign,
)
from nunet_dms.cardano.chain import devnet as devnet_module
from nunet_dms.cardano.chain import mempool
from nunet_dms.cardano.chain import store as store_module
from nunet_dms.cardano.chain.backend import ChainBackend
from nunet_dms.cardano.chain.devnet import MAX_FAUCET_TOKENS, Devnet
from nunet_dms.cardano.chain.ledger import LedgerRule
from nunet_dms.cardano.escrow import EscrowTerms, commitment_for
from nunet_dms.cardano.fees import Utxo
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.network import DEVNET
from nunet_dms.cardano.settlement import SettlementTerms
from nunet_dms.cardano.transaction import TxInput, read_transaction
from nunet_dms.cardano.value import Value
from nunet_dms.errors import CapacityError, ConfigError, RefusedError, UnreachableError


def escrow_terms(job: bytes, deadline_slot: int) -> EscrowTerms:
    return EscrowTerms(
        commitment_for(job),
        REQUESTER.key_hash,
        NODE.key_hash,
        ORACLE.key_hash,
        deadline_slot,
        DEVNET.network_id,
    )


def pay_escrow(ledger: Devnet, terms: EscrowTerms, price: int, job: bytes) -> Utxo:
    """Pay the price into the escrow, in a block of its own."""
    plan = PaymentPlan(
        utxos=ledger.unspent_outputs(REQUESTER.address(0)),
        change_address=REQUESTER.address(0),
        escrow=terms,
        asset=ledger.asset,
        price=price,
        job_hash=job,
    )
    ledger.submit(sign(build_payment(plan).raw, REQUESTER))
    ledger.tick()
    (found,) = ledger.unspent_outputs(terms.address)
    return found


def settlement(ledger: Devnet, escrow: Utxo, terms: EscrowTerms, provider_amount: int) -> bytes:
    split = SettlementTerms(
        escrow.ref,
        terms,
        ledger.asset,
        PROVIDER.address(0),
        provider_amount,
        REQUESTER.address(0),
        escrow.output.value.quantity(ledger.asset) - provider_amount,
    )
    return sign(build_settlement(escrow, split).raw, NODE, ORACLE)


def test_a_new_ledger_starts_with_one_block_and_the_devnets_own_token(ledger: Devnet) -> None:
    backend: ChainBackend = ledger
    tip = backend.tip()
    assert (tip.height, tip.slot, tip.time_s) == (0, 0, GENESIS_TIME_S)
    assert ledger.network.asset == ledger.asset
    assert ledger.asset.name == b"mNTX"
    assert backend.slot_at(GENESIS_TIME_S + 7.9) == 7
    assert backend.slot_at(0) == 0


def test_the_faucets_tokens_carry_the_policy_of_the_faucets_key(ledger: Devnet) -> None:
    funded = fund(ledger, REQUESTER, tokens=25)
    assert funded.output.value == Value(100 * ADA, ((ledger.asset, 25),))
    found = ledger.transaction(funded.ref.tx_id)
    assert found is not None
    transaction = read_transaction(found.raw)
    assert transaction.mint == ((ledger.asset, 25),)
    (policy,) = transaction.native_scripts
    assert script.script_hash(policy) == ledger.asset.policy
    (signer,) = transaction.signers
    assert policy == script.signature(signer)


def test_what_waits_in_the_mempool_is_not_on_the_chain(ledger: Devnet) -> None:
    tx_id = ledger.faucet(REQUESTER.address(0), 2 * ADA, 5)
    assert ledger.transaction(tx_id) is None
    assert ledger.utxo(TxInput(tx_id, 0)) is None
    assert ledger.unspent_outputs(REQUESTER.address(0)) == ()
    tip = ledger.tick()
    found = ledger.transaction(tx_id)
    assert tip is not None
    assert found is not None
    assert (found.height, found.block_hash, found.valid) == (1, tip.block_hash, True)
    assert holdings(ledger, REQUESTER) == Value(2 * ADA, ((ledger.asset, 5),))


def test_a_tick_with_nothing_waiting_makes_no_block(ledger: Devnet) -> None:
    assert ledger.tick() is None
    assert ledger.tip().height == 0


def test_the_faucet_can_be_used_many_times_between_two_blocks(ledger: Devnet) -> None:
    for _ in range(5):
        ledger.faucet(REQUESTER.address(0), 2 * ADA, 3)
    ledger.faucet(REQUESTER.address(0), 2 * ADA, 0)
    ledger.tick()
    assert holdings(ledger, REQUESTER) == Value(12 * ADA, ((ledger.asset, 15),))
    assert ledger.tip().height == 1


@pytest.mark.parametrize(
    ("lovelace", "tokens"), [(-1, 0), (2 * ADA, -1), (2 * ADA, MAX_FAUCET_TOKENS + 1), (10**12, 0)]
)
def test_the_faucet_has_limits(ledger: Devnet, lovelace: int, tokens: int) -> None:
    with pytest.raises(CapacityError, match="requested"):
        ledger.faucet(REQUESTER.address(0), lovelace, tokens)


def test_a_mainnet_address_is_refused_everywhere(ledger: Devnet) -> None:
    mainnet = REQUESTER.address(1)
    with refused(LedgerRule.WRONG_OUTPUT_NETWORK):
        ledger.faucet(mainnet, 2 * ADA, 0)
    with refused(LedgerRule.WRONG_OUTPUT_NETWORK):
        ledger.unspent_outputs(mainnet)
    funded = fund(ledger, REQUESTER)
    outputs = (new_output(mainnet, Value(5 * ADA)),)
    paying = build_transfer((funded,), outputs, REQUESTER.address(0))
    with refused(LedgerRule.WRONG_OUTPUT_NETWORK):
        ledger.submit(sign(paying.raw, REQUESTER))
    declared = build_transfer((funded,), (), mainnet)
    with refused(LedgerRule.WRONG_BODY_NETWORK):
        ledger.submit(sign(declared.raw, REQUESTER))


def test_the_same_bytes_twice_do_no_harm(ledger: Devnet) -> None:
    raw = transfer(fund(ledger, REQUESTER), REQUESTER, PROVIDER)
    tx_id = ledger.submit(raw)
    assert ledger.submit(raw) == tx_id
    ledger.tick()
    assert ledger.submit(raw) == tx_id
    assert ledger.tick() is None
    assert holdings(ledger, PROVIDER) == Value(5 * ADA)


def test_the_same_id_with_other_signatures_is_not_taken_for_the_same(ledger: Devnet) -> None:
    raw = transfer(fund(ledger, REQUESTER), REQUESTER, PROVIDER)
    other = sign(raw, PROVIDER)
    assert read_transaction(other).tx_id == ledger.submit(raw)
    with refused(LedgerRule.MEMPOOL_CONFLICT):
        ledger.submit(other)


def test_a_second_spending_is_refused_before_and_after_the_block(ledger: Devnet) -> None:
    funded = fund(ledger, REQUESTER)
    ledger.submit(transfer(funded, REQUESTER, PROVIDER))
    rival = transfer(funded, REQUESTER, NODE)
    with refused(LedgerRule.MEMPOOL_CONFLICT):
        ledger.submit(rival)
    assert not ledger.is_spent(funded.ref)
    ledger.tick()
    with refused(LedgerRule.SPENT_INPUT):
        ledger.submit(rival)
    assert ledger.is_spent(funded.ref)
    assert ledger.utxo(funded.ref) is None
    assert holdings(ledger, NODE) == Value(0)


def test_a_waiting_output_can_be_spent_by_the_next_transaction(ledger: Devnet) -> None:
    parent = transfer(fund(ledger, REQUESTER), REQUESTER, PROVIDER)
    child = transfer(first_change(parent), REQUESTER, NODE)
    with refused(LedgerRule.UNKNOWN_INPUT):
        ledger.submit(child)
    ledger.submit(parent)
    ledger.submit(child)
    ledger.tick()
    assert holdings(ledger, NODE) == holdings(ledger, PROVIDER) == Value(5 * ADA)


@pytest.mark.parametrize(
    ("raw", "rule"),
    [(b"", LedgerRule.MALFORMED), (bytes(20_000), LedgerRule.TOO_LARGE)],
    ids=["empty", "huge"],
)
def test_bytes_that_are_no_transaction_are_refused(
    ledger: Devnet, raw: bytes, rule: LedgerRule
) -> None:
    with refused(rule):
        ledger.submit(raw)


def test_a_tampered_transaction_leaves_no_trace(ledger: Devnet) -> None:
    raw = bytearray(transfer(fund(ledger, REQUESTER), REQUESTER, PROVIDER))
    raw[raw.index(REQUESTER.sign(read_transaction(bytes(raw)).tx_id))] ^= 1
    with refused(LedgerRule.INVALID_SIGNATURE):
        ledger.submit(bytes(raw))
    assert ledger.tick() is None


def test_an_escrow_is_paid_and_settled_by_node_and_oracle(ledger: Devnet) -> None:
    fund(ledger, REQUESTER, tokens=1000)
    job = b"\7" * 32
    terms = escrow_terms(job, deadline_slot=3600)
    escrow = pay_escrow(ledger, terms, 600, job)
    assert escrow.output.value.quantity(ledger.asset) == 600
    ledger.submit(settlement(ledger, escrow, terms, 250))
    ledger.tick()
    assert ledger.is_spent(escrow.ref)
    assert holdings(ledger, PROVIDER).quantity(ledger.asset) == 250
    assert holdings(ledger, REQUESTER).quantity(ledger.asset) == 750


def test_the_requester_alone_gets_the_escrow_after_the_deadline_only(
    ledger: Devnet, clock: FakeClock
) -> None:
    fund(ledger, REQUESTER)
    job = b"\7" * 32
    terms = escrow_terms(job, deadline_slot=3600)
    escrow = pay_escrow(ledger, terms, 600, job)
    refund = sign(build_refund(escrow, terms, REQUESTER.address(0)).raw, REQUESTER)
    start = read_transaction(refund).valid_from
    assert start is not None
    assert start >= terms.deadline_slot
    clock.now = GENESIS_TIME_S + start - 0.1
    with refused(LedgerRule.NOT_YET_VALID):
        ledger.submit(refund)
    clock.now = GENESIS_TIME_S + start
    ledger.submit(refund)
    tip = ledger.tick()
    assert tip is not None
    assert tip.slot == start
    assert holdings(ledger, REQUESTER).quantity(ledger.asset) == 1000


def expiring(ledger: Devnet, utxo: Utxo, ttl: int) -> bytes:
    """A payment of the requester that no block may hold from slot `ttl` on."""
    job = b"\6" * 32
    plan = PaymentPlan(
        utxos=(utxo,),
        change_address=REQUESTER.address(0),
        escrow=escrow_terms(job, 10_000),
        asset=ledger.asset,
        price=10,
        job_hash=job,
        ttl=ttl,
    )
    return sign(build_payment(plan).raw, REQUESTER)


def test_what_expires_in_the_mempool_is_dropped_with_its_children(
    ledger: Devnet, clock: FakeClock
) -> None:
    funded = fund(ledger, REQUESTER)
    parent = expiring(ledger, funded, ttl=50)
    child = transfer(first_change(parent), REQUESTER, PROVIDER)
    grandchild = transfer(first_change(child), REQUESTER, NODE)
    for raw in (parent, child, grandchild):
        ledger.submit(raw)
    unrelated = ledger.faucet(ORACLE.address(0), 2 * ADA, 0)
    clock.now = GENESIS_TIME_S + 50
    assert ledger.tick() is not None
    assert ledger.transaction(unrelated) is not None
    assert ledger.utxo(funded.ref) == funded
    with refused(LedgerRule.EXPIRED):
        ledger.submit(parent)
    with refused(LedgerRule.UNKNOWN_INPUT):
        ledger.submit(child)
    ledger.submit(transfer(funded, REQUESTER, PROVIDER))
    ledger.tick()
    assert holdings(ledger, PROVIDER) == Value(5 * ADA)


def test_slots_never_go_back_when_the_clock_does(ledger: Devnet, clock: FakeClock) -> None:
    clock.now = GENESIS_TIME_S + 100
    funded = fund(ledger, REQUESTER)
    clock.now = GENESIS_TIME_S - 5
    with refused(LedgerRule.EXPIRED):
        ledger.submit(expiring(ledger, funded, ttl=100))
    ledger.faucet(REQUESTER.address(0), 2 * ADA, 0)
    tip = ledger.tick()
    assert tip is not None
    assert (tip.slot, tip.height) == (100, 2)


def test_what_a_clock_set_back_makes_too_early_waits_for_its_slot(
    ledger: Devnet, clock: FakeClock
) -> None:
    fund(ledger, REQUESTER)
    job = b"\7" * 32
    terms = escrow_terms(job, deadline_slot=100)
    escrow = pay_escrow(ledger, terms, 600, job)
    clock.now = GENESIS_TIME_S + 200
    tx_id = ledger.submit(
        sign(build_refund(escrow, terms, REQUESTER.address(0)).raw, REQUESTER),
    )
    clock.now = GENESIS_TIME_S + 50
    assert ledger.tick() is None
    clock.now = GENESIS_TIME_S + 200
    assert ledger.tick() is not None
    assert ledger.transaction(tx_id) is not None


def test_what_was_acknowledged_is_there_after_reopening(path: Path, clock: FakeClock) -> None:
    with Devnet(path, clock) as ledger:
        funded = fund(ledger, REQUESTER)
        raw = transfer(funded, REQUESTER, PROVIDER)
        ledger.submit(raw)
        tip, asset = ledger.tip(), ledger.asset
    clock.now += 1000
    with Devnet(path, clock) as ledger:
        assert (ledger.tip(), ledger.asset) == (tip, asset)
        assert ledger.slot_at(clock.now) == 1000
        assert ledger.utxo(funded.ref) == funded
        ledger.tick()
        assert holdings(ledger, PROVIDER) == Value(5 * ADA)


def test_nothing_is_lost_when_the_file_is_never_checkpointed(path: Path, clock: FakeClock) -> None:
    copy = path.parent / "copy"
    copy.mkdir()
    with Devnet(path, clock) as ledger:
        funded = fund(ledger, REQUESTER)
        tx_id = ledger.submit(transfer(funded, REQUESTER, PROVIDER))
        for name in (path.name, f"{path.name}-wal"):
            shutil.copy(path.parent / name, copy / name)
    with Devnet(copy / path.name, clock) as ledger:
        assert ledger.utxo(funded.ref) == funded
        ledger.tick()
        assert ledger.transaction(tx_id) is not None


def test_the_file_is_its_owners_alone(ledger: Devnet, path: Path) -> None:
    fund(ledger, REQUESTER)
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}


def test_blocks_are_chained_over_the_bytes_they_hold(ledger: Devnet, path: Path) -> None:
    for _ in range(3):
        fund(ledger, REQUESTER)
    with closing(sqlite3.connect(path)) as db:
        blocks = db.execute(
            "SELECT height, slot, previous_hash, hash FROM block ORDER BY height"
        ).fetchall()
        raws = dict(db.execute("SELECT height, raw FROM tx"))
    assert len(blocks) == 4
    for before, (height, slot, previous_hash, block_hash) in pairwise(blocks):
        place = height.to_bytes(8, "big") + slot.to_bytes(8, "big")
        header = b"nunet-dms/devnet-block/v1\0" + place + previous_hash
        assert previous_hash == before[3]
        assert block_hash == blake2b_256(header + blake2b_256(raws[height]))


def test_a_block_holds_so_many_bytes_and_the_rest_waits_in_order(
    ledger: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mempool, "MAX_BLOCK_BYTES", 1000)
    ids = [ledger.faucet(REQUESTER.address(0), 2 * ADA, 1) for _ in range(5)]
    while ledger.tick() is not None:
        pass
    heights = [found.height for found in map(ledger.transaction, ids) if found is not None]
    assert len(heights) == 5
    assert heights == sorted(heights)
    assert heights[-1] > 1


def test_a_full_mempool_says_so_and_has_room_after_the_block(
    ledger: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mempool, "MAX_MEMPOOL_TRANSACTIONS", 2)
    for _ in range(2):
        ledger.faucet(REQUESTER.address(0), 2 * ADA, 1)
    with pytest.raises(CapacityError, match="2 wait"):
        ledger.faucet(REQUESTER.address(0), 2 * ADA, 1)
    ledger.tick()
    ledger.faucet(REQUESTER.address(0), 2 * ADA, 1)


def test_the_richest_outputs_are_listed_first_up_to_the_limit(
    ledger: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ada in (2, 9, 4):
        ledger.faucet(REQUESTER.address(0), ada * ADA, 1)
    ledger.tick()
    monkeypatch.setattr(devnet_module, "MAX_OUTPUTS_LISTED", 2)
    listed = ledger.unspent_outputs(REQUESTER.address(0))
    assert [utxo.output.value.lovelace for utxo in listed] == [9 * ADA, 4 * ADA]


def test_threads_and_a_second_opener_share_one_ledger(
    ledger: Devnet, path: Path, clock: FakeClock
) -> None:
    with Devnet(path, clock) as twin, ThreadPoolExecutor(8) as pool:
        calls = [
            pool.submit(each.faucet, REQUESTER.address(0), 2 * ADA, 1)
            for each in (ledger, twin) * 10
        ]
        ticks = [pool.submit(ledger.tick) for _ in range(5)]
        for call in (*calls, *ticks):
            call.result()
        twin.tick()
        assert ledger.tip() == twin.tip()
        assert twin.asset == ledger.asset
    assert holdings(ledger, REQUESTER) == Value(40 * ADA, ((ledger.asset, 20),))
    assert_conserved(path)


def test_a_missing_folder_is_a_configuration_error(tmp_path: Path, clock: FakeClock) -> None:
    with pytest.raises(ConfigError, match="cannot open the ledger"):
        Devnet(tmp_path / "missing" / "devnet.db", clock)


def test_a_file_that_is_no_database_is_left_alone(path: Path, clock: FakeClock) -> None:
    path.write_bytes(b"precious notes, " * 100)
    with pytest.raises(ConfigError, match="cannot open the ledger"):
        Devnet(path, clock)
    assert path.read_bytes() == b"precious notes, " * 100


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("PRAGMA application_id = 7", "another program"),
        ("PRAGMA user_version = 9", "its version is 9"),
    ],
)
def test_another_programs_or_versions_file_is_left_alone(
    path: Path, clock: FakeClock, change: str, reason: str
) -> None:
    Devnet(path, clock).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(change)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=reason):
        Devnet(path, clock)
    assert path.read_bytes() == before


def test_a_file_that_another_holds_is_unreachable_not_lost(
    ledger: Devnet, path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "BUSY_TIMEOUT_S", 0.0)
    with Devnet(path, clock) as twin, closing(sqlite3.connect(path)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnreachableError, match="locked"):
            twin.faucet(REQUESTER.address(0), 2 * ADA, 1)
        holder.rollback()
        twin.faucet(REQUESTER.address(0), 2 * ADA, 1)
    assert ledger.tick() is not None


def test_an_old_sqlite_does_without_strict_tables(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "STRICT_SINCE", (99, 0, 0))
    with Devnet(path, clock) as ledger:
        fund(ledger, REQUESTER)
    with closing(sqlite3.connect(path)) as db:
        tables = [row[0] for row in db.execute("SELECT sql FROM sqlite_schema WHERE type='table'")]
    assert len(tables) >= 5
    assert not any("STRICT" in each for each in tables)


def test_tables_are_strict_where_sqlite_can(ledger: Devnet, path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        tables = dict(db.execute("SELECT name, sql FROM sqlite_schema WHERE type='table'"))
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    tables.pop("sqlite_sequence")
    assert set(tables) == {"genesis", "block", "tx", "utxo", "utxo_asset"}
    assert all(each.endswith("STRICT") for each in tables.values())
    assert ledger.tip().height == 0


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["faucet", "pay", "settle", "refund", "wait", "tick"]),
        st.integers(0, 100),
    ),
    max_size=14,
)


@given(steps=STEPS)
@settings(max_examples=25, deadline=None)
def test_no_history_makes_or_loses_anything(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, clock = Path(folder) / "devnet.db", FakeClock()
        with Devnet(path, clock) as ledger:
            history = History(ledger, clock)
            for number, (step, percent) in enumerate([("faucet", 50), ("tick", 0), *steps]):
                history.play(step, number, percent)
                assert_conserved(path)


class History:
    """Plays random steps; a step that makes no sense yet is refused, which changes nothing."""

    def __init__(self, ledger: Devnet, clock: FakeClock) -> None:
        self.ledger = ledger
        self.clock = clock
        self.escrows: list[tuple[EscrowTerms, Utxo]] = []

    def play(self, step: str, number: int, percent: int) -> None:
        with suppress(RefusedError, CapacityError):
            getattr(self, step)(number, percent)

    def faucet(self, number: int, percent: int) -> None:
        self.ledger.faucet(REQUESTER.address(0), 20 * ADA + number, percent)

    def tick(self, _number: int, _percent: int) -> None:
        self.ledger.tick()

    def wait(self, _number: int, percent: int) -> None:
        self.clock.now += percent

    def pay(self, number: int, percent: int) -> None:
        job = bytes([number]) * 32
        terms = escrow_terms(job, self.ledger.slot_at(self.clock.now) + percent)
        plan = PaymentPlan(
            self.ledger.unspent_outputs(REQUESTER.address(0)),
            REQUESTER.address(0),
            terms,
            self.ledger.asset,
            max(1, percent // 2),
            job,
        )
        raw = sign(build_payment(plan).raw, REQUESTER)
        tx_id = self.ledger.submit(raw)
        output = read_transaction(raw).outputs[0]
        self.escrows.append((terms, Utxo(TxInput(tx_id, 0), output)))

    def settle(self, _number: int, percent: int) -> None:
        for terms, escrow in self.escrows[-1:]:
            held = escrow.output.value.quantity(self.ledger.asset)
            self.ledger.submit(settlement(self.ledger, escrow, terms, held * percent // 100))

    def refund(self, _number: int, _percent: int) -> None:
        for terms, escrow in self.escrows[:1]:
            raw = build_refund(escrow, terms, REQUESTER.address(0)).raw
            self.ledger.submit(sign(raw, REQUESTER))
