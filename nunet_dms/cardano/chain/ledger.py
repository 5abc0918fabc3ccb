"""The ledger's phase-1 rules, for the transactions that pay for jobs (Shelley to Conway).

Pure: a transaction and what the ledger knows go in, nothing or one refusal comes out. What we do
not judge (certificates, withdrawals, Byron) is refused, never let pass; Plutus is for `scripts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from nunet_dms.cardano.address import Address, address_from_bytes
from nunet_dms.cardano.cbor import encode
from nunet_dms.cardano.data import data_from_bytes
from nunet_dms.cardano.fees import PROTOCOL, FeeParams, min_fee, min_lovelace
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.output import TxOutput, assets_to_cbor, value_to_cbor
from nunet_dms.cardano.plutus import PLUTUS_PARTS
from nunet_dms.cardano.script import evaluate, script_hash
from nunet_dms.cardano.transaction import Transaction, TxInput, read_transaction
from nunet_dms.cardano.value import Value, total
from nunet_dms.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from nunet_dms.cardano.chain.scripts import PlutusUse

MAX_AMOUNT = 2**63 - 1
"""Base units; the ledger lets one output hold up to 2**64 - 1, SQLite's integers end here."""
UNCOUNTED_BYTES = 16
"""Bytes of an envelope that do not count as the transaction's size: its head and `is_valid`."""


class LedgerRule(str, Enum):
    """Why a transaction is refused; the value is the refusal's code."""

    MALFORMED = "malformed"
    UNSUPPORTED = "unsupported"
    TOO_LARGE = "too_large"
    CLAIMS_INVALID = "claims_invalid"
    NO_INPUT = "no_input"
    DUPLICATE_INPUT = "duplicate_input"
    UNKNOWN_INPUT = "unknown_input"
    SPENT_INPUT = "spent_input"
    MEMPOOL_CONFLICT = "mempool_conflict"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    WRONG_BODY_NETWORK = "wrong_body_network"
    WRONG_OUTPUT_NETWORK = "wrong_output_network"
    AMOUNT_OUT_OF_RANGE = "amount_out_of_range"
    OUTPUT_TOO_LARGE = "output_too_large"
    OUTPUT_BELOW_MINIMUM = "output_below_minimum"
    METADATA_HASH_MISMATCH = "metadata_hash_mismatch"
    FEE_TOO_SMALL = "fee_too_small"
    VALUE_NOT_CONSERVED = "value_not_conserved"
    SCRIPT_MISSING = "script_missing"
    MINT_SCRIPT_MISSING = "mint_script_missing"
    SCRIPT_NOT_NEEDED = "script_not_needed"
    SCRIPT_NOT_SATISFIED = "script_not_satisfied"
    MINT_SCRIPT_NOT_SATISFIED = "mint_script_not_satisfied"
    MISSING_WITNESS = "missing_witness"
    INVALID_SIGNATURE = "invalid_signature"


class OutputState(Enum):
    """What became of an output that exists."""

    UNSPENT = "unspent"
    SPENT = "spent"
    SPENT_IN_MEMPOOL = "spent_in_mempool"


