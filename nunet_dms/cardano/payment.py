"""Verify that a payment is for this job, to this escrow, of this price, on this network.

`check_payment` judges the bytes alone; `check_inclusion` judges what a chain backend says of
them, which is believed only about block, tip, phase-2 validity and spent state.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.escrow import EscrowTerms, commitment_for
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.metadata import METADATA_LABEL, METADATA_VERSION
from nunet_dms.cardano.network import Network
from nunet_dms.cardano.output import BYRON, TxOutput
from nunet_dms.cardano.settlement import SettlementRefusal, SettlementTerms, check_settlement
from nunet_dms.cardano.transaction import Transaction, read_transaction
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.errors import VerificationError

__all__ = [
    "Inclusion",
    "PaymentRefusal",
    "PaymentTerms",
    "SettlementRefusal",
    "SettlementTerms",
    "VerifiedPayment",
    "check_inclusion",
    "check_payment",
    "check_settlement",
    "verify_payment",
]

JOB_HASH_BYTES = 32


class PaymentRefusal(str, Enum):
    """Why a payment is refused; one code for each rule."""

    MALFORMED = "malformed"
    WRONG_TERMS = "wrong_terms"
    WRONG_ID = "wrong_id"
    WRONG_NETWORK = "wrong_network"
    PHASE2_INVALID = "phase2_invalid"
    NO_WITNESS = "no_witness"
    BAD_SIGNATURE = "bad_signature"
    METADATA_HASH_MISMATCH = "metadata_hash_mismatch"
    METADATA_MISSING = "metadata_missing"
    METADATA_UNKNOWN = "metadata_unknown"
    WRONG_JOB = "wrong_job"
    NO_ESCROW_OUTPUT = "no_escrow_output"
    SEVERAL_ESCROW_OUTPUTS = "several_escrow_outputs"
    DATUM_PRESENT = "datum_present"
    REFERENCE_SCRIPT_PRESENT = "reference_script_present"
    WRONG_POLICY = "wrong_policy"
    WRONG_NAME = "wrong_name"
    FOREIGN_TOKENS = "foreign_tokens"
    UNDERPAID = "underpaid"
    ESCROW_ADA_LOW = "escrow_ada_low"
    NOT_ON_CHAIN = "not_on_chain"
    EXPIRED_TTL = "expired_ttl"
    DIFFERENT_BYTES = "different_bytes"
    TOO_FEW_CONFIRMATIONS = "too_few_confirmations"
    ESCROW_SPENT = "escrow_spent"
    DEADLINE_TOO_NEAR = "deadline_too_near"
    ALREADY_USED = "already_used"
    """For the Oracle, whose database alone knows."""


@dataclass(frozen=True, slots=True)
class PaymentTerms:
    """What a payment must say; the price is in the token's base unit.

    Raises VerificationError when the escrow is of another job or network than the rest.
    """

    asset: AssetId
    price: int
    job_hash: bytes
    escrow: EscrowTerms
    min_lovelace: int
    network: Network
    slots_needed: int = 0
    """Slots (seconds) that the job's time limit and its settlement need before the deadline."""

    def __post_init__(self) -> None:
        """Refuse terms that contradict themselves."""
        if len(self.job_hash) != JOB_HASH_BYTES or self.price <= 0:
            raise _refused(PaymentRefusal.WRONG_TERMS, "the price or the job hash makes no sense")
        if self.escrow.commitment != commitment_for(self.job_hash):
            raise _refused(PaymentRefusal.WRONG_JOB, "the escrow commits to another job")
        if self.escrow.network_id != self.network.network_id:
            raise _refused(PaymentRefusal.WRONG_NETWORK, "the escrow is on another network")


@dataclass(frozen=True, slots=True)
class VerifiedPayment:
    """A payment that holds, and the output that a settlement will spend."""

    tx_id: bytes
    output_index: int
    amount: int
    """Of the token, in base units; at least the price."""
    lovelace: int
    escrow_address: Address


