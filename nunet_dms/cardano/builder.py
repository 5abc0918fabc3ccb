"""Build the transactions of a job: payment, settlement, refund, and plain transfers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nunet_dms.cardano.address import Address, address_from_bytes
from nunet_dms.cardano.assembly import Draft, UnsignedTransaction, assemble, fee_for
from nunet_dms.cardano.escrow import EscrowTerms
from nunet_dms.cardano.fees import PROTOCOL, FeeParams, Utxo, min_lovelace, smallest_output
from nunet_dms.cardano.metadata import METADATA_LABEL, job_metadata
from nunet_dms.cardano.output import TxOutput, new_output
from nunet_dms.cardano.script import read_script
from nunet_dms.cardano.settlement import SettlementTerms
from nunet_dms.cardano.signing import add_witness, sign, witness_for
from nunet_dms.cardano.value import AssetId, Value, total
from nunet_dms.errors import CapacityError, VerificationError

__all__ = [
    "ESCROW_LOVELACE",
    "METADATA_LABEL",
    "PROTOCOL",
    "FeeParams",
    "PaymentPlan",
    "UnsignedTransaction",
    "Utxo",
    "add_witness",
    "build_payment",
    "build_refund",
    "build_settlement",
    "build_transfer",
    "min_lovelace",
    "new_output",
    "sign",
    "smallest_output",
    "witness_for",
]

ESCROW_LOVELACE = 3_000_000
"""Enough for the two outputs of a settlement (about 1.2 ADA each) and its fee."""


@dataclass(frozen=True, slots=True)
class PaymentPlan:
    """Everything a payment is made of; the price is in the token's base unit."""

    utxos: tuple[Utxo, ...]
    """What the requester may spend; all of it at addresses of keys."""
    change_address: Address
    escrow: EscrowTerms
    asset: AssetId
    price: int
    job_hash: bytes
    ttl: int | None = None
    """First slot in which the payment may no longer be included."""
    lovelace: int = ESCROW_LOVELACE
    params: FeeParams = PROTOCOL


def build_payment(plan: PaymentPlan) -> UnsignedTransaction:
    """Return the payment of a job: the escrow's output first, change last.

    Raises CapacityError naming what is needed and what there is.
    """
    paid = new_output(plan.escrow.address, Value.of(plan.lovelace, {plan.asset: plan.price}))
    draft = Draft(
        inputs=(),
        outputs=(paid,),
        network_id=plan.escrow.network_id,
        signers=0,
        ttl=plan.ttl,
        auxiliary=job_metadata(plan.job_hash),
    )
    return _fund(draft, plan.utxos, plan.change_address, plan.params)


def build_transfer(
    utxos: tuple[Utxo, ...],
    outputs: tuple[TxOutput, ...],
    change_address: Address,
    mint: tuple[tuple[AssetId, int], ...] = (),
    scripts: tuple[bytes, ...] = (),
    params: FeeParams = PROTOCOL,
) -> UnsignedTransaction:
    """Return a transaction that makes these outputs, in this order, and change last.

    Every key that `scripts` name is counted as a signer. Raises CapacityError naming what is
    needed and what there is.
    """
    draft = Draft((), outputs, change_address.network_id, signers=0, mint=mint, scripts=scripts)
    return _fund(draft, utxos, change_address, params)


def build_settlement(
    escrow: Utxo, terms: SettlementTerms, params: FeeParams = PROTOCOL
) -> UnsignedTransaction:
    """Return the payout that the terms say, to be signed by two of the three parties.

    Raises VerificationError when the escrow does not hold exactly what the terms split, and
    CapacityError when its ADA does not suffice.
    """
    held = escrow.output.value
    split = terms.provider_amount + terms.requester_amount
    if escrow.ref != terms.escrow_ref or escrow.output.address != terms.escrow.address.raw:
        raise _refused("the output is not the one that the terms name")
    if (
        held.assets != ((terms.asset, split),)
        or min(terms.provider_amount, terms.requester_amount) < 0
    ):
        raise _refused(f"the escrow holds {held.assets}, the verdict splits {split}")
    due = terms.provider_output(params)
    draft = Draft(
        inputs=(escrow.ref,),
        outputs=() if due is None else (due,),
        network_id=terms.escrow.network_id,
        signers=2,
        scripts=(terms.escrow.script,),
    )
    return _pay_rest(draft, held, terms.requester_address, params)


