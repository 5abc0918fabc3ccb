"""Send tokens or ADA from a wallet to an address, and see them arrive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.builder import (
    UnsignedTransaction,
    build_transfer,
    min_lovelace,
    new_output,
    smallest_output,
)
from nunet_dms.cardano.output import TxOutput
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.errors import UsageError, VerificationError
from nunet_dms.protocol.amount import ADA
from nunet_dms.requester.ledger import Ledger
from nunet_dms.requester.pay import ESCROW_LOVELACE_MAX, Funds, fair

SEE_EVERY_S = 2.0
SEE_WAIT_S = 900.0
"""A block comes every 20 s on average; a node that takes longer than this has a problem."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What is to be sent; amounts in base units. No ADA given means the least that is allowed."""

    to: Address
    asset: AssetId
    amount: int
    lovelace: int | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer that is built and not signed: what each side gets."""

    unsigned: UnsignedTransaction
    sent: Value
    change: Value


def plan_transfer(sending: Sending, funds: Funds, ledger: Ledger) -> Transfer:
    """Return the transaction that sends it, all change back to the funds' address.

    The same funds give the same transaction, so that sending again before the first is on the
    chain sends nothing twice. Raises CapacityError, UsageError for too little ADA, and
    VerificationError for fee rules out of all proportion.
    """
    terms = ledger.terms()
    assets = {sending.asset: sending.amount} if sending.amount else {}
    least = smallest_output(sending.to, assets, terms.fees)
    if least.value.lovelace > ESCROW_LOVELACE_MAX:
        raise VerificationError(
            "fee_too_high",
            f"cannot send: the ledger's rules ask for {ADA.show(least.value.lovelace)} with it",
        )
    output = least
    if sending.lovelace is not None:
        output = new_output(sending.to, Value.of(sending.lovelace, assets))
        if (needed := min_lovelace(output, terms.fees)) > sending.lovelace:
            raise UsageError(
                f"cannot send {ADA.show(sending.lovelace)}: an output holds at least "
                f"{ADA.show(needed)}"
            )
    unsigned = fair(build_transfer(funds.utxos, (output,), funds.address, params=terms.fees))
    return Transfer(unsigned, output.value, _change(unsigned.outputs))


def wait_on_chain(
    ledger: Ledger,
    tx_id: str,
    places: tuple[Address, ...],
    clock: Callable[[], float],
    wait: Callable[[float], object],
) -> bool:
    """Return whether an output of the transaction was seen at one of its addresses in time."""
    ends = clock() + SEE_WAIT_S
    while True:
        for place in places:
            if any(utxo.ref.tx_id.hex() == tx_id for utxo in ledger.utxos(place)):
                return True
        if clock() >= ends:
            return False
        wait(SEE_EVERY_S)


def _change(outputs: tuple[TxOutput, ...]) -> Value:
    return outputs[1].value if len(outputs) > 1 else Value(0)