@dataclass(frozen=True, slots=True)
class Inclusion:
    """What a chain backend says about a payment."""

    raw: bytes | None
    """The transaction as the chain has it, None when it has not."""
    height: int
    """Of its block; without meaning when `raw` is None."""
    valid: bool
    """Whether it passed phase 2 (scripts)."""
    escrow_spent: bool
    tip_height: int
    tip_slot: int


def check_payment(
    raw: bytes, terms: PaymentTerms, expected_id: bytes | None = None
) -> VerifiedPayment:
    """Return the payment when its bytes alone fulfil the terms.

    Raises VerificationError whose code is a PaymentRefusal: the first rule that does not hold.
    """
    transaction = read_transaction(raw)
    if expected_id is not None and transaction.tx_id != expected_id:
        raise _refused(PaymentRefusal.WRONG_ID, f"its id is {transaction.tx_id.hex()}")
    _check_network(transaction, terms.network)
    if not transaction.claims_valid:
        raise _refused(PaymentRefusal.PHASE2_INVALID, "it says of itself that it is invalid")
    if not transaction.is_signed:
        raise _refused(PaymentRefusal.NO_WITNESS, "nobody signed it")
    if transaction.invalid_witnesses():
        raise _refused(PaymentRefusal.BAD_SIGNATURE, "a signature does not hold")
    _check_metadata(transaction, terms.job_hash)
    address = terms.escrow.address
    index, output = _escrow_output(transaction, address)
    _check_amounts(output.value, terms)
    return VerifiedPayment(
        tx_id=transaction.tx_id,
        output_index=index,
        amount=output.value.quantity(terms.asset),
        lovelace=output.value.lovelace,
        escrow_address=address,
    )


def check_inclusion(raw: bytes, inclusion: Inclusion, terms: PaymentTerms) -> None:
    """Check that the chain has these bytes, deep enough, unspent, in time for the job.

    Raises VerificationError whose code is a PaymentRefusal. A payment in the newest block has
    one confirmation.
    """
    if inclusion.raw is None:
        ttl = read_transaction(raw).ttl
        if ttl is not None and inclusion.tip_slot >= ttl:
            raise _refused(PaymentRefusal.EXPIRED_TTL, f"it had to be on the chain by slot {ttl}")
        raise _refused(PaymentRefusal.NOT_ON_CHAIN, "the chain does not have it (yet)")
    confirmations = inclusion.tip_height - inclusion.height + 1
    deadline = terms.escrow.deadline_slot
    rules = (
        (
            _is_same(raw, inclusion.raw),
            PaymentRefusal.DIFFERENT_BYTES,
            "the chain has other bytes",
        ),
        (inclusion.valid, PaymentRefusal.PHASE2_INVALID, "the chain has it as invalid"),
        (
            confirmations >= terms.network.confirmations,
            PaymentRefusal.TOO_FEW_CONFIRMATIONS,
            f"it has {confirmations} of {terms.network.confirmations} confirmations",
        ),
        (not inclusion.escrow_spent, PaymentRefusal.ESCROW_SPENT, "its escrow is spent"),
        (
            deadline >= inclusion.tip_slot + terms.slots_needed,
            PaymentRefusal.DEADLINE_TOO_NEAR,
            f"the escrow's deadline is slot {deadline}, the job needs {terms.slots_needed} slots "
            f"from {inclusion.tip_slot}",
        ),
    )
    for holds, code, why in rules:
        if not holds:
            raise _refused(code, why)


def verify_payment(raw: bytes, terms: PaymentTerms, inclusion: Inclusion) -> VerifiedPayment:
    """Return the payment when its bytes and the chain both fulfil the terms.

    Raises VerificationError whose code is a PaymentRefusal.
    """
    payment = check_payment(raw, terms)
    check_inclusion(raw, inclusion, terms)
    return payment


