"""Scripts on a real development ledger: locked, spent, rolled back, over restarts and blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("uplc.ast", reason="the extra plutus is not installed", exc_type=ImportError)

from devnet_world import (
    ADA,
    GENESIS_TIME_S,
    REQUESTER,
    FakeClock,
    fund,
    refused,
    transfer,
)

from nunet_dms.cardano.builder import build_transfer, sign
from nunet_dms.cardano.chain.devnet import Devnet
from nunet_dms.cardano.chain.ledger import LedgerRule
from nunet_dms.cardano.chain.scripts import PlutusRule
from nunet_dms.cardano.data import Constr, Data
from nunet_dms.cardano.fees import Utxo
from nunet_dms.cardano.output import new_output
from nunet_dms.cardano.plutus import PLUTUS, ExUnits, Purpose, Redeemer
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.cardano.value import Value
from nunet_dms.errors import RefusedError
from tests.unit.cardano.plutus_world import PROGRAMS, Spend, script_output

SMALL = ExUnits(100_000, 100_000_000)


def lock(ledger: Devnet, program: str, datum: Data) -> Utxo:
    """Lock 10 ADA under a program, in a block of its own."""
    source = fund(ledger, REQUESTER, tokens=0)
    locked = script_output(PROGRAMS[program], 10 * ADA, datum)
    tx_id = ledger.submit(
        sign(build_transfer((source,), (locked,), REQUESTER.address(0)).raw, REQUESTER)
    )
    assert ledger.tick() is not None
    found = ledger.utxo(TxInput(tx_id, 0))
    assert found is not None
    return found


def unlock(locked: Utxo, program: str, collateral: Utxo, redeemer: Data = 0) -> Spend:
    """Spend what is locked to the requester."""
    return Spend(
        scripts=[PROGRAMS[program]],
        unspent={},
        redeemers=[Redeemer(Purpose.SPEND, 0, redeemer, SMALL)],
        inputs=[locked.ref],
        outputs=[new_output(REQUESTER.address(0), Value(9 * ADA))],
        collateral=[collateral.ref],
        keys=[REQUESTER],
    )


def test_a_datum_is_kept_over_a_restart_and_a_script_told_of_it(
    path: Path, clock: FakeClock
) -> None:
    with Devnet(path, clock) as ledger:
        locked = lock(ledger, "redeemer_is_datum", Constr(3, (1, b"job")))
        collateral = fund(ledger, REQUESTER, tokens=0)
    with Devnet(path, clock) as ledger:
        assert ledger.utxo(locked.ref) == locked
        assert locked.output.has_datum
        case = unlock(locked, "redeemer_is_datum", collateral, Constr(3, (1, b"joB")))
        with pytest.raises(RefusedError) as refusal:
            ledger.submit(case.raw())
        assert refusal.value.code == PlutusRule.SCRIPT_FAILED.value
        case = unlock(locked, "redeemer_is_datum", collateral, Constr(3, (1, b"job")))
        tx_id = ledger.submit(case.raw())
        ledger.tick()
        assert ledger.is_spent(locked.ref)
        assert ledger.utxo(TxInput(tx_id, 0)) is not None
        assert not ledger.is_spent(collateral.ref)
        ledger.verify()


def test_a_script_is_told_the_time_of_the_ledger(ledger: Devnet, clock: FakeClock) -> None:
    start_ms = 1000 * (GENESIS_TIME_S + 40)
    told = Constr(
        0,
        (
            Constr(0, (Constr(1, (start_ms,)), Constr(1))),
            Constr(0, (Constr(2), Constr(1))),
        ),
    )
    locked = lock(ledger, "range_is_datum", told)
    collateral = fund(ledger, REQUESTER, tokens=0)
    clock.now = GENESIS_TIME_S + 50
    with pytest.raises(RefusedError) as refusal:
        ledger.submit(replace(unlock(locked, "range_is_datum", collateral), body={8: 41}).raw())
    assert refusal.value.code == PlutusRule.SCRIPT_FAILED.value
    assert ledger.submit(replace(unlock(locked, "range_is_datum", collateral), body={8: 40}).raw())


def test_collateral_that_is_spent_cannot_be_put_up(ledger: Devnet) -> None:
    locked = lock(ledger, "always_true", 0)
    collateral = fund(ledger, REQUESTER, tokens=0)
    ledger.submit(transfer(collateral, REQUESTER, REQUESTER))
    raw = unlock(locked, "always_true", collateral).raw()
    with refused(LedgerRule.MEMPOOL_CONFLICT):
        ledger.submit(raw)
    ledger.tick()
    with refused(LedgerRule.SPENT_INPUT):
        ledger.submit(raw)


def test_a_block_leaves_out_what_has_lost_its_collateral(ledger: Devnet, clock: FakeClock) -> None:
    clock.now = GENESIS_TIME_S + 100
    locked = lock(ledger, "always_true", 0)
    collateral = fund(ledger, REQUESTER, tokens=0)
    clock.now = GENESIS_TIME_S + 110
    early = replace(unlock(locked, "always_true", collateral), body={8: 110}).raw()
    tx_id = ledger.submit(early)
    clock.now = GENESIS_TIME_S + 105  # set back: it has to wait, and another overtakes it
    ledger.submit(transfer(collateral, REQUESTER, REQUESTER))
    assert ledger.tick() is not None
    assert ledger.transaction(tx_id) is None
    clock.now = GENESIS_TIME_S + 120
    assert ledger.tick() is None
    with refused(LedgerRule.SPENT_INPUT):
        ledger.submit(early)
    assert not ledger.is_spent(locked.ref)
    ledger.verify()


def test_a_rollback_that_loses_the_collateral_loses_what_put_it_up(
    ledger: Devnet,
) -> None:
    locked = lock(ledger, "always_true", 0)
    height = ledger.tip().height
    collateral = fund(ledger, REQUESTER, tokens=0)
    tx_id = ledger.submit(unlock(locked, "always_true", collateral).raw())
    ledger.rollback(height, drop=True)
    assert ledger.tick() is None
    assert ledger.transaction(tx_id) is None
    assert not ledger.is_spent(locked.ref)
    ledger.verify()


def test_a_rollback_keeps_what_put_up_collateral_behind_it(ledger: Devnet) -> None:
    locked = lock(ledger, "always_true", 0)
    height = ledger.tip().height
    collateral = fund(ledger, REQUESTER, tokens=0)
    tx_id = ledger.submit(unlock(locked, "always_true", collateral).raw())
    ledger.tick()
    ledger.rollback(height)
    ledger.tick()
    assert ledger.transaction(tx_id) is not None
    ledger.verify()


def test_a_block_holds_no_more_units_than_it_may(ledger: Devnet) -> None:
    collateral = fund(ledger, REQUESTER, tokens=0)
    whole = PLUTUS.max_tx_units
    fitting = min(
        PLUTUS.max_block_units.memory // whole.memory, PLUTUS.max_block_units.steps // whole.steps
    )
    waiting = []
    for _ in range(fitting + 1):
        locked = lock(ledger, "always_true", 0)
        case = unlock(locked, "always_true", collateral)
        case.redeemers = [replace(case.redeemers[0], units=whole)]
        case.fee, case.outputs = 2 * ADA, [new_output(REQUESTER.address(0), Value(8 * ADA))]
        waiting.append(case.raw())
    ids = [ledger.submit(raw) for raw in waiting]
    ledger.tick()
    assert [ledger.transaction(each) is not None for each in ids] == [True] * fitting + [False]
    ledger.tick()
    assert ledger.transaction(ids[-1]) is not None
    ledger.verify()
