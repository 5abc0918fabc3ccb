"""Spoiling what a transaction spends and who signed it: inputs, times, signatures, metadata."""

from __future__ import annotations

from random import Random

from judge_cases import OLD_OUTPUT, PEOPLE, STRANGER, Case
from judge_edits import inputs_of, move, set_auxiliary, set_inputs, with_fee

from nunet_dms.cardano.cbor import SET_TAG, Encoded, Tag, encode
from nunet_dms.cardano.chain.ledger import OutputState
from nunet_dms.cardano.transaction import (
    FEE,
    INPUTS,
    METADATA_HASH,
    REQUIRED_SIGNERS,
    TTL,
    VALID_FROM,
    TxInput,
)

WEAK_KEY = b"\1" + bytes(31)
"""The identity point as a public key."""


# --- inputs --------------------------------------------------------------------------------------


def input_twice(rng: Random, case: Case) -> None:
    refs = inputs_of(case)
    set_inputs(case, [*refs, rng.choice(refs)])


def input_unknown(rng: Random, case: Case) -> None:
    refs = inputs_of(case)
    refs[rng.randrange(len(refs))] = rng.choice(
        (TxInput(rng.randbytes(32), 0), TxInput(refs[0].tx_id, refs[0].index ^ 1))
    )
    set_inputs(case, refs)


def input_unknown_besides(rng: Random, case: Case) -> None:
    set_inputs(case, [*inputs_of(case), TxInput(rng.randbytes(32), 0)])


def input_spent(_rng: Random, case: Case) -> None:
    case.gone[OLD_OUTPUT] = OutputState.SPENT
    set_inputs(case, [*inputs_of(case), OLD_OUTPUT])


def input_spent_in_the_mempool(rng: Random, case: Case) -> None:
    ref = rng.choice(inputs_of(case))
    if case.unspent.pop(ref, None):
        case.gone[ref] = OutputState.SPENT_IN_MEMPOOL


def input_spent_in_a_block(rng: Random, case: Case) -> None:
    ref = rng.choice(inputs_of(case))
    if case.unspent.pop(ref, None):
        case.gone[ref] = OutputState.SPENT


def no_inputs(_rng: Random, case: Case) -> None:
    set_inputs(case, [])


def input_left_out(_rng: Random, case: Case) -> None:
    set_inputs(case, inputs_of(case)[1:])


def inputs_out_of_order(rng: Random, case: Case) -> None:
    refs = inputs_of(case)
    rng.shuffle(refs)
    set_inputs(case, refs)


def input_of_another(_rng: Random, case: Case) -> None:
    """Somebody else's output besides, given to the change; the owner did not sign."""
    for ref, output in case.unspent.items():
        if output.address == STRANGER.address(0).raw and ref not in inputs_of(case):
            set_inputs(case, sorted([*inputs_of(case), ref]))
            move(case, -output.value.lovelace)
            return


def sets_without_their_tag(_rng: Random, case: Case) -> None:
    case.set_tag = False
    case.body[INPUTS] = [[ref.tx_id, ref.index] for ref in inputs_of(case)]


def input_index_too_large(rng: Random, case: Case) -> None:
    refs = inputs_of(case)
    set_inputs(case, [TxInput(refs[0].tx_id, rng.choice((65_536, 2**32))), *refs[1:]])


# --- time ----------------------------------------------------------------------------------------


def expires(rng: Random, case: Case) -> None:
    case.body[TTL] = case.slot + rng.choice((-1, 0, 0, 1, 1, 2, 2**40))


def starts(rng: Random, case: Case) -> None:
    case.body[VALID_FROM] = case.slot + rng.choice((-1, 0, 0, 1, 1, 2))


def interval_upside_down(rng: Random, case: Case) -> None:
    case.body[VALID_FROM] = case.slot + rng.choice((0, 1, 5))
    case.body[TTL] = case.body[VALID_FROM] - rng.choice((0, 1))


def timeless(_rng: Random, case: Case) -> None:
    case.body.pop(TTL, None)
    case.body.pop(VALID_FROM, None)


def far_future(rng: Random, case: Case) -> None:
    case.body[TTL] = rng.choice((2**63 - 1, 2**63, 2**64 - 1))


# --- signatures ----------------------------------------------------------------------------------


def signature_missing(rng: Random, case: Case) -> None:
    if case.keys:
        case.keys.remove(rng.choice(case.keys))


def signature_besides(_rng: Random, case: Case) -> None:
    """A key too many signs; the fee may be short of its bytes."""
    case.keys.append(STRANGER)
    with_fee(case, case.body[FEE] + 10_000)


