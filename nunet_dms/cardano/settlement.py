"""The payout of an escrow: what it must say before the Oracle or the node signs it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.escrow import EscrowTerms
from nunet_dms.cardano.fees import PROTOCOL, FeeParams, smallest_output
from nunet_dms.cardano.output import TxOutput
from nunet_dms.cardano.transaction import Transaction, TxInput, read_transaction
from nunet_dms.cardano.value import AssetId
from nunet_dms.errors import VerificationError

MAX_SETTLEMENT_FEE = 500_000
"""Lovelace. A settlement costs about 185,000; more would burn the requester's ADA."""

MAX_PROVIDER_LOVELACE = 2_000_000
"""Where the protocol's parameters are not known; the least beside tokens is about 1.2 ADA."""


class SettlementRefusal(str, Enum):
    """Why a payout is not signed."""

    MALFORMED = "malformed"
    PHASE2_INVALID = "phase2_invalid"
    UNSUPPORTED = "unsupported"
    WRONG_NETWORK = "wrong_network"
    WRONG_INPUTS = "wrong_inputs"
    MINTS = "mints"
    HAS_METADATA = "has_metadata"
    HAS_VALIDITY = "has_validity"
    HAS_REQUIRED_SIGNERS = "has_required_signers"
    FEE_TOO_HIGH = "fee_too_high"
    WRONG_OUTPUTS = "wrong_outputs"
    WRONG_PROVIDER = "wrong_provider"
    WRONG_PROVIDER_AMOUNT = "wrong_provider_amount"
    WRONG_REQUESTER = "wrong_requester"
    WRONG_REQUESTER_AMOUNT = "wrong_requester_amount"
    DATUM_PRESENT = "datum_present"
    REFERENCE_SCRIPT_PRESENT = "reference_script_present"
    WRONG_SCRIPT = "wrong_script"
    BAD_SIGNATURE = "bad_signature"


@dataclass(frozen=True, slots=True)
class SettlementTerms:
    """What a verdict says an escrow pays; amounts in the token's base unit.

    The provider gets its tokens with the least ADA an output may hold; the requester gets all
    the rest, less the fee. With a provider amount of 0 the provider has no output.
    """

    escrow_ref: TxInput
    escrow: EscrowTerms
    asset: AssetId
    provider_address: Address
    provider_amount: int
    requester_address: Address
    requester_amount: int

    def provider_output(self, params: FeeParams = PROTOCOL) -> TxOutput | None:
        """Return the output that pays the provider, None when it gets nothing."""
        if not self.provider_amount:
            return None
        return smallest_output(self.provider_address, {self.asset: self.provider_amount}, params)


def check_settlement(
    raw: bytes, terms: SettlementTerms, params: FeeParams | None = PROTOCOL
) -> Transaction:
    """Return the payout, read, when it is exactly what the terms say.

    Without `params`, of a chain or a time whose parameters are not known, the ADA that goes with
    the provider's tokens is held to MAX_PROVIDER_LOVELACE instead; the tokens never differ.
    Raises VerificationError whose code is a SettlementRefusal. That the escrow's ADA is not lost
    follows from the bounds on fee and provider, and from the ledger's conservation.
    """
    transaction = read_transaction(raw)
    _check_shape(transaction, terms)
    _check_outputs(transaction.outputs, terms, params)
    if transaction.native_scripts != (terms.escrow.script,):
        raise _refused(SettlementRefusal.WRONG_SCRIPT, "it does not carry the escrow's script")
    if transaction.invalid_witnesses():
        raise _refused(SettlementRefusal.BAD_SIGNATURE, "a signature in it does not hold")
    return transaction


def _check_shape(transaction: Transaction, terms: SettlementTerms) -> None:
    """Refuse everything that a payout has no use for."""
    refusal = SettlementRefusal
    rules = (
        (transaction.claims_valid, refusal.PHASE2_INVALID, "it claims to be invalid"),
        (not transaction.unsupported, refusal.UNSUPPORTED, "it holds more than a payout needs"),
        (
            transaction.network_id in (None, terms.escrow.network_id),
            refusal.WRONG_NETWORK,
            "it is for another network",
        ),
        (
            transaction.inputs == (terms.escrow_ref,),
            refusal.WRONG_INPUTS,
            f"it does not spend {terms.escrow_ref} alone",
        ),
        (not transaction.mint, refusal.MINTS, "it mints"),
        (
            transaction.metadata_hash is None and transaction.metadata_raw is None,
            refusal.HAS_METADATA,
            "it carries metadata",
        ),
        (
            transaction.ttl is None and transaction.valid_from is None,
            refusal.HAS_VALIDITY,
            "it is not valid at all times",
        ),
        (not transaction.required_signers, refusal.HAS_REQUIRED_SIGNERS, "it names signers"),
        (
            transaction.fee <= MAX_SETTLEMENT_FEE,
            refusal.FEE_TOO_HIGH,
            f"its fee is {transaction.fee} lovelace, at most {MAX_SETTLEMENT_FEE} are paid",
        ),
    )
    for holds, code, why in rules:
        if not holds:
            raise _refused(code, why)


def _check_outputs(
    outputs: tuple[TxOutput, ...], terms: SettlementTerms, params: FeeParams | None
) -> None:
    due = terms.provider_output(params or PROTOCOL)
    if len(outputs) != (1 if due is None else 2):
        raise _refused(SettlementRefusal.WRONG_OUTPUTS, f"it has {len(outputs)} outputs")
    for output in outputs:
        if output.has_datum:
            raise _refused(SettlementRefusal.DATUM_PRESENT, "an output has a datum")
        if output.has_script_ref:
            raise _refused(SettlementRefusal.REFERENCE_SCRIPT_PRESENT, "an output has a script")
    if due is not None:
        _check_provider(outputs[0], due, is_exact=params is not None)
    rest = outputs[-1]
    if rest.address != terms.requester_address.raw:
        raise _refused(SettlementRefusal.WRONG_REQUESTER, "it does not pay the rest back")
    back = ((terms.asset, terms.requester_amount),) if terms.requester_amount else ()
    if rest.value.assets != back:
        raise _refused(
            SettlementRefusal.WRONG_REQUESTER_AMOUNT,
            f"it pays the requester {rest.value.quantity(terms.asset)} or other tokens, the "
            f"verdict says {terms.requester_amount}",
        )


def _check_provider(output: TxOutput, due: TxOutput, *, is_exact: bool) -> None:
    if output.address != due.address:
        raise _refused(SettlementRefusal.WRONG_PROVIDER, "it does not pay the provider's wallet")
    lovelace = output.value.lovelace
    is_due = lovelace == due.value.lovelace if is_exact else lovelace <= MAX_PROVIDER_LOVELACE
    if output.value.assets != due.value.assets or not is_due:
        raise _refused(
            SettlementRefusal.WRONG_PROVIDER_AMOUNT,
            f"it pays the provider {output.value}, the verdict says {due.value}",
        )


def _refused(code: SettlementRefusal, why: str) -> VerificationError:
    return VerificationError(code.value, f"cannot sign the settlement: {why}")
