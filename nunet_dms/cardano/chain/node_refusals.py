"""What a node calls the rules that it refuses a transaction by, and what we call them.

Koios and Blockfrost pass the node's own words on (cardano-submit-api: the names of the ledger's
predicate failures, such as BadInputsUTxO), Ogmios numbers them (31xx).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nunet_dms.cardano.chain.backend import ChainBackend
from nunet_dms.cardano.chain.ledger import LedgerRule
from nunet_dms.cardano.transaction import Transaction, TxInput
from nunet_dms.errors import RefusedError, UnreachableError

REFUSED_BY_CHAIN = "refused_by_chain"
"""The code of a refusal whose rule the backend does not name."""
SAID_MAX_CHARS = 300
"""Of a node's words in our message; they may run to pages."""
INPUTS_LOOKED_AT = 5
"""Of a refused transaction's inputs: enough to tell a conflict from a repetition."""


@dataclass(frozen=True, slots=True)
class NodeRefusal:
    """One rule: our name, the ledger's names of its failures, and Ogmios's codes."""

    rule: LedgerRule
    names: tuple[str, ...]
    codes: tuple[int, ...]


# Causes before their consequences: a node names several failures of one transaction at once, and
# one whose input is gone does not balance either.
NODE_REFUSALS = (
    NodeRefusal(
        LedgerRule.MALFORMED, ("DecoderErrorDeserialiseFailure", "DeserialiseFailure"), (-32602,)
    ),
    NodeRefusal(LedgerRule.TOO_LARGE, ("MaxTxSizeUTxO",), (3119,)),
    NodeRefusal(LedgerRule.NO_INPUT, ("InputSetEmptyUTxO",), (3121,)),
    NodeRefusal(LedgerRule.UNKNOWN_INPUT, ("BadInputsUTxO",), (3117,)),
    NodeRefusal(LedgerRule.MEMPOOL_CONFLICT, ("ConwayMempoolFailure",), (3997,)),
    NodeRefusal(LedgerRule.EXPIRED, ("OutsideValidityIntervalUTxO",), (3118,)),
    NodeRefusal(LedgerRule.WRONG_OUTPUT_NETWORK, ("WrongNetwork",), (3124,)),
    NodeRefusal(LedgerRule.WRONG_BODY_NETWORK, ("WrongNetworkInTxBody",), (3124,)),
    NodeRefusal(LedgerRule.OUTPUT_TOO_LARGE, ("OutputTooBigUTxO",), (3120,)),
    NodeRefusal(
        LedgerRule.OUTPUT_BELOW_MINIMUM,
        ("BabbageOutputTooSmallUTxO", "OutputTooSmallUTxO"),
        (3125,),
    ),
    NodeRefusal(LedgerRule.FEE_TOO_SMALL, ("FeeTooSmallUTxO",), (3122,)),
    NodeRefusal(LedgerRule.VALUE_NOT_CONSERVED, ("ValueNotConservedUTxO",), (3123,)),
    NodeRefusal(
        LedgerRule.METADATA_HASH_MISMATCH,
        ("ConflictingMetadataHash", "MissingTxBodyMetadataHash", "MissingTxMetadata"),
        (3107, 3105, 3106),
    ),
    NodeRefusal(LedgerRule.SCRIPT_MISSING, ("MissingScriptWitnessesUTXOW",), (3102,)),
    NodeRefusal(LedgerRule.SCRIPT_NOT_NEEDED, ("ExtraneousScriptWitnessesUTXOW",), (3104,)),
    NodeRefusal(LedgerRule.SCRIPT_NOT_SATISFIED, ("ScriptWitnessNotValidatingUTXOW",), (3103,)),
    NodeRefusal(LedgerRule.MISSING_WITNESS, ("MissingVKeyWitnessesUTXOW",), (3101,)),
    NodeRefusal(LedgerRule.INVALID_SIGNATURE, ("InvalidWitnessesUTXOW",), (3100,)),
    NodeRefusal(LedgerRule.CLAIMS_INVALID, ("ValidationTagMismatch",), (3136,)),
)