@dataclass(frozen=True, slots=True)
class KnownOutput:
    """An output that exists, in a block or in the mempool."""

    output: TxOutput
    state: OutputState


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What the rules need to know: the slot, the network, and the outputs that inputs name.

    `known` has those of collateral inputs too.
    """

    slot: int
    network_id: int
    known: Mapping[TxInput, KnownOutput]
    parameters: FeeParams = PROTOCOL
    zero_time_ms: int = 0
    """Unix milliseconds of slot 0, which scripts are told times by."""


def read_bounded(raw: bytes, parameters: FeeParams = PROTOCOL) -> Transaction:
    """Read a transaction that a stranger hands in; raises RefusedError (too_large, malformed)."""
    _check_size(len(raw) - UNCOUNTED_BYTES, parameters)
    try:
        return read_transaction(raw)
    except MalformedError as error:
        raise RefusedError(LedgerRule.MALFORMED.value, str(error), where=error.where) from error


def check_transaction(transaction: Transaction, state: LedgerState) -> None:
    """Return if the ledger would take the transaction at this slot; cheap rules come first.

    Raises RefusedError with a LedgerRule's value as code.
    """
    _check_size(transaction.counted_size, state.parameters)
    _check_supported(transaction)
    use = _plutus_in(transaction)
    made = transaction.outputs + (use.extra_outputs if use else ())
    _check_carried(made)
    check_interval(transaction, state.slot)
    spent = _resolve_inputs(transaction.inputs, state.known)
    at_stake = _resolve_inputs(use.parts.collateral, state.known) if use else ()
    _check_networks(transaction.network_id, made, state.network_id)
    _check_outputs(made, state.parameters)
    _check_metadata(transaction)
    least_fee = min_fee(transaction.counted_size, state.parameters) + (use.price if use else 0)
    _check_balance(transaction, spent, least_fee)
    owners = tuple(address_from_bytes(output.address) for output in spent)
    _check_scripts(transaction, owners, frozenset(use.scripts if use else ()))
    if use:
        use.check(transaction, spent, at_stake, state)
    _check_witnesses(transaction, owners + tuple(address_from_bytes(o.address) for o in at_stake))
    if use:
        use.run(transaction, spent, state)


def check_interval(transaction: Transaction, slot: int) -> None:
    """Return if the slot lies in [valid_from, ttl); raises RefusedError (Allegra's interval)."""
    if transaction.valid_from is not None and slot < transaction.valid_from:
        raise _refusal(
            LedgerRule.NOT_YET_VALID,
            f"it is valid from slot {transaction.valid_from}, now is slot {slot}",
        )
    if transaction.ttl is not None and slot >= transaction.ttl:
        raise _refusal(
            LedgerRule.EXPIRED,
            f"it was valid before slot {transaction.ttl} only, now is slot {slot}",
        )


def _check_size(size: int, parameters: FeeParams) -> None:
    if size > parameters.max_tx_size:
        raise _refusal(
            LedgerRule.TOO_LARGE, f"it has {size} bytes, at most {parameters.max_tx_size} may be"
        )


def _check_supported(transaction: Transaction) -> None:
    unjudged = set(transaction.unsupported) - PLUTUS_PARTS
    if unjudged:
        raise _refusal(LedgerRule.UNSUPPORTED, f"it uses {', '.join(sorted(unjudged))}")
    if not transaction.claims_valid:
        raise _refusal(LedgerRule.CLAIMS_INVALID, "it says of itself that its scripts fail")
    if not transaction.inputs:
        raise _refusal(LedgerRule.NO_INPUT, "it spends nothing")
    if len(set(transaction.inputs)) != len(transaction.inputs):
        raise _refusal(LedgerRule.DUPLICATE_INPUT, "it names an input twice")


def _plutus_in(transaction: Transaction) -> PlutusUse | None:
    """Return what the transaction has of Plutus; its rules are loaded when there is something."""
    if PLUTUS_PARTS.isdisjoint(transaction.unsupported):
        return None
    from nunet_dms.cardano.chain.scripts import read_use  # noqa: PLC0415 - payments have none

    return read_use(transaction)


def _check_carried(made: tuple[TxOutput, ...]) -> None:
    for index, output in enumerate(made):
        if output.has_script_ref or (output.has_datum and output.datum is None):
            kind = "a reference script" if output.has_script_ref else "a datum's hash"
            raise _refusal(LedgerRule.UNSUPPORTED, f"output {index} carries {kind}")
        if output.datum is not None:
            try:
                data_from_bytes(output.datum)
            except MalformedError as error:
                raise _refusal(LedgerRule.MALFORMED, f"datum of output {index}: {error}") from error


def _resolve_inputs(
    inputs: tuple[TxInput, ...], known: Mapping[TxInput, KnownOutput]
) -> tuple[TxOutput, ...]:
    return tuple(_spendable(ref, known.get(ref)) for ref in inputs)


def _spendable(ref: TxInput, found: KnownOutput | None) -> TxOutput:
    if found is None:
        raise _refusal(LedgerRule.UNKNOWN_INPUT, f"there is no output {ref}")
    if found.state is OutputState.SPENT:
        raise _refusal(LedgerRule.SPENT_INPUT, f"output {ref} is spent")
    if found.state is OutputState.SPENT_IN_MEMPOOL:
        raise _refusal(
            LedgerRule.MEMPOOL_CONFLICT, f"a waiting transaction already spends output {ref}"
        )
    return found.output


def _check_networks(named_id: int | None, made: tuple[TxOutput, ...], network_id: int) -> None:
    if named_id not in (None, network_id):
        raise _refusal(
            LedgerRule.WRONG_BODY_NETWORK, f"it is for network id {named_id}, not {network_id}"
        )
    for index, output in enumerate(made):
        if _is_shelley(output.address) and output.address[0] & 0x0F != network_id:
            raise _refusal(
                LedgerRule.WRONG_OUTPUT_NETWORK, f"output {index} pays to another network"
            )
        try:
            address_from_bytes(output.address)
        except MalformedError as error:
            raise _refusal(LedgerRule.UNSUPPORTED, f"output {index}: {error}") from error


def _is_shelley(address: bytes) -> bool:
    """Whether the low half of the first byte is a network id: header types 0 to 7 (CIP-19)."""
    return bool(address) and address[0] < 0x80


def _check_outputs(made: tuple[TxOutput, ...], parameters: FeeParams) -> None:
    for index, output in enumerate(made):
        amounts = (output.value.lovelace, *(amount for _, amount in output.value.assets))
        if not all(0 <= amount <= MAX_AMOUNT for amount in amounts):
            raise _refusal(
                LedgerRule.AMOUNT_OUT_OF_RANGE,
                f"output {index} holds an amount below 0 or above {MAX_AMOUNT}",
            )
        # An output's bytes hold its value's, so most need not be measured.
        if output.size > parameters.max_value_size:
            _check_value_size(index, output.value, parameters.max_value_size)
        least = min_lovelace(output, parameters)
        if output.value.lovelace < least:
            raise _refusal(
                LedgerRule.OUTPUT_BELOW_MINIMUM,
                f"output {index} holds {output.value.lovelace} lovelace, it needs {least}",
            )


def _check_value_size(index: int, value: Value, most: int) -> None:
    """Measure a value as the ledger writes it, whatever bytes it travelled in."""
    policies = assets_to_cbor(value.assets)
    # The ledger writes a map of 24 pairs or more without a length and with a break: two bytes,
    # where the canonical form takes three from 256 pairs on.
    long_maps = sum(len(names) > 255 for names in policies.values()) + (len(policies) > 255)
    size = len(encode(value_to_cbor(value))) - long_maps
    if size > most:
        raise _refusal(
            LedgerRule.OUTPUT_TOO_LARGE,
            f"what output {index} holds has {size} bytes, at most {most} may be",
        )


def _check_metadata(transaction: Transaction) -> None:
    raw = transaction.metadata_raw
    if transaction.metadata_hash != (None if raw is None else blake2b_256(raw)):
        raise _refusal(
            LedgerRule.METADATA_HASH_MISMATCH, "the hash of its metadata is not the one it signs"
        )


def _check_balance(transaction: Transaction, spent: tuple[TxOutput, ...], least: int) -> None:
    if transaction.fee < least:
        raise _refusal(
            LedgerRule.FEE_TOO_SMALL, f"its fee is {transaction.fee} lovelace, it needs {least}"
        )
    consumed = total(tuple(output.value for output in spent)) + Value(0, transaction.mint)
    produced = total(tuple(output.value for output in transaction.outputs))
    surplus = consumed - produced - Value(transaction.fee)
    if surplus != Value(0):
        raise _refusal(
            LedgerRule.VALUE_NOT_CONSERVED, f"inputs and mint exceed outputs and fee by {surplus}"
        )


def _check_scripts(
    transaction: Transaction, owners: tuple[Address, ...], plutus: frozenset[bytes]
) -> None:
    """Check that each script is there that is needed, no other, and that native ones agree."""
    given = {script_hash(raw): raw for raw in transaction.native_scripts}
    spending = {owner.payment_hash for owner in owners if owner.payment_is_script}
    minting = {asset.policy for asset, _ in transaction.mint}
    signers = transaction.signers
    for needed, rule in (
        (spending, LedgerRule.SCRIPT_MISSING),
        (minting, LedgerRule.MINT_SCRIPT_MISSING),
    ):
        for digest in sorted(needed - given.keys() - plutus):
            raise _refusal(rule, f"it does not carry script {digest.hex()}")
    for digest in sorted((given.keys() | plutus) - spending - minting):
        raise _refusal(LedgerRule.SCRIPT_NOT_NEEDED, f"nothing in it needs script {digest.hex()}")
    for digest, raw in given.items():
        if not evaluate(raw, signers, transaction.valid_from, transaction.ttl):
            rule = (
                LedgerRule.SCRIPT_NOT_SATISFIED
                if digest in spending
                else LedgerRule.MINT_SCRIPT_NOT_SATISFIED
            )
            raise _refusal(rule, f"script {digest.hex()} does not let these signers pass now")


def _check_witnesses(transaction: Transaction, owners: tuple[Address, ...]) -> None:
    needed = {owner.payment_hash for owner in owners if not owner.payment_is_script}
    for digest in sorted((needed | {*transaction.required_signers}) - transaction.signers):
        raise _refusal(LedgerRule.MISSING_WITNESS, f"key {digest.hex()} has not signed")
    for witness in transaction.invalid_witnesses():
        raise _refusal(
            LedgerRule.INVALID_SIGNATURE,
            f"the signature of key {witness.key_hash.hex()} is not of this transaction",
        )


def _refusal(rule: LedgerRule, why: str) -> RefusedError:
    return RefusedError(rule.value, f"cannot take the transaction: {why}")