def _is_same(raw: bytes, on_chain: bytes) -> bool:
    """Return whether both say the same; who else signed is not covered by the id, and may differ.

    Anybody can add a signature on the way to a block, which must not cost the payer the job.
    """
    if raw == on_chain:
        return True
    ours, theirs = read_transaction(raw), read_transaction(on_chain)
    return (ours.body, ours.metadata_raw) == (theirs.body, theirs.metadata_raw)


def _check_network(transaction: Transaction, network: Network) -> None:
    if transaction.network_id not in (None, network.network_id):
        raise _refused(PaymentRefusal.WRONG_NETWORK, f"its network id is {transaction.network_id}")
    for output in transaction.outputs:
        if output.address_type != BYRON and output.address[0] & 0x0F != network.network_id:
            raise _refused(PaymentRefusal.WRONG_NETWORK, "an output is on another network")


def _check_metadata(transaction: Transaction, job_hash: bytes) -> None:
    raw, digest = transaction.metadata_raw, transaction.metadata_hash
    if raw is None and digest is None:
        raise _refused(PaymentRefusal.METADATA_MISSING, "it has no metadata")
    if raw is None or digest is None or blake2b_256(raw) != digest:
        raise _refused(PaymentRefusal.METADATA_HASH_MISMATCH, "its metadata is not what was signed")
    if METADATA_LABEL not in transaction.metadata:
        raise _refused(PaymentRefusal.METADATA_MISSING, f"it has no label {METADATA_LABEL}")
    note = transaction.metadata[METADATA_LABEL]
    if not isinstance(note, dict) or note.get("v") != METADATA_VERSION or "job" not in note:
        raise _refused(PaymentRefusal.METADATA_UNKNOWN, "its metadata has an unknown form")
    if note["job"] != job_hash:
        raise _refused(PaymentRefusal.WRONG_JOB, "it is for another job")


def _escrow_output(transaction: Transaction, address: Address) -> tuple[int, TxOutput]:
    raw = address.raw
    found = [item for item in enumerate(transaction.outputs) if item[1].address == raw]
    if not found:
        raise _refused(PaymentRefusal.NO_ESCROW_OUTPUT, f"it pays nothing to {address}")
    if len(found) > 1:
        raise _refused(PaymentRefusal.SEVERAL_ESCROW_OUTPUTS, "it pays to the escrow twice")
    index, output = found[0]
    if output.has_datum:
        raise _refused(PaymentRefusal.DATUM_PRESENT, "the escrow's output has a datum")
    if output.has_script_ref:
        raise _refused(PaymentRefusal.REFERENCE_SCRIPT_PRESENT, "the escrow's output has a script")
    return index, output


def _check_amounts(value: Value, terms: PaymentTerms) -> None:
    paid = value.quantity(terms.asset)
    foreign = [asset for asset, _ in value.assets if asset != terms.asset]
    if foreign and paid:
        raise _refused(PaymentRefusal.FOREIGN_TOKENS, f"the escrow also holds {foreign[0]}")
    if foreign:
        raise _other_token(foreign, terms.asset)
    if paid < terms.price:
        raise _refused(PaymentRefusal.UNDERPAID, f"it pays {paid}, the price is {terms.price}")
    if value.lovelace < terms.min_lovelace:
        raise _refused(
            PaymentRefusal.ESCROW_ADA_LOW,
            f"the escrow holds {value.lovelace} lovelace, its settlement needs "
            f"{terms.min_lovelace}",
        )


def _other_token(foreign: list[AssetId], wanted: AssetId) -> VerificationError:
    """Return the refusal of an escrow that holds none of the token, but another."""
    if any(asset.name == wanted.name for asset in foreign):
        return _refused(PaymentRefusal.WRONG_POLICY, "the token has our name, another policy")
    if any(asset.policy == wanted.policy for asset in foreign):
        return _refused(PaymentRefusal.WRONG_NAME, "the token has our policy, another name")
    return _refused(PaymentRefusal.FOREIGN_TOKENS, f"the escrow holds {foreign[0]} only")


def _refused(code: PaymentRefusal, why: str) -> VerificationError:
    return VerificationError(code.value, f"cannot accept the payment: {why}")