def signature_of_a_stranger(rng: Random, case: Case) -> None:
    if case.keys:
        case.keys[rng.randrange(len(case.keys))] = STRANGER


def signature_of_another_transaction(rng: Random, case: Case) -> None:
    case.signed_body = rng.randbytes(50)


def signature_flipped(rng: Random, case: Case) -> None:
    bit = rng.randrange(512)

    def flip(pairs: list[list[bytes]]) -> None:
        if pairs:
            pair = rng.choice(pairs)
            raw = bytearray(pair[1])
            raw[bit // 8] ^= 1 << bit % 8
            pair[1] = bytes(raw)

    case.edit_witnesses = flip


def key_flipped(rng: Random, case: Case) -> None:
    bit = rng.randrange(256)

    def flip(pairs: list[list[bytes]]) -> None:
        if pairs:
            raw = bytearray(pairs[0][0])
            raw[bit // 8] ^= 1 << bit % 8
            pairs[0][0] = bytes(raw)

    case.edit_witnesses = flip


def signature_twice(_rng: Random, case: Case) -> None:
    with_fee(case, case.body[FEE] + 10_000)
    case.edit_witnesses = lambda pairs: pairs.append(pairs[0]) if pairs else None


def forged_signature_of_a_weak_key(_rng: Random, case: Case) -> None:
    """The identity point with a signature of zeros, which lenient verifiers take."""
    case.edit_witnesses = lambda pairs: pairs.append([WEAK_KEY, WEAK_KEY + bytes(32)])
    with_fee(case, case.body[FEE] + 10_000)


def empty_witness_lists(rng: Random, case: Case) -> None:
    """A list of signatures or of scripts with nothing in it."""
    key = rng.choice((0, 1))
    if not (case.keys, case.scripts)[key]:
        case.more_witnesses[key] = []
    elif rng.random() < 0.5:
        (case.keys, case.scripts)[key].clear()
        case.more_witnesses[key] = []


def signers_required(rng: Random, case: Case) -> None:
    named = [key.key_hash for key in case.keys] or [STRANGER.key_hash]
    others = [STRANGER.key_hash, PEOPLE[0].key_hash, bytes(28)]
    chosen = rng.sample(named, rng.randint(1, len(named)))
    if rng.random() < 0.4:
        chosen.append(rng.choice(others))
    case.body[REQUIRED_SIGNERS] = Tag(SET_TAG, chosen) if rng.random() < 0.5 else chosen
    with_fee(case, case.body[FEE] + 20_000)


def signers_required_oddly(rng: Random, case: Case) -> None:
    """An empty list, or the same key twice."""
    one = (case.keys or [STRANGER])[0].key_hash
    case.body[REQUIRED_SIGNERS] = rng.choice(([], [one, one], Tag(SET_TAG, [one, one])))
    with_fee(case, case.body[FEE] + 20_000)


# --- metadata ------------------------------------------------------------------------------------


def metadata_changed(rng: Random, case: Case) -> None:
    if case.auxiliary is not None:
        case.auxiliary = encode({rng.randint(0, 9): "other"})


def metadata_removed(_rng: Random, case: Case) -> None:
    case.auxiliary = None


def metadata_unsigned(_rng: Random, case: Case) -> None:
    case.auxiliary = case.auxiliary or encode({1: 2})
    case.body.pop(METADATA_HASH, None)


def metadata_hash_alone(rng: Random, case: Case) -> None:
    case.body[METADATA_HASH] = rng.randbytes(32)


def metadata_of_any_form(rng: Random, case: Case) -> None:
    """Other metadata, well hashed: of every era's form, deep, of odd values."""
    content = rng.choice(
        (
            {0: 0},
            {},
            {2**64 - 1: [{"a": b"b" * 64}, [[]], {}]},
            {5: "x" * 64},
            {5: "x" * 65},
            {5: b"y" * 65},
            {5: "é" * 33},
            {1: -(2**64), 2: 2**64 - 1},
            {7: {1: {2: {3: [4, [5, [6]]]}}}},
            Tag(259, {0: {1: 2}}),
            Tag(259, {}),
            {1: True},
            {1: None},
        )
    )
    set_auxiliary(case, encode(content))
    with_fee(case, case.body[FEE] + 100_000)


def metadata_with_a_key_twice(rng: Random, case: Case) -> None:
    """In a map within the metadata the ledger allows it, at the top it does not."""
    twice = Encoded(b"\xa2\x01\x02\x01\x03")
    raw = rng.choice((encode({5: [twice]}), encode(twice)))
    set_auxiliary(case, raw)
    with_fee(case, case.body[FEE] + 100_000)
