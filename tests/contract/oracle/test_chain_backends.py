"""One contract for every chain backend: the ledger itself, and the three that ask it over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chain_world import ADA, FACES, Spender, change_of, remote, source_of
from oracle_world import World

from nunet_dms.cardano.builder import build_transfer
from nunet_dms.cardano.chain.backend import ChainBackend, ChainTransaction
from nunet_dms.cardano.chain.devnet import Devnet
from nunet_dms.cardano.chain.ledger import LedgerRule
from nunet_dms.cardano.fees import Utxo
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.output import new_output
from nunet_dms.cardano.signing import sign
from nunet_dms.cardano.transaction import TxInput, read_transaction
from nunet_dms.cardano.value import Value
from nunet_dms.errors import RefusedError, UnreachableError

PAIRS = ("koios+blockfrost", "ogmios+koios")


@pytest.fixture
def devnet(world: World) -> Devnet:
    assert world.oracle.devnet is not None
    return world.oracle.devnet


@pytest.fixture
def spender(world: World) -> Spender:
    return Spender(world)


@pytest.fixture(params=["devnet", *FACES, *PAIRS])
def chain(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Iterator[ChainBackend]:
    """Every backend over the same ledger."""
    if request.param == "devnet":
        yield world.oracle.chain
        return
    first, _, second = request.param.partition("+")
    also = source_of(world, second, tmp_path) if second else None
    with remote(source_of(world, first, tmp_path), world.clock, tmp_path, also) as found:
        yield found


def test_tip_slots_and_parameters_are_the_ledger_s(
    world: World, chain: ChainBackend, devnet: Devnet, spender: Spender
) -> None:
    assert chain.tip() == devnet.tip()
    assert chain.parameters() == devnet.parameters()
    now_s = world.clock()
    assert chain.slot_at(now_s + 7.5) == devnet.slot_at(now_s + 7.5) > 0
    devnet.submit(spender.transfer())
    world.step(3)
    assert chain.tip() == devnet.tip()


def test_an_address_is_listed_with_everything_it_holds(
    world: World, chain: ChainBackend, devnet: Devnet, spender: Spender
) -> None:
    devnet.faucet(spender.address, 3 * ADA, 7)
    devnet.faucet(spender.address, 2 * ADA, 0)
    world.step(3)
    found = chain.unspent_outputs(spender.address)
    assert found == devnet.unspent_outputs(spender.address)
    held = [utxo.output.value.quantity(devnet.asset) for utxo in found]
    assert held == [1000, 7, 0]
    assert chain.utxo(found[1].ref) == found[1]


def test_an_output_with_a_datum_is_told_as_one(
    world: World, chain: ChainBackend, spender: Spender
) -> None:
    held = new_output(spender.address, Value(5 * ADA), datum=b"\x18\x2a")
    built = build_transfer(spender.funds(), (held,), spender.address)
    made = TxInput(chain.submit(sign(built.raw, spender.key)), 0)
    world.step(3)
    listed = {utxo.ref: utxo.output.has_datum for utxo in chain.unspent_outputs(spender.address)}
    assert [ref for ref, has_datum in listed.items() if has_datum] == [made]
    found = chain.utxo(made)
    assert found is not None
    assert (found.output.has_datum, found.output.datum) == (True, b"\x18\x2a")


def test_a_transaction_is_there_once_a_block_has_it(
    world: World, chain: ChainBackend, devnet: Devnet, spender: Spender
) -> None:
    first = spender.transfer()
    read = read_transaction(first)
    made = TxInput(read.tx_id, 0)
    assert chain.submit(first) == read.tx_id
    assert chain.submit(first) == read.tx_id  # waiting for a block
    assert (chain.transaction(read.tx_id), chain.utxo(made)) == (None, None)
    assert not chain.is_spent(made)

    world.step(3)
    assert chain.transaction(read.tx_id) == devnet.transaction(read.tx_id)
    assert chain.utxo(made) == Utxo(made, read.outputs[0])
    assert not chain.is_spent(made)
    assert chain.submit(first) == read.tx_id  # in a block already

    second = spender.transfer(2 * ADA, of=(Utxo(made, read.outputs[0]),))
    chain.submit(second)
    assert chain.utxo(made) is not None  # what waits is not part of the chain
    world.step(3)
    assert (chain.is_spent(made), chain.utxo(made)) == (True, None)
    assert chain.is_spent(made)
    found = chain.transaction(read.tx_id)
    assert isinstance(found, ChainTransaction)
    assert (found.raw, found.valid) == (first, True)


def test_what_a_rollback_takes_back_is_not_there_until_a_block_has_it_again(
    world: World, chain: ChainBackend, devnet: Devnet, spender: Spender
) -> None:
    spent = spender.funds()[0].ref
    raw = spender.transfer()
    read = read_transaction(raw)
    made = TxInput(read.tx_id, 0)
    before = devnet.tip()
    chain.submit(raw)
    world.step(3)
    assert chain.transaction(read.tx_id) is not None
    assert (chain.utxo(made) is None, chain.utxo(spent) is None) == (False, True)

    devnet.rollback(before.height, drop=True)
    world.clock.now_s += 3  # a tip is remembered for a moment
    assert chain.tip() == before
    assert (chain.transaction(read.tx_id), chain.utxo(made)) == (None, None)
    assert (chain.is_spent(spent), chain.utxo(spent) is None) == (False, False)

    assert chain.submit(raw) == read.tx_id
    world.step(3)
    found = chain.transaction(read.tx_id)
    assert isinstance(found, ChainTransaction)
    assert (found.raw, found.height) == (raw, before.height + 1)
    assert found.block_hash == devnet.tip().block_hash
    assert chain.utxo(made) == Utxo(made, read.outputs[0])


def test_what_nobody_ever_made_is_not_there(chain: ChainBackend) -> None:
    unknown = TxInput(bytes(32), 0)
    assert chain.transaction(unknown.tx_id) is None
    assert chain.utxo(unknown) is None
    assert not chain.is_spent(unknown)
    assert chain.unspent_outputs(PaymentKey.generate().address(0)) == ()


def test_another_network_s_address_is_refused(chain: ChainBackend) -> None:
    with pytest.raises(RefusedError) as refusal:
        chain.unspent_outputs(PaymentKey.generate().address(1))
    assert refusal.value.code == LedgerRule.WRONG_OUTPUT_NETWORK.value


def test_an_output_that_a_transaction_does_not_have_is_not_there(
    world: World, chain: ChainBackend, spender: Spender
) -> None:
    raw = spender.transfer()
    tx_id = chain.submit(raw)
    world.step(3)
    beyond = TxInput(tx_id, 9)
    assert (chain.utxo(beyond), chain.is_spent(beyond)) == (None, False)


def changed(raw: bytes, place: int) -> bytes:
    return raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]


def refused_ones(spender: Spender) -> dict[LedgerRule, bytes]:
    """One transaction for each rule that a node tells apart."""
    whole = spender.transfer()
    nothing = Utxo(TxInput(bytes(32), 0), new_output(spender.address, Value(50 * ADA)))
    return {
        LedgerRule.MALFORMED: whole[:-20],
        LedgerRule.TOO_LARGE: whole + bytes(20_000),
        LedgerRule.UNKNOWN_INPUT: spender.transfer(of=(nothing,)),
        LedgerRule.FEE_TOO_SMALL: spender.odd(k2=1),
        LedgerRule.VALUE_NOT_CONSERVED: spender.odd(k2=300_000),
        LedgerRule.EXPIRED: spender.odd(k3=1),
        LedgerRule.NOT_YET_VALID: spender.odd(k8=10**9),
        LedgerRule.MISSING_WITNESS: spender.odd(k14=[bytes(28)]),
        LedgerRule.INVALID_SIGNATURE: changed(spender.odd(), -8),
        LedgerRule.METADATA_HASH_MISMATCH: spender.odd(k7=bytes(32)),
        LedgerRule.WRONG_OUTPUT_NETWORK: spender.odd(
            k1=[{0: spender.key.address(1).raw, 1: 5 * ADA}]
        ),
    }


def test_a_refusal_names_the_rule(chain: ChainBackend, devnet: Devnet, spender: Spender) -> None:
    for rule, raw in refused_ones(spender).items():
        for ledger in (devnet, chain):
            with pytest.raises(RefusedError) as refusal:
                ledger.submit(raw)
            assert refusal.value.code == rule.value, type(ledger)


def test_what_another_transaction_has_spent_is_told_from_what_waits(
    world: World, chain: ChainBackend, devnet: Devnet, spender: Spender
) -> None:
    first = spender.transfer()
    chain.submit(first)
    world.step(3)
    spend = change_of(first)
    taken = spender.transfer(2 * ADA, of=(spend,))
    chain.submit(taken)
    rival = spender.transfer(3 * ADA, of=(spend,))
    # The mempool has one of the two: a node does not say which, the ledger itself does.
    with pytest.raises((UnreachableError, RefusedError)) as waits:
        chain.submit(rival)
    assert isinstance(waits.value, UnreachableError) or chain is devnet
    world.step(3)
    with pytest.raises(RefusedError) as refusal:
        chain.submit(rival)
    assert refusal.value.code == LedgerRule.SPENT_INPUT.value
    assert chain.submit(taken) == read_transaction(taken).tx_id
