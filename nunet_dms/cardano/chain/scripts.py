"""The ledger's rules for transactions with Plutus V3 scripts, both phases.

Judged are spending from scripts and minting, with scripts in the witness set and datums in the
outputs. What a script decides is found out by running it, which needs the extra `plutus`; without
it every such transaction is refused. So is one whose scripts fail, though a real chain would take
its collateral.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import Enum
from types import ModuleType

from nunet_dms.cardano.address import address_from_bytes
from nunet_dms.cardano.chain.context import ScriptView, script_context, transaction_info
from nunet_dms.cardano.chain.ledger import LedgerRule, LedgerState
from nunet_dms.cardano.output import TxOutput
from nunet_dms.cardano.plutus import (
    PLUTUS,
    PLUTUS_PARTS,
    PlutusParts,
    Purpose,
    read_plutus,
    script_data_hash,
    script_hash_v3,
)
from nunet_dms.cardano.transaction import Transaction
from nunet_dms.cardano.value import total
from nunet_dms.errors import MalformedError, RefusedError

FORECAST_SLOTS = 129_600
"""How far ahead (36 h) a slot certainly has a time: three times k / f of mainnet."""
INSTALL_HINT = "pip install 'nunet-dms[plutus]'"


class PlutusRule(str, Enum):
    """Why a transaction with scripts is refused; the value is the refusal's code."""

    UNSUPPORTED = LedgerRule.UNSUPPORTED.value
    MALFORMED = LedgerRule.MALFORMED.value
    BEYOND_FORECAST = "beyond_forecast"
    SCRIPT_MALFORMED = "script_malformed"
    REDEEMER_MISSING = "redeemer_missing"
    REDEEMER_NOT_NEEDED = "redeemer_not_needed"
    SCRIPT_DATA_HASH_MISMATCH = "script_data_hash_mismatch"
    TOO_MANY_UNITS = "too_many_units"
    NO_COLLATERAL = "no_collateral"
    TOO_MANY_COLLATERAL_INPUTS = "too_many_collateral_inputs"
    COLLATERAL_OF_SCRIPT = "collateral_of_script"
    COLLATERAL_HAS_TOKENS = "collateral_has_tokens"
    COLLATERAL_TOO_SMALL = "collateral_too_small"
    WRONG_TOTAL_COLLATERAL = "wrong_total_collateral"
    SCRIPT_FAILED = "script_failed"

    def refusal(self, why: str, hint: str = "") -> RefusedError:
        """Return the refusal by this rule."""
        return RefusedError(self.value, f"cannot take the transaction: {why}", hint=hint)


@dataclass(frozen=True, slots=True)
class PlutusUse:
    """The Plutus parts of a transaction, in a form that the rules can judge."""

    parts: PlutusParts
    scripts: dict[bytes, bytes]
    """By their hashes."""

    @property
    def price(self) -> int:
        """Lovelace that the least fee grows by."""
        return PLUTUS.price(self.parts.units)

    @property
    def extra_outputs(self) -> tuple[TxOutput, ...]:
        """What would be made if the scripts failed, and so must be whole like any output."""
        returned = self.parts.collateral_return
        return () if returned is None else (returned,)

    def check(
        self,
        transaction: Transaction,
        spent: tuple[TxOutput, ...],
        at_stake: tuple[TxOutput, ...],
        state: LedgerState,
    ) -> None:
        """Return if the rules of phase 1 that come with Plutus hold.

        `spent` is what the inputs hold, `at_stake` what the collateral inputs do. Raises
        RefusedError.
        """
        _check_forecast(transaction, state.slot)
        _check_units(self.parts)
        _check_redeemers(self, _view(transaction, self, spent, state))
        _check_collateral(transaction.fee, self, at_stake)

    def run(
        self, transaction: Transaction, spent: tuple[TxOutput, ...], state: LedgerState
    ) -> None:
        """Return if every script lets the transaction pass within its budget: phase 2.

        Takes up to three seconds. Raises RefusedError (`script_failed`).
        """
        view = _view(transaction, self, spent, state)
        needed = _needed(view, self)
        info = transaction_info(view)
        evaluator = _evaluator()
        for redeemer in self.parts.redeemers:
            digest = needed[redeemer.purpose, redeemer.index]
            context = script_context(view, info, redeemer)
            try:
                evaluator.run_script(self.scripts[digest], context, redeemer.units)
            except evaluator.ScriptError as error:
                raise PlutusRule.SCRIPT_FAILED.refusal(
                    f"script {digest.hex()} does not let it pass: {error}"
                ) from error


def read_use(transaction: Transaction) -> PlutusUse:
    """Read what a transaction has of Plutus and check what needs no ledger.

    Raises RefusedError: `unsupported` (also without the extra), `malformed`, `script_malformed`.
    """
    try:
        parts = read_plutus(transaction)
    except MalformedError as error:
        raise PlutusRule.MALFORMED.refusal(str(error)) from error
    for has_it, what in ((parts.redeemers, "redeemer"), (parts.scripts, "Plutus V3 script")):
        if not has_it:
            named = ", ".join(sorted(PLUTUS_PARTS.intersection(transaction.unsupported)))
            raise PlutusRule.UNSUPPORTED.refusal(f"it uses {named}, and has no {what}")
    evaluator = _evaluator()
    for script in parts.scripts:
        try:
            evaluator.check_script(script)
        except MalformedError as error:
            raise PlutusRule.SCRIPT_MALFORMED.refusal(str(error)) from error
        unjudged = evaluator.unjudged_builtins(script)
        if unjudged:
            raise PlutusRule.UNSUPPORTED.refusal(
                f"a script calls {', '.join(unjudged)}, not judged here"
            )
    return PlutusUse(parts, {script_hash_v3(script): script for script in parts.scripts})


