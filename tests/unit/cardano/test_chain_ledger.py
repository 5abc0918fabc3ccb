"""Every phase-1 rule of the ledger refuses exactly what it names, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from nunet_dms.cardano import script
from nunet_dms.cardano.address import Address, script_address
from nunet_dms.cardano.cbor import Encoded, encode
from nunet_dms.cardano.chain.ledger import (
    MAX_AMOUNT,
    KnownOutput,
    LedgerRule,
    LedgerState,
    OutputState,
    check_transaction,
    read_bounded,
)
from nunet_dms.cardano.fees import PROTOCOL, min_fee, min_lovelace
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.output import new_output
from nunet_dms.cardano.transaction import Transaction, TxInput
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.errors import RefusedError

PAYER, PARTNER, MINTER, STRANGER = (PaymentKey.from_seed(bytes([n]) * 32) for n in range(1, 5))
GUARD = script.all_of(script.signature(PARTNER.key_hash), script.after_slot(50))
GUARDED = script_address(script.script_hash(GUARD), 0)
POLICY = script.signature(MINTER.key_hash)
TOKEN = AssetId(script.script_hash(POLICY), b"mNTX")
OLD_TOKEN = AssetId(bytes(28), b"old")
PAYER_INPUT, GUARDED_INPUT = TxInput(b"\1" * 32, 0), TxInput(b"\2" * 32, 3)
ADA = 1_000_000
FEE = 250_000
METADATA = encode({78811: {"v": 1}})

KNOWN = {
    PAYER_INPUT: new_output(PAYER.address(0), Value.of(10 * ADA, {OLD_TOKEN: 7})),
    GUARDED_INPUT: new_output(GUARDED, Value(5 * ADA)),
}


@dataclass(frozen=True)
class Draft:
    """A transaction before it is encoded and signed; as it stands it breaks no rule."""

    inputs: tuple[TxInput, ...] = (PAYER_INPUT, GUARDED_INPUT)
    outputs: tuple[tuple[bytes, Value], ...] = (
        (STRANGER.address(0).raw, Value.of(6 * ADA, {TOKEN: 100, OLD_TOKEN: 7})),
        (PAYER.address(0).raw, Value(9 * ADA - FEE)),
    )
    fee: int = FEE
    ttl: int = 200
    valid_from: int = 60
    mint: dict[AssetId, int] = field(default_factory=lambda: {TOKEN: 100})
    signed_metadata_hash: bytes | None = blake2b_256(METADATA)
    metadata: bytes | None = METADATA
    network_id: int = 0
    required_signers: tuple[bytes, ...] = (STRANGER.key_hash,)
    keys: tuple[PaymentKey, ...] = (PAYER, PARTNER, MINTER, STRANGER)
    scripts: tuple[bytes, ...] = (GUARD, POLICY)
    extra: dict[int, object] = field(default_factory=dict)
    output_extra: dict[int, object] = field(default_factory=dict)
    claims_valid: bool = True
    forge: bool = False

    def raw(self) -> bytes:
        """Encode and sign it."""
        body = {
            0: [[ref.tx_id, ref.index] for ref in self.inputs],
            1: [{0: a, 1: _value(v), **self.output_extra} for a, v in self.outputs],
            2: self.fee,
            3: self.ttl,
            7: self.signed_metadata_hash,
            8: self.valid_from,
            9: _assets(self.mint),
            14: list(self.required_signers),
            15: self.network_id,
            **self.extra,
        }
        encoded = encode({key: item for key, item in body.items() if item not in (None, {}, [])})
        signed = blake2b_256(encoded + b"x" if self.forge else encoded)
        witnesses = {
            0: [[key.public, key.sign(signed)] for key in self.keys],
            1: [Encoded(raw) for raw in self.scripts],
        }
        parts = [
            Encoded(encoded),
            {key: item for key, item in witnesses.items() if item},
            self.claims_valid,
            None if self.metadata is None else Encoded(self.metadata),
        ]
        return encode(parts)


def _value(value: Value) -> object:
    return [value.lovelace, _assets(dict(value.assets))] if value.assets else value.lovelace


def _assets(assets: dict[AssetId, int]) -> dict[bytes, dict[bytes, int]]:
    nested: dict[bytes, dict[bytes, int]] = {}
    for asset, quantity in assets.items():
        nested.setdefault(asset.policy, {})[asset.name] = quantity
    return nested


def _state(
    slot: int = 100, states: dict[TxInput, OutputState] | None = None, *, without: int = 0
) -> LedgerState:
    known = {
        ref: KnownOutput(output, (states or {}).get(ref, OutputState.UNSPENT))
        for ref, output in KNOWN.items()
    }
    for ref in list(known)[:without]:
        del known[ref]
    return LedgerState(slot, 0, known)


def _judge(raw: bytes, state: LedgerState | None = None) -> Transaction:
    transaction = read_bounded(raw)
    check_transaction(transaction, state or _state())
    return transaction


def _change(first: Value, second: Value, **changes: object) -> Draft:
    """The draft with other amounts in its two outputs."""
    outputs = ((STRANGER.address(0).raw, first), (PAYER.address(0).raw, second))
    return replace(Draft(outputs=outputs), **changes)


def _paying(address: Address | bytes) -> Draft:
    """The draft with its first output at another address."""
    raw = address.raw if isinstance(address, Address) else address
    plain = Draft()
    return replace(plain, outputs=((raw, plain.outputs[0][1]), plain.outputs[1]))


REST = Value(9 * ADA - FEE)
MANY_TOKENS = {AssetId(TOKEN.policy, n.to_bytes(32, "big")): 1 for n in range(1, 160)}

REFUSALS: list[tuple[str, LedgerRule, Callable[[], object]]] = [
    ("cut short", LedgerRule.MALFORMED, lambda: _judge(Draft().raw()[:-1])),
    ("text", LedgerRule.MALFORMED, lambda: _judge(b"hello")),
    ("empty", LedgerRule.MALFORMED, lambda: _judge(b"")),
    ("huge", LedgerRule.TOO_LARGE, lambda: _judge(bytes(PROTOCOL.max_tx_size + 17))),
    (
        "over a chain's own limit",
        LedgerRule.TOO_LARGE,
        lambda: _judge(
            Draft().raw(), replace(_state(), parameters=replace(PROTOCOL, max_tx_size=300))
        ),
    ),
    ("certificate", LedgerRule.UNSUPPORTED, lambda: _judge(_with({4: [[0, [0, bytes(28)]]]}))),
    ("withdrawal", LedgerRule.UNSUPPORTED, lambda: _judge(_with({5: {bytes([224]) * 29: 1}}))),
    ("collateral", LedgerRule.UNSUPPORTED, lambda: _judge(_with({13: [[bytes(32), 0]]}))),
    (
        "datum",
        LedgerRule.UNSUPPORTED,
        lambda: _judge(Draft(output_extra={2: [0, bytes(32)]}).raw()),
    ),
    (
        "says that its scripts fail",
        LedgerRule.CLAIMS_INVALID,
        lambda: _judge(Draft(claims_valid=False).raw()),
    ),
    (
        "no input",
        LedgerRule.NO_INPUT,
        lambda: check_transaction(replace(read_bounded(Draft().raw()), inputs=()), _state()),
    ),
    (
        "an input twice",
        LedgerRule.DUPLICATE_INPUT,
        lambda: check_transaction(
            replace(read_bounded(Draft().raw()), inputs=(PAYER_INPUT, PAYER_INPUT)), _state()
        ),
    ),
    (
        "an input that never was",
        LedgerRule.UNKNOWN_INPUT,
        lambda: _judge(Draft().raw(), _state(without=1)),
    ),
    (
        "a spent input",
        LedgerRule.SPENT_INPUT,
        lambda: _judge(Draft().raw(), _state(states={PAYER_INPUT: OutputState.SPENT})),
    ),
    (
        "an input that the mempool spends",
        LedgerRule.MEMPOOL_CONFLICT,
        lambda: _judge(Draft().raw(), _state(states={PAYER_INPUT: OutputState.SPENT_IN_MEMPOOL})),
    ),
    ("one slot early", LedgerRule.NOT_YET_VALID, lambda: _judge(Draft().raw(), _state(slot=59))),
    ("at its ttl", LedgerRule.EXPIRED, lambda: _judge(Draft().raw(), _state(slot=200))),
    (
        "body for mainnet",
        LedgerRule.WRONG_BODY_NETWORK,
        lambda: _judge(Draft(network_id=1).raw()),
    ),
    (
        "output to mainnet",
        LedgerRule.WRONG_OUTPUT_NETWORK,
        lambda: _judge(_paying(STRANGER.address(1)).raw()),
    ),
    (
        "an amount beyond the file's integers",
        LedgerRule.AMOUNT_OUT_OF_RANGE,
        lambda: _judge(_change(Value.of(6 * ADA, {TOKEN: MAX_AMOUNT + 1}), REST).raw()),
    ),
    (
        "negative lovelace",
        LedgerRule.AMOUNT_OUT_OF_RANGE,
        lambda: check_transaction(_with_output(Value(-1)), _state()),
    ),
    (
        "one byte too many",
        LedgerRule.TOO_LARGE,
        lambda: _judge(_of_size(PROTOCOL.max_tx_size + 2)),
    ),
    (
        "an output of too many bytes",
        LedgerRule.OUTPUT_TOO_LARGE,
        lambda: _judge(_change(Value.of(6 * ADA, MANY_TOKENS), REST, mint=MANY_TOKENS).raw()),
    ),
    (
        "an output with one lovelace",
        LedgerRule.OUTPUT_BELOW_MINIMUM,
        lambda: _judge(_change(Value(15 * ADA - FEE - 1), Value(1)).raw()),
    ),
    (
        "other metadata than signed",
        LedgerRule.METADATA_HASH_MISMATCH,
        lambda: _judge(Draft(metadata=encode({78811: {"v": 2}})).raw()),
    ),
    (
        "metadata taken away",
        LedgerRule.METADATA_HASH_MISMATCH,
        lambda: _judge(Draft(metadata=None).raw()),
    ),
    (
        "metadata not signed",
        LedgerRule.METADATA_HASH_MISMATCH,
        lambda: _judge(Draft(signed_metadata_hash=None).raw()),
    ),
    ("a fee of one", LedgerRule.FEE_TOO_SMALL, lambda: _judge(Draft(fee=1).raw())),
    (
        "one lovelace from nowhere",
        LedgerRule.VALUE_NOT_CONSERVED,
        lambda: _judge(_change(Value.of(6 * ADA + 1, {TOKEN: 100, OLD_TOKEN: 7}), REST).raw()),
    ),
    (
        "one lovelace lost",
        LedgerRule.VALUE_NOT_CONSERVED,
        lambda: _judge(_change(Value.of(6 * ADA - 1, {TOKEN: 100, OLD_TOKEN: 7}), REST).raw()),
    ),
    (
        "a token more than was minted",
        LedgerRule.VALUE_NOT_CONSERVED,
        lambda: _judge(_change(Value.of(6 * ADA, {TOKEN: 101, OLD_TOKEN: 7}), REST).raw()),
    ),
    (
        "an old token destroyed without its policy",
        LedgerRule.VALUE_NOT_CONSERVED,
        lambda: _judge(_change(Value.of(6 * ADA, {TOKEN: 100, OLD_TOKEN: 6}), REST).raw()),
    ),
    (
        "a token under another policy",
        LedgerRule.VALUE_NOT_CONSERVED,
        lambda: _judge(
            _change(
                Value.of(6 * ADA, {AssetId(b"\5" * 28, b"mNTX"): 100, OLD_TOKEN: 7}), REST
            ).raw()
        ),
    ),
    (
        "the guard's script left out",
        LedgerRule.SCRIPT_MISSING,
        lambda: _judge(Draft(scripts=(POLICY,)).raw()),
    ),
    (
        "the policy left out",
        LedgerRule.MINT_SCRIPT_MISSING,
        lambda: _judge(Draft(scripts=(GUARD,)).raw()),
    ),
    (
        "a script too many",
        LedgerRule.SCRIPT_NOT_NEEDED,
        lambda: _judge(Draft(scripts=(GUARD, POLICY, script.after_slot(1))).raw()),
    ),
    (
        "the partner did not sign",
        LedgerRule.SCRIPT_NOT_SATISFIED,
        lambda: _judge(Draft(keys=(PAYER, MINTER, STRANGER)).raw()),
    ),
    (
        "valid before the guard's slot",
        LedgerRule.SCRIPT_NOT_SATISFIED,
        lambda: _judge(Draft(valid_from=49).raw()),
    ),
    (
        "the minter did not sign",
        LedgerRule.MINT_SCRIPT_NOT_SATISFIED,
        lambda: _judge(Draft(keys=(PAYER, PARTNER, STRANGER)).raw()),
    ),
    (
        "the payer did not sign",
        LedgerRule.MISSING_WITNESS,
        lambda: _judge(Draft(keys=(PARTNER, MINTER, STRANGER)).raw()),
    ),
    (
        "a required signer did not sign",
        LedgerRule.MISSING_WITNESS,
        lambda: _judge(Draft(keys=(PAYER, PARTNER, MINTER)).raw()),
    ),
    (
        "signatures of another transaction",
        LedgerRule.INVALID_SIGNATURE,
        lambda: _judge(Draft(forge=True).raw()),
    ),
]


def _of_size(size: int) -> bytes:
    """The draft with as much metadata as makes it that large; the fee suffices."""
    excess = len(_annotated(_filled(size)).raw()) - size
    return _annotated(_filled(size - excess)).raw()


def _filled(size: int) -> bytes:
    """Metadata with a list of that many bytes, and always of more than 255 items."""
    whole, rest = divmod(size - 400, 66)
    return encode({78811: [*[bytes(64)] * whole, *[0] * (400 + rest)]})


def _annotated(metadata: bytes) -> Draft:
    hashed = {"metadata": metadata, "signed_metadata_hash": blake2b_256(metadata)}
    first, rest = (value for _, value in Draft().outputs)
    return _change(first, rest - Value(ADA), fee=FEE + ADA, **hashed)


def _with(extra: dict[int, object]) -> bytes:
    return Draft(extra=extra).raw()


def _with_output(value: Value) -> Transaction:
    transaction = read_bounded(Draft().raw())
    first = replace(transaction.outputs[0], value=value)
    return replace(transaction, outputs=(first, transaction.outputs[1]))


def test_a_transaction_that_breaks_no_rule_is_taken() -> None:
    transaction = _judge(Draft().raw())
    assert transaction.mint == ((TOKEN, 100),)
    assert transaction.signers == {k.key_hash for k in (PAYER, PARTNER, MINTER, STRANGER)}


@pytest.mark.parametrize(
    ("rule", "judge"), [r[1:] for r in REFUSALS], ids=[f"{r[1].value}: {r[0]}" for r in REFUSALS]
)
def test_what_breaks_one_rule_is_refused_by_that_rule(
    rule: LedgerRule, judge: Callable[[], object]
) -> None:
    with pytest.raises(RefusedError) as refusal:
        judge()
    assert refusal.value.code == rule.value
    assert str(refusal.value).startswith("cannot ")


def test_every_rule_has_a_refusal_here() -> None:
    assert {rule for _, rule, _ in REFUSALS} == set(LedgerRule)


@pytest.mark.parametrize("slot", [60, 199])
def test_the_first_and_the_last_slot_of_the_interval_are_taken(slot: int) -> None:
    _judge(Draft().raw(), _state(slot=slot))


def test_the_least_fee_is_taken_and_one_lovelace_less_is_not() -> None:
    least = min_fee(len(Draft().raw()) - 1)  # the byte of is_valid does not count
    first = Draft().outputs[0][1]
    exact = _change(first, Value(9 * ADA - least), fee=least)
    assert len(exact.raw()) == len(Draft().raw())
    _judge(exact.raw())
    with pytest.raises(RefusedError, match="its fee is"):
        _judge(_change(first, Value(9 * ADA - least + 1), fee=least - 1).raw())


def test_the_least_ada_is_taken_and_one_lovelace_less_is_not() -> None:
    least = min_lovelace(new_output(PAYER.address(0), Value(ADA)))
    tokens = {TOKEN: 100, OLD_TOKEN: 7}
    _judge(_change(Value.of(15 * ADA - FEE - least, tokens), Value(least)).raw())
    with pytest.raises(RefusedError, match=f"it needs {least}"):
        _judge(_change(Value.of(15 * ADA - FEE - least + 1, tokens), Value(least - 1)).raw())


def test_no_single_flipped_bit_passes() -> None:
    raw = Draft().raw()
    for position in range(len(raw)):
        flipped = bytearray(raw)
        flipped[position] ^= 1 << position % 8
        with pytest.raises(RefusedError):
            _judge(bytes(flipped))


def test_a_transaction_may_have_16384_bytes_not_counting_is_valid() -> None:
    raw = _of_size(PROTOCOL.max_tx_size + 1)
    assert len(raw) == PROTOCOL.max_tx_size + 1
    assert _judge(raw).counted_size == PROTOCOL.max_tx_size


def _tokens_of(size: int, short_names: int) -> dict[AssetId, int]:
    """Tokens of one policy with which a value of some ADA has this size, as the ledger counts."""
    free = size - (1 + 5) - (1 + 2 + 28) - 2 - 4 * short_names
    whole, rest = divmod(free, 2 + 32 + 1)
    names = [n.to_bytes(2, "big") for n in range(short_names)]
    names += [n.to_bytes(32, "big") for n in range(whole)]
    # An amount of 100 takes a byte more than one of 1.
    return {
        AssetId(TOKEN.policy, name): 100 if place < rest else 1 for place, name in enumerate(names)
    }


@pytest.mark.parametrize("short_names", [0, 300])
def test_a_value_may_have_5000_bytes_as_the_ledger_writes_it(short_names: int) -> None:
    """Without the output's address; a long map's head counts two bytes, written in three or not."""

    def draft(size: int) -> Draft:
        tokens = _tokens_of(size, short_names)
        paid, rest = Value.of(5 * ADA, tokens), Value.of(9 * ADA - FEE, {OLD_TOKEN: 7})
        return _change(paid, rest, mint=tokens, fee=FEE + ADA)

    plain = replace(_state(), parameters=replace(PROTOCOL, coins_per_utxo_byte=1))
    assert _judge(draft(5000).raw(), plain).outputs[0].size > 5000
    with pytest.raises(RefusedError, match="what output 0 holds has 5001 bytes"):
        _judge(draft(5001).raw(), plain)


def test_tokens_are_burnt_with_their_policy() -> None:
    known = {PAYER_INPUT: new_output(PAYER.address(0), Value.of(10 * ADA, {TOKEN: 7}))}
    draft = Draft(
        inputs=(PAYER_INPUT,),
        outputs=((PAYER.address(0).raw, Value.of(10 * ADA - FEE, {TOKEN: 3})),),
        mint={TOKEN: -4},
        keys=(PAYER, MINTER, STRANGER),
        scripts=(POLICY,),
    )
    state = LedgerState(
        100, 0, {ref: KnownOutput(output, OutputState.UNSPENT) for ref, output in known.items()}
    )
    _judge(draft.raw(), state)
