"""What a Plutus V3 script is told: the script context, as the ledger builds it in Conway.

Shapes and orders are those of `PlutusLedgerApi.V3` and of the ledger's `transTxInfo`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

from nunet_dms.cardano.address import address_from_bytes
from nunet_dms.cardano.data import Constr, Data, DataMap, data_from_bytes
from nunet_dms.cardano.output import TxOutput
from nunet_dms.cardano.plutus import Purpose, Redeemer
from nunet_dms.cardano.transaction import Transaction, TxInput
from nunet_dms.cardano.value import AssetId, Value

SLOT_MS = 1_000
"""Milliseconds of a slot, on mainnet since Shelley and on the development ledger."""

_NOTHING = Constr(1)
_NO_DATUM = Constr(0)
_TRUE, _FALSE = Constr(1), Constr(0)
_FROM_EVER, _FOR_EVER = Constr(0), Constr(2)


@dataclass(frozen=True, slots=True)
class ScriptView:
    """A transaction as its scripts see it: with what its inputs held, and in clock time."""

    transaction: Transaction
    spent: Mapping[TxInput, TxOutput]
    redeemers: tuple[Redeemer, ...]
    zero_time_ms: int
    """Unix milliseconds of slot 0."""

    @property
    def inputs(self) -> list[TxInput]:
        """The inputs in the ledger's order, which redeemers count by."""
        return sorted(self.spent)

    @property
    def policies(self) -> list[bytes]:
        """The policies that mint or burn, in the ledger's order, which redeemers count by."""
        return sorted({asset.policy for asset, _ in self.transaction.mint})


def transaction_info(view: ScriptView) -> Data:
    """Return `TxInfo`; it is the same for every script of the transaction."""
    transaction = view.transaction
    return Constr(
        0,
        (
            tuple([Constr(0, (_reference(ref), _output(view.spent[ref]))) for ref in view.inputs]),
            (),  # reference inputs
            tuple([_output(output) for output in transaction.outputs]),
            transaction.fee,
            _assets(transaction.mint),
            (),  # certificates
            DataMap(),  # withdrawals
            _interval(transaction, view.zero_time_ms),
            tuple(sorted(set(transaction.required_signers))),
            DataMap(tuple([(_purpose(view, each), each.data) for each in _in_order(view)])),
            DataMap(),  # datums in the witness set
            transaction.tx_id,
            DataMap(),  # votes
            (),  # proposals
            _NOTHING,  # treasury
            _NOTHING,  # donation
        ),
    )


def script_context(view: ScriptView, info: Data, redeemer: Redeemer) -> Data:
    """Return `ScriptContext`: the one argument of the script that the redeemer is for."""
    purpose = _purpose(view, redeemer)
    if redeemer.purpose is Purpose.SPEND:
        ref = view.inputs[redeemer.index]
        datum = view.spent[ref].datum
        found = _NOTHING if datum is None else Constr(0, (data_from_bytes(datum),))
        purpose = Constr(1, (_reference(ref), found))
    return Constr(0, (info, redeemer.data, purpose))


def _in_order(view: ScriptView) -> list[Redeemer]:
    return sorted(view.redeemers, key=lambda each: (each.purpose, each.index))


def _purpose(view: ScriptView, redeemer: Redeemer) -> Constr:
    """Return `ScriptPurpose`: minting is its constructor 0, spending its constructor 1."""
    if redeemer.purpose is Purpose.SPEND:
        return Constr(1, (_reference(view.inputs[redeemer.index]),))
    return Constr(0, (view.policies[redeemer.index],))


def _reference(ref: TxInput) -> Data:
    return Constr(0, (ref.tx_id, ref.index))


def _output(output: TxOutput) -> Data:
    datum = _NO_DATUM if output.datum is None else Constr(2, (data_from_bytes(output.datum),))
    return Constr(0, (_address(output.address), _value(output.value), datum, _NOTHING))


def _address(raw: bytes) -> Data:
    address = address_from_bytes(raw)
    stake = _NOTHING
    if address.stake is not None:
        credential = Constr(int(address.stake_is_script), (address.stake,))
        stake = Constr(0, (Constr(0, (credential,)),))
    return Constr(0, (Constr(int(address.payment_is_script), (address.payment_hash,)), stake))


def _value(value: Value) -> Data:
    """ADA comes first, with the empty policy and name, and is there even when zero."""
    ada = (b"", DataMap(((b"", value.lovelace),)))
    return DataMap((ada, *_assets(value.assets).pairs))


def _assets(assets: tuple[tuple[AssetId, int], ...]) -> DataMap:
    by_policy = groupby(sorted(assets), key=lambda item: item[0].policy)
    return DataMap(
        tuple(
            [
                (policy, DataMap(tuple([(asset.name, amount) for asset, amount in held])))
                for policy, held in by_policy
            ]
        )
    )


def _interval(transaction: Transaction, zero_time_ms: int) -> Data:
    """The first slot belongs to the interval, the slot of its end does not."""
    start, end = transaction.valid_from, transaction.ttl
    lower = _FROM_EVER if start is None else _finite(start, zero_time_ms)
    upper = _FOR_EVER if end is None else _finite(end, zero_time_ms)
    end_belongs = _TRUE if end is None else _FALSE
    return Constr(0, (Constr(0, (lower, _TRUE)), Constr(0, (upper, end_belongs))))


def _finite(slot: int, zero_time_ms: int) -> Constr:
    return Constr(1, (zero_time_ms + slot * SLOT_MS,))