def build_refund(
    escrow: Utxo,
    terms: EscrowTerms,
    requester_address: Address,
    valid_from: int | None = None,
    params: FeeParams = PROTOCOL,
) -> UnsignedTransaction:
    """Return the requester's refund, valid from the slot after the deadline or a later one.

    Raises VerificationError when `valid_from` is not after the deadline, and CapacityError
    when the escrow's ADA does not suffice.
    """
    start = terms.deadline_slot + 1 if valid_from is None else valid_from
    if start <= terms.deadline_slot:
        raise _refused(f"slot {start} is not after the deadline {terms.deadline_slot}")
    if escrow.output.address != terms.address.raw:
        raise _refused("the output is not at the escrow's address")
    draft = Draft(
        inputs=(escrow.ref,),
        outputs=(),
        network_id=terms.network_id,
        signers=1,
        valid_from=start,
        scripts=(terms.script,),
    )
    return _pay_rest(draft, escrow.output.value, requester_address, params)


@dataclass(frozen=True, slots=True)
class _Completed:
    """A draft with its last output; `missing` is the lovelace that this output lacks."""

    draft: Draft
    fee: int
    missing: int


def _fund(
    draft: Draft, utxos: tuple[Utxo, ...], change_address: Address, params: FeeParams
) -> UnsignedTransaction:
    """Choose inputs, largest first, until outputs, fee and change are covered."""
    needed = total(tuple([output.value for output in draft.outputs])) - Value(0, draft.mint)
    chosen = _covering_assets(utxos, needed)
    spare = sorted(
        [utxo for utxo in utxos if utxo not in chosen],
        key=lambda utxo: (utxo.output.value.lovelace, utxo.ref),
    )
    available = sum(utxo.output.value.lovelace for utxo in utxos)
    missing = needed.lovelace - available
    while True:
        if chosen:
            rest = total(tuple([utxo.output.value for utxo in chosen])) - needed
            completed = _with_rest(_spending(draft, chosen), rest, change_address, params)
            if completed.missing <= 0:
                return assemble(completed.draft, completed.fee)
            missing = completed.missing
        if not spare:
            break
        chosen.append(spare.pop())
    raise CapacityError(
        f"cannot build the transaction: {available + max(missing, 1)} lovelace are requested "
        f"with fee and change, {available} are available"
    )


def _covering_assets(utxos: tuple[Utxo, ...], needed: Value) -> list[Utxo]:
    """Return the outputs richest in each asset, as many as its amount takes."""
    chosen: list[Utxo] = []
    for asset, amount in needed.assets:
        held = sum(utxo.output.value.quantity(asset) for utxo in chosen)
        by_amount = sorted(
            [utxo for utxo in utxos if utxo not in chosen and utxo.output.value.quantity(asset)],
            key=lambda utxo: (utxo.output.value.quantity(asset), utxo.ref),
        )
        while held < amount and by_amount:
            chosen.append(by_amount.pop())
            held += chosen[-1].output.value.quantity(asset)
        if held < amount:
            raise CapacityError(
                f"cannot build the transaction: {amount} of {asset} are requested, {held} are "
                f"available"
            )
    return chosen


def _spending(draft: Draft, chosen: list[Utxo]) -> Draft:
    """Return the draft with these inputs and all the keys that must sign for it."""
    signers: set[bytes] = set()
    for utxo in chosen:
        address = address_from_bytes(utxo.output.address)
        if not address.payment_is_script:
            signers.add(address.payment_hash)
    for script in draft.scripts:
        signers |= read_script(script).key_hashes()
    return replace(draft, inputs=tuple([utxo.ref for utxo in chosen]), signers=len(signers))


def _with_rest(draft: Draft, rest: Value, address: Address, params: FeeParams) -> _Completed:
    # The fee is told before it is taken from the rest: at worst a few bytes too much.
    fee = fee_for(draft.with_last_output(new_output(address, rest)), params)
    output = new_output(address, rest - Value(fee))
    missing = min_lovelace(output, params) - output.value.lovelace
    return _Completed(draft.with_last_output(output), fee, missing)


def _pay_rest(
    draft: Draft, held: Value, address: Address, params: FeeParams
) -> UnsignedTransaction:
    """Return the draft with one more output, which takes what is left of `held`."""
    rest = held - total(tuple([output.value for output in draft.outputs]))
    completed = _with_rest(draft, rest, address, params)
    if completed.missing > 0:
        raise CapacityError(
            f"cannot build the transaction: {held.lovelace + completed.missing} lovelace are "
            f"requested, the escrow has {held.lovelace} available"
        )
    return assemble(completed.draft, completed.fee)


def _refused(why: str) -> VerificationError:
    return VerificationError("wrong_escrow", f"cannot build the transaction: {why}")