def _check_redeemers(use: PlutusUse, view: ScriptView) -> None:
    needed = _needed(view, use)
    given = {(redeemer.purpose, redeemer.index) for redeemer in use.parts.redeemers}
    for purpose, index in sorted(needed.keys() - given):
        raise PlutusRule.REDEEMER_MISSING.refusal(
            f"there is no redeemer to {purpose.name.lower()} {index}"
        )
    for purpose, index in sorted(given - needed.keys()):
        raise PlutusRule.REDEEMER_NOT_NEEDED.refusal(
            f"no script needs its redeemer to {purpose.name.lower()} {index}",
        )
    expected = script_data_hash(use.parts.redeemers_raw, _evaluator().v3_cost_model())
    if use.parts.script_data_hash != expected:
        raise PlutusRule.SCRIPT_DATA_HASH_MISMATCH.refusal(
            f"its script data hash is not {expected.hex()}",
        )


def _check_collateral(fee: int, use: PlutusUse, collateral: tuple[TxOutput, ...]) -> None:
    parts = use.parts
    if not parts.collateral:
        raise PlutusRule.NO_COLLATERAL.refusal("it puts up no collateral")
    if len(parts.collateral) > PLUTUS.max_collateral_inputs:
        raise PlutusRule.TOO_MANY_COLLATERAL_INPUTS.refusal(
            f"it has {len(parts.collateral)} collateral inputs, at most "
            f"{PLUTUS.max_collateral_inputs} may be",
        )
    if any(address_from_bytes(output.address).payment_is_script for output in collateral):
        raise PlutusRule.COLLATERAL_OF_SCRIPT.refusal(
            "its collateral belongs to a script, not to a key"
        )
    at_stake = total(tuple(output.value for output in collateral))
    for returned in use.extra_outputs:
        at_stake -= returned.value
    if at_stake.assets:
        raise PlutusRule.COLLATERAL_HAS_TOKENS.refusal(
            "its collateral holds tokens that it does not return"
        )
    if at_stake.lovelace * 100 < fee * PLUTUS.collateral_percent:
        raise PlutusRule.COLLATERAL_TOO_SMALL.refusal(
            f"its collateral is {at_stake.lovelace} lovelace, it needs "
            f"{PLUTUS.collateral_percent} % of the fee",
        )
    if parts.total_collateral not in (None, at_stake.lovelace):
        raise PlutusRule.WRONG_TOTAL_COLLATERAL.refusal(
            f"it says {parts.total_collateral} lovelace are at stake, they are {at_stake.lovelace}",
        )


def _evaluator() -> ModuleType:
    """Load what runs scripts; uplc takes a second and changes how many digits Python reads."""
    digits = getattr(sys, "get_int_max_str_digits", int)()  # Python 3.10.6 has no such limit
    try:
        from nunet_dms.cardano.chain import evaluator  # noqa: PLC0415 - an extra, and slow
    except ImportError as error:
        raise PlutusRule.UNSUPPORTED.refusal(
            "it uses Plutus, and the extra nunet-dms[plutus] is not installed", INSTALL_HINT
        ) from error
    finally:
        if digits:
            sys.set_int_max_str_digits(digits)
    return evaluator


def _view(
    transaction: Transaction, use: PlutusUse, spent: tuple[TxOutput, ...], state: LedgerState
) -> ScriptView:
    held = dict(zip(transaction.inputs, spent, strict=True))
    return ScriptView(transaction, held, use.parts.redeemers, state.zero_time_ms)


def _needed(view: ScriptView, use: PlutusUse) -> dict[tuple[Purpose, int], bytes]:
    """Return the hash of each Plutus script that must agree, by what its redeemer points at."""
    needed: dict[tuple[Purpose, int], bytes] = {}
    for index, ref in enumerate(view.inputs):
        owner = address_from_bytes(view.spent[ref].address)
        if owner.payment_is_script and owner.payment_hash in use.scripts:
            needed[Purpose.SPEND, index] = owner.payment_hash
    for index, policy in enumerate(view.policies):
        if policy in use.scripts:
            needed[Purpose.MINT, index] = policy
    return needed


def _check_forecast(transaction: Transaction, slot: int) -> None:
    if transaction.ttl is not None and transaction.ttl > slot + FORECAST_SLOTS:
        raise PlutusRule.BEYOND_FORECAST.refusal(
            f"its scripts would be told the time of slot {transaction.ttl}, which is certain "
            f"only until slot {slot + FORECAST_SLOTS}",
        )


def _check_units(parts: PlutusParts) -> None:
    if not parts.units.within(PLUTUS.max_tx_units):
        raise PlutusRule.TOO_MANY_UNITS.refusal(
            f"its scripts may use {parts.units}, all together may {PLUTUS.max_tx_units}",
        )