_ABOUT_INPUTS = frozenset({LedgerRule.UNKNOWN_INPUT, LedgerRule.MEMPOOL_CONFLICT})
_NODE_SEES = {
    rule.value: as_what.value
    for rule, as_what in (
        (LedgerRule.SPENT_INPUT, LedgerRule.UNKNOWN_INPUT),
        (LedgerRule.MEMPOOL_CONFLICT, LedgerRule.UNKNOWN_INPUT),
        (LedgerRule.DUPLICATE_INPUT, LedgerRule.MALFORMED),
        (LedgerRule.NOT_YET_VALID, LedgerRule.EXPIRED),
        (LedgerRule.MINT_SCRIPT_MISSING, LedgerRule.SCRIPT_MISSING),
        (LedgerRule.MINT_SCRIPT_NOT_SATISFIED, LedgerRule.SCRIPT_NOT_SATISFIED),
    )
}
"""What a node does not tell apart: an output that is gone is to it as one that never was."""
_UNEXPECTED = 3997
"""Ogmios: the transaction could not be added to the mempool, for a reason in words."""
_ALREADY_INCLUDED = "All inputs are spent"
"""A node's answer to a transaction none of whose inputs is left: included, or overtaken."""


def rule_in_words(text: str) -> LedgerRule | None:
    """Return the first rule that a node's words name, causes first; None if they name none."""
    if _ALREADY_INCLUDED in text:
        return LedgerRule.MEMPOOL_CONFLICT
    words = frozenset(re.findall(r"[A-Za-z]+", text))
    found = (each.rule for each in NODE_REFUSALS if not words.isdisjoint(each.names))
    return next(found, None)


def rule_of_code(code: int) -> LedgerRule | None:
    """Return the rule that an Ogmios error code stands for; None for others."""
    return next((each.rule for each in NODE_REFUSALS if code in each.codes), None)


def words_of(code: str) -> str:
    """Return what a node calls a refusal of ours, by its code; for those who play a node."""
    found = _refusal_of(code)
    return found.names[0] if found else "MempoolFailure"


def number_of(code: str) -> int:
    """Return Ogmios's number for a refusal of ours, by its code; for those who play Ogmios."""
    found = _refusal_of(code)
    return found.codes[0] if found else _UNEXPECTED


def _refusal_of(code: str) -> NodeRefusal | None:
    code = _NODE_SEES.get(code, code)
    return next((each for each in NODE_REFUSALS if each.rule.value == code), None)


def judge_refusal(
    chain: ChainBackend, transaction: Transaction, said: str, rule: LedgerRule | None
) -> bytes:
    """Return the id of a transaction that a node refused but the chain has all the same.

    A node refuses what it already has just as what another transaction has overtaken. Raises
    RefusedError with the rule where the refusal is final, and UnreachableError where it is not
    known yet: the inputs are unspent as of the last block, so that the very transaction may be
    waiting for the next one.
    """
    if rule in _ABOUT_INPUTS:
        rule = _state_of_inputs(chain, transaction.inputs[:INPUTS_LOOKED_AT])
        # Asked after the inputs: had a block just taken it, the chain has it now.
        if chain.transaction(transaction.tx_id) is not None:
            return transaction.tx_id
        if rule is LedgerRule.MEMPOOL_CONFLICT:
            raise UnreachableError(
                f"cannot tell whether transaction {transaction.tx_id.hex()} was taken: it, or one "
                "that conflicts with it, waits for a block",
                hint="ask again after the next block",
            )
    if rule is LedgerRule.EXPIRED and _is_early(chain, transaction):
        rule = LedgerRule.NOT_YET_VALID
    code = REFUSED_BY_CHAIN if rule is None else rule.value
    raise RefusedError(code, f"cannot take the transaction: {said.strip():.{SAID_MAX_CHARS}}")


def _state_of_inputs(chain: ChainBackend, refs: tuple[TxInput, ...]) -> LedgerRule:
    if any(chain.is_spent(ref) for ref in refs):
        return LedgerRule.SPENT_INPUT
    if all(chain.utxo(ref) is not None for ref in refs):
        return LedgerRule.MEMPOOL_CONFLICT
    return LedgerRule.UNKNOWN_INPUT


def _is_early(chain: ChainBackend, transaction: Transaction) -> bool:
    return transaction.valid_from is not None and chain.tip().slot < transaction.valid_from
