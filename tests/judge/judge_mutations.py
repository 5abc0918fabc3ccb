"""Ways to spoil a transaction, or to leave it whole: each changes a case in place.

What a change does to the verdict is not said here; both ledgers are asked.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from judge_cases import FOREIGN, OLD_OUTPUT, PEOPLE, STRANGER, Case, random_script

from nunet_dms.cardano import script
from nunet_dms.cardano.address import script_address
from nunet_dms.cardano.cbor import SET_TAG, Encoded, Tag, encode
from nunet_dms.cardano.chain.ledger import OutputState
from nunet_dms.cardano.fees import min_fee, min_lovelace
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.output import (
    TxOutput,
    assets_to_cbor,
    encode_output,
    new_output,
    value_to_cbor,
)
from nunet_dms.cardano.transaction import (
    FEE,
    INPUTS,
    METADATA_HASH,
    MINT,
    NETWORK_ID,
    OUTPUTS,
    REQUIRED_SIGNERS,
    TTL,
    VALID_FROM,
    TxInput,
)
from nunet_dms.cardano.value import AssetId, Value

WEAK_KEY = b"\1" + bytes(31)
"""The identity point as a public key."""

Mutation = Callable[[Random, Case], object]
HUGE = (2**62, 2**63 - 2, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1)


def nothing(_rng: Random, _case: Case) -> None:
    """Leave it as it was built."""


# --- outputs and value ---------------------------------------------------------------------------


def outputs_of(case: Case) -> list[dict[int, Any]]:
    """Return the outputs in a form that can be changed; they are those of the body from now on."""
    found = [dict(output) for output in case.body[OUTPUTS]]
    case.body[OUTPUTS] = found
    return found


def value_of(output: dict[int, Any]) -> Value:
    """Return what an output of a body holds."""
    if isinstance(output[1], int):
        return Value(output[1])
    lovelace, policies = output[1]
    assets = {
        AssetId(policy, name): amount
        for policy, names in policies.items()
        for name, amount in names.items()
    }
    return Value.of(lovelace, assets)


def set_value(output: dict[int, Any], value: Value) -> None:
    """Let an output hold that."""
    output[1] = value_to_cbor(value)


def least_of(output: dict[int, Any]) -> int:
    """Return the least lovelace of an output that holds about what this one does."""
    value = value_of(output)
    return min_lovelace(_sized(output[0], Value(1_000_000, value.assets)))


def _sized(address: bytes, value: Value) -> TxOutput:
    plain = TxOutput(address, value)
    return TxOutput(address, value, size=len(encode_output(plain)))


def _any_output(rng: Random, case: Case) -> dict[int, Any]:
    return rng.choice(outputs_of(case))


def _move(case: Case, lovelace: int) -> None:
    """Take lovelace from the last output, which is the change."""
    change = outputs_of(case)[-1]
    set_value(change, value_of(change) - Value(lovelace))


def lovelace_from_nowhere(rng: Random, case: Case) -> None:
    output = _any_output(rng, case)
    set_value(output, value_of(output) + Value(rng.choice((1, -1, 1000, -1000))))


def tokens_from_nowhere(rng: Random, case: Case) -> None:
    output = _any_output(rng, case)
    asset = rng.choice([each for each, _ in value_of(output).assets] or list(FOREIGN))
    change = Value(0, ((asset, rng.choice((1, 1, -1, 10**6))),))
    if not (value_of(output) + change).is_negative:
        set_value(output, value_of(output) + change)


def token_renamed(rng: Random, case: Case) -> None:
    output = _any_output(rng, case)
    value = value_of(output)
    if value.assets:
        (asset, amount), *others = value.assets
        renamed = AssetId(rng.choice((asset.policy, b"\x33" * 28)), asset.name[:-1] + b"z")
        set_value(output, Value(value.lovelace, ((renamed, amount), *others)))


def output_at_its_minimum(rng: Random, case: Case) -> None:
    """One output holds about the least it may, and the change takes what is left."""
    place = rng.randrange(max(1, len(case.body[OUTPUTS]) - 1))
    value = value_of(outputs_of(case)[place])
    wanted = least_of(case.body[OUTPUTS][place]) + rng.choice((0, 0, -1, 1, -100))
    _move(case, wanted - value.lovelace)
    set_value(outputs_of(case)[place], Value(wanted, value.assets))


def output_of_nothing(rng: Random, case: Case) -> None:
    output = _any_output(rng, case)
    set_value(output, Value(rng.choice((0, 1, 969_749))))


def no_outputs(rng: Random, case: Case) -> None:
    """Everything becomes a fee, or is burned for want of a policy."""
    spent = [case.unspent[ref] for ref in inputs_of(case) if ref in case.unspent]
    if rng.random() < 0.8:
        case.body[FEE] = sum(output.value.lovelace for output in spent)
    case.body[OUTPUTS] = []


def zero_tokens(rng: Random, case: Case) -> None:
    output = _any_output(rng, case)
    value = value_of(output)
    output[1] = [value.lovelace, {**assets_to_cbor(value.assets), b"\x44" * 28: {b"none": 0}}]


def no_tokens_said_at_length(rng: Random, case: Case) -> None:
    """An empty map of policies, or a policy with an empty map of names."""
    output = _any_output(rng, case)
    if not value_of(output).assets:
        output[1] = [value_of(output).lovelace, rng.choice(({}, {b"\x44" * 28: {}}))]


def negative_tokens(rng: Random, case: Case) -> None:
    output = _any_output(rng, case)
    output[1] = [value_of(output).lovelace, {b"\x44" * 28: {b"less": -1}}]


def huge_amount(rng: Random, case: Case) -> None:
    """Lovelace or tokens near the limits of 64 bits, out of nothing."""
    output = _any_output(rng, case)
    amount = rng.choice(HUGE)
    if rng.random() < 0.3:
        set_value(output, Value(amount, value_of(output).assets))
    else:
        set_value(output, value_of(output) + Value(0, ((FOREIGN[0], amount),)))


def huge_amount_held(rng: Random, case: Case) -> None:
    """Tokens near the limits of 64 bits that an input holds and an output gets, unbroken."""
    amount = rng.choice(HUGE[:3])
    asset = AssetId(b"\x55" * 28, b"huge")
    _hold(case, Value(0, ((asset, amount),)))
    _afford(rng, case)


def huge_amounts_summed(rng: Random, case: Case) -> None:
    """Two outputs whose tokens sum to more than 64 bits, from two inputs or from nowhere."""
    asset = AssetId(b"\x55" * 28, b"huge")
    for ref in inputs_of(case)[: rng.choice((1, 2))]:
        _add_to_an_input(case, Value(0, ((asset, 2**63 - 1),)), ref)
    for output in outputs_of(case)[-2:]:
        set_value(output, value_of(output) + Value(0, ((asset, 2**63 - 1),)))
    _afford(rng, case)


def _add_to_an_input(case: Case, value: Value, ref: TxInput | None = None) -> None:
    ref = ref or inputs_of(case)[0]
    old = case.unspent.get(ref)
    if old is not None:
        case.unspent[ref] = _sized(old.address, old.value + value)


def _afford(rng: Random, case: Case) -> None:
    """Give an input some ADA more, and the change what the outputs and a fee need of it."""
    extra = rng.randint(30, 40) * 1_000_000
    fee = rng.randint(1, 2) * 1_000_000
    _add_to_an_input(case, Value(extra))
    case.body[FEE] += fee
    _move(case, fee - extra)


def value_of_many_bytes(rng: Random, case: Case) -> None:
    """An output whose value has about 5,000 bytes, the ledger's limit."""
    with_value_size(rng, case, rng.choice((4999, 5000, 5000, 5001, 5001, 5040, 6000)))


def with_value_size(rng: Random, case: Case, wanted: int) -> None:
    """Let the change hold so many assets that its value has that size."""
    base = value_of(outputs_of(case)[-1])
    count = (wanted - len(encode(value_to_cbor(base))) - 100) // 35
    assets = [AssetId(b"\x61" * 28, rng.randbytes(32)) for _ in range(count)]
    _hold(case, Value.of(0, dict.fromkeys(assets, 1)))
    _afford(rng, case)
    missing = wanted - len(encode(value_to_cbor(value_of(outputs_of(case)[-1]))))
    # An amount of 100 takes a byte more than one of 1.
    _hold(case, Value.of(0, dict.fromkeys(assets[:missing], 99)))


def _hold(case: Case, value: Value) -> None:
    """Add to what an input holds, and to the change."""
    _add_to_an_input(case, value)
    change = outputs_of(case)[-1]
    set_value(change, value_of(change) + value)


def many_outputs(rng: Random, case: Case) -> None:
    """Several more outputs, paid from the change."""
    output = {0: STRANGER.address(0).raw, 1: 1_000_000}
    count = rng.randint(1, 4)
    _move(case, 1_000_000 * count)
    case.body[OUTPUTS] = [*[output] * count, *outputs_of(case)]


def output_in_array_form(rng: Random, case: Case) -> None:
    """The form of an output until Alonzo."""
    outputs = outputs_of(case)
    place = rng.randrange(len(outputs))
    case.body[OUTPUTS] = [
        [each[0], each[1]] if index == place else each for index, each in enumerate(outputs)
    ]


# --- addresses and network -----------------------------------------------------------------------


def _readdress(rng: Random, case: Case, address: bytes) -> None:
    _any_output(rng, case)[0] = address


def output_to_mainnet(rng: Random, case: Case) -> None:
    output = _any_output(rng, case)
    output[0] = bytes([output[0][0] | 1]) + output[0][1:]


def output_to_a_network_that_is_not(rng: Random, case: Case) -> None:
    output = _any_output(rng, case)
    output[0] = bytes([output[0][0] & 0xF0 | rng.choice((2, 7, 15))]) + output[0][1:]


def output_to_a_script(rng: Random, case: Case) -> None:
    guard = random_script(rng, case.slot)
    _readdress(rng, case, script_address(script.script_hash(guard), 0).raw)


def address_of_a_wrong_length(rng: Random, case: Case) -> None:
    output = _any_output(rng, case)
    output[0] = rng.choice((output[0][:-1], output[0] + b"\0", b"", output[0][:1]))


def address_of_a_stake_key(rng: Random, case: Case) -> None:
    _readdress(rng, case, bytes([rng.choice((0xE0, 0xF0))]) + bytes(28))


def address_of_a_pointer(rng: Random, case: Case) -> None:
    _readdress(rng, case, bytes([rng.choice((0x40, 0x50))]) + bytes(28) + b"\1\2\3")


def body_network(rng: Random, case: Case) -> None:
    case.body[NETWORK_ID] = rng.choice((0, 1, 1, 2))
    if rng.random() < 0.2:
        del case.body[NETWORK_ID]


# --- fee and size --------------------------------------------------------------------------------


def fee_at_its_minimum(rng: Random, case: Case) -> None:
    """About the least fee, the value conserved; the ledger does not count is_valid's byte."""
    counted = len(case.raw()) - (0 if case.is_valid is None else 1)
    with_fee(case, min_fee(counted) - rng.choice((0, 0, 1, -44)))


def with_fee(case: Case, fee: int) -> None:
    """Let the fee be that much, and the change what is left."""
    _move(case, fee - case.body[FEE])
    case.body[FEE] = fee


def fee_only(rng: Random, case: Case) -> None:
    """Another fee, with nothing to balance it."""
    case.body[FEE] = rng.choice(
        (0, 1, case.body[FEE] - 1, case.body[FEE] + 1, 10**15, 2**64 - 1, min_fee(len(case.raw())))
    )


def of_many_bytes(rng: Random, case: Case) -> None:
    """About as many bytes as a transaction may have."""
    with_size(case, rng.choice((16_383, 16_384, 16_385, 16_385, 16_386, 16_387, 20_000)))


def with_size(case: Case, wanted: int) -> None:
    """Fill the transaction up with metadata, and let its fee suffice for that."""
    with_fee(case, case.body[FEE] + 2_000_000)
    _set_auxiliary(case, _filling(wanted))
    _set_auxiliary(case, _filling(2 * wanted - len(case.raw())))


def _filling(size: int) -> bytes:
    """Metadata with a list of that many bytes, and always of more than 255 items."""
    whole, rest = divmod(max(400, size) - 400, 66)
    return encode({9: [*[bytes(64)] * whole, *[0] * (400 + rest)]})


# --- inputs --------------------------------------------------------------------------------------


def inputs_of(case: Case) -> list[TxInput]:
    """Return what the body spends."""
    inputs = case.body[INPUTS]
    pairs = inputs.value if isinstance(inputs, Tag) else inputs
    return [TxInput(tx_id, index) for tx_id, index in pairs]


def set_inputs(case: Case, refs: list[TxInput]) -> None:
    """Let the body spend these."""
    case.body[INPUTS] = Tag(SET_TAG, [[ref.tx_id, ref.index] for ref in refs])


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
            _move(case, -output.value.lovelace)
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


def _set_auxiliary(case: Case, raw: bytes) -> None:
    case.auxiliary = raw
    case.body[METADATA_HASH] = blake2b_256(raw)


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
    _set_auxiliary(case, encode(content))
    with_fee(case, case.body[FEE] + 100_000)


def metadata_with_a_key_twice(rng: Random, case: Case) -> None:
    """In a map within the metadata the ledger allows it, at the top it does not."""
    twice = Encoded(b"\xa2\x01\x02\x01\x03")
    raw = rng.choice((encode({5: [twice]}), encode(twice)))
    _set_auxiliary(case, raw)
    with_fee(case, case.body[FEE] + 100_000)


# --- scripts and minting -------------------------------------------------------------------------


def script_missing(rng: Random, case: Case) -> None:
    if case.scripts:
        case.scripts.remove(rng.choice(case.scripts))


def script_besides(rng: Random, case: Case) -> None:
    extra = random_script(rng, case.slot)
    if extra not in case.scripts:
        case.scripts.append(extra)
    with_fee(case, case.body[FEE] + 30_000)


def script_twice(_rng: Random, case: Case) -> None:
    case.scripts += case.scripts[:1]
    with_fee(case, case.body[FEE] + 30_000)


def scripts_out_of_order(_rng: Random, case: Case) -> None:
    case.scripts.reverse()


def guarded_input(rng: Random, case: Case) -> None:
    """One more input, behind a script of any shape; who it names may sign or not."""
    guard = random_script(rng, case.slot)
    if guard in case.scripts:
        return
    _spend_guarded(rng, case, guard)
    _sign_for(rng, case, guard)


def _spend_guarded(rng: Random, case: Case, guard: bytes) -> None:
    """Spend an output behind the script besides, and show the script."""
    ref = TxInput(rng.randbytes(32), 0)
    case.unspent[ref] = new_output(script_address(script.script_hash(guard), 0), Value(9_000_000))
    set_inputs(case, sorted([*inputs_of(case), ref]))
    if guard not in case.scripts:
        case.scripts.append(guard)
    case.body[FEE] += 1_000_000
    _move(case, -8_000_000)


def guarded_by_time(rng: Random, case: Case) -> None:
    """One more input, whose script holds from a slot or until a slot near the interval's ends."""
    edge = case.slot + rng.choice((-2, -1, 0, 1, 2))
    guard = rng.choice((script.after_slot, script.before_slot))(max(0, edge))
    guard = rng.choice((guard, script.all_of(guard), script.any_of(guard, script.any_of())))
    _spend_guarded(rng, case, guard)
    case.body[VALID_FROM] = max(0, case.slot - rng.choice((0, 1, 2)))
    case.body[TTL] = case.slot + rng.choice((1, 2, 3))
    if rng.random() < 0.2:
        del case.body[rng.choice((VALID_FROM, TTL))]


def deep_script(rng: Random, case: Case) -> None:
    """A script nested as deep as chance wants."""
    guard = script.signature(PEOPLE[0].key_hash)
    for _ in range(rng.choice((5, 15, 16, 17, 20))):
        guard = rng.choice((script.all_of, script.any_of))(guard)
    _spend_guarded(rng, case, guard)
    if PEOPLE[0] not in case.keys:
        case.keys.append(PEOPLE[0])


def odd_script(rng: Random, case: Case) -> None:
    """A script of an odd but possible form: negative counts, no parts, slots near 64 bits."""
    inner = script.signature(PEOPLE[0].key_hash)
    guard = rng.choice(
        (
            encode([3, -1, []]),
            encode([3, -5, [Encoded(inner)]]),
            encode([3, 0, []]),
            encode([3, 1, []]),
            encode([3, 2**31, []]),
            encode([3, 2**63, []]),
            encode([2, []]),
            encode([1, []]),
            encode([4, 0]),
            encode([5, 2**64 - 1]),
            encode([5, 2**63]),
            encode([4, 2**63]),
            encode([6, 1]),
            encode([0, bytes(27)]),
        )
    )
    _spend_guarded(rng, case, guard)


def _sign_for(rng: Random, case: Case, guard: bytes) -> None:
    named = script.read_script(guard).key_hashes()
    for key in PEOPLE:
        if key.key_hash in named and key not in case.keys and rng.random() < 0.8:
            case.keys.append(key)


def _mint(case: Case, policy: bytes, names: dict[bytes, int]) -> None:
    case.body[MINT] = {**case.body.get(MINT, {}), policy: names}


def minted_without_a_policy(rng: Random, case: Case) -> None:
    """A foreign token minted or burned, balanced; nobody shows its policy."""
    change = outputs_of(case)[-1]
    value = value_of(change)
    held = dict(value.assets)
    asset = rng.choice([each for each in FOREIGN if each in held] or list(FOREIGN))
    amount = rng.choice((1, 1000, -held.get(asset, -1)))
    if asset.policy not in case.body.get(MINT, {}):
        _mint(case, asset.policy, {asset.name: amount})
        set_value(change, value + Value(0, ((asset, amount),)))
    _afford(rng, case)


def minted(rng: Random, case: Case) -> None:
    """A policy of any shape mints, balanced; whom it names may have signed."""
    policy = random_script(rng, case.slot)
    digest = script.script_hash(policy)
    if digest in case.body.get(MINT, {}):
        return
    amount = rng.choice((1, 5, 10**6, 2**62, 2**63 - 1, 2**63, 2**64 - 1))
    _mint(case, digest, {rng.choice((b"", b"new", b"n" * 32)): amount})
    ((name, _),) = case.body[MINT][digest].items()
    if policy not in case.scripts:
        case.scripts.append(policy)
    _sign_for(rng, case, policy)
    change = outputs_of(case)[-1]
    set_value(change, value_of(change) + Value(0, ((AssetId(digest, name), amount),)))
    _afford(rng, case)


def burned(rng: Random, case: Case) -> None:
    """What an input holds is burned under its policy, up to more than there is."""
    policy = script.signature(PEOPLE[0].key_hash)
    digest = script.script_hash(policy)
    ref = inputs_of(case)[0]
    if digest in case.body.get(MINT, {}) or ref not in case.unspent:
        return
    held = rng.choice((5, 2**63 - 1))
    gone = rng.choice((1, held, held, held + 1))
    asset = AssetId(digest, b"burn")
    _add_to_an_input(case, Value(0, ((asset, held),)), ref)
    _mint(case, digest, {asset.name: -min(gone, 2**64)})
    if policy not in case.scripts:
        case.scripts.append(policy)
    if PEOPLE[0] not in case.keys:
        case.keys.append(PEOPLE[0])
    change = outputs_of(case)[-1]
    if held > gone:
        set_value(change, value_of(change) + Value(0, ((asset, held - gone),)))
    _afford(rng, case)


def minted_more_than_said(rng: Random, case: Case) -> None:
    mint = case.body.get(MINT)
    if mint:
        policy, names = rng.choice(sorted(mint.items()))
        name, amount = rng.choice(sorted(names.items()))
        _mint(case, policy, {**names, name: amount + 1 or 1})


def minted_zero(rng: Random, case: Case) -> None:
    policy = script.signature(PEOPLE[0].key_hash)
    digest = script.script_hash(policy)
    _mint(case, digest, rng.choice(({b"none": 0}, {b"none": 0, b"": 0}, {})))
    if policy not in case.scripts:
        case.scripts.append(policy)
    if PEOPLE[0] not in case.keys:
        case.keys.append(PEOPLE[0])
    with_fee(case, case.body[FEE] + 200_000)


def mint_left_out(_rng: Random, case: Case) -> None:
    case.body.pop(MINT, None)


def mint_empty(_rng: Random, case: Case) -> None:
    case.body.setdefault(MINT, {})


# --- the envelope, and bytes ---------------------------------------------------------------------


def says_its_scripts_fail(_rng: Random, case: Case) -> None:
    case.is_valid = False


def without_is_valid(_rng: Random, case: Case) -> None:
    case.is_valid = None


def byte_flipped(rng: Random, case: Case) -> None:
    place, bit = rng.random(), rng.randrange(8)

    def flip(raw: bytes) -> bytes:
        broken = bytearray(raw)
        broken[int(place * len(raw))] ^= 1 << bit
        return bytes(broken)

    case.edit_bytes = flip


def cut_short(rng: Random, case: Case) -> None:
    length = rng.randint(1, 40)
    case.edit_bytes = lambda raw: raw[:-length]


def fee_at_length(rng: Random, case: Case) -> None:
    """The fee in eight bytes, as some wallets write it: another id, the same sense."""
    case.body[FEE] += rng.choice((0, 1_000_000))
    wide = Encoded(b"\x1b" + case.body[FEE].to_bytes(8, "big"))
    _move(case, 1_000_000)
    case.body[FEE] = wide


def lists_without_length(_rng: Random, case: Case) -> None:
    """Outputs in a list of indefinite length."""
    raw = b"\x9f" + b"".join(encode(each) for each in case.body[OUTPUTS]) + b"\xff"
    case.body[OUTPUTS] = Encoded(raw)


def key_of_the_body_twice(_rng: Random, case: Case) -> None:
    """The fee is said twice, the second time as the first."""
    pairs = [encode(key) + encode(item) for key, item in case.body.items()]
    pairs.append(encode(FEE) + encode(case.body[FEE]))
    case.odd_body = bytes([0xA0 + len(pairs)]) + b"".join(pairs)


# --- what we do not judge ------------------------------------------------------------------------

UNJUDGED_BODY: dict[int, object] = {
    4: [[0, [0, PEOPLE[0].key_hash]]],
    5: {bytes([0xE0]) + PEOPLE[0].key_hash: 0},
    11: bytes(32),
    13: [[OLD_OUTPUT.tx_id, 0]],
    16: {0: PEOPLE[0].address(0).raw, 1: 2_000_000},
    17: 1_000_000,
    18: [[OLD_OUTPUT.tx_id, 0]],
    21: 0,
    22: 1,
}


def unjudged_part(rng: Random, case: Case) -> None:
    """A part of the body that we refuse because we cannot judge it."""
    key = rng.choice(sorted(UNJUDGED_BODY))
    case.body[key] = UNJUDGED_BODY[key]


def unjudged_output(rng: Random, case: Case) -> None:
    """A datum, by hash or inline, or a reference script."""
    output = _any_output(rng, case)
    inline = [1, Tag(24, encode(42))]
    reference = Tag(24, encode([0, Encoded(script.signature(PEOPLE[0].key_hash))]))
    output.update(rng.choice(({2: [0, bytes(32)]}, {2: inline}, {3: reference})))
    with_fee(case, case.body[FEE] + 500_000)


def unjudged_witness(rng: Random, case: Case) -> None:
    key = rng.choice((3, 4, 5, 6, 7))
    case.more_witnesses[key] = {5: [[0, 0, 42, [1, 1]]], 4: [42]}.get(
        key, [b"\x46\x01\x00\x00\x22\x00\x11"]
    )


def bootstrap_witness(rng: Random, case: Case) -> None:
    case.more_witnesses[2] = [[rng.randbytes(32), rng.randbytes(64), rng.randbytes(32), b"\xa0"]]


def scripts_in_auxiliary_data(rng: Random, case: Case) -> None:
    own = Encoded(script.signature(PEOPLE[0].key_hash))
    _set_auxiliary(case, encode(rng.choice(([{1: 2}, [own]], Tag(259, {0: {1: 2}, 1: [own]})))))
    with_fee(case, case.body[FEE] + 100_000)


MUTATIONS: dict[Mutation, int] = {
    nothing: 16,
    output_at_its_minimum: 3,
    fee_at_its_minimum: 4,
    expires: 3,
    starts: 3,
    guarded_input: 4,
    guarded_by_time: 4,
    minted: 3,
    body_network: 2,
    value_of_many_bytes: 2,
    signers_required: 2,
    sets_without_their_tag: 2,
    zero_tokens: 4,
    far_future: 4,
    input_twice: 4,
    key_of_the_body_twice: 2,
    **dict.fromkeys(
        (
            lovelace_from_nowhere, tokens_from_nowhere, token_renamed, no_outputs,
            output_of_nothing, no_tokens_said_at_length, negative_tokens, huge_amount,
            huge_amount_held, huge_amounts_summed, many_outputs, output_in_array_form,
            output_to_mainnet,
            output_to_a_network_that_is_not, output_to_a_script, address_of_a_wrong_length,
            address_of_a_stake_key, address_of_a_pointer, fee_only, of_many_bytes,
            input_unknown, input_unknown_besides, input_spent, input_spent_in_the_mempool,
            input_spent_in_a_block, no_inputs, input_left_out, inputs_out_of_order,
            input_of_another, input_index_too_large, interval_upside_down, timeless,
            signature_missing, signature_besides, signature_of_a_stranger,
            signature_of_another_transaction, signature_flipped, key_flipped, signature_twice,
            forged_signature_of_a_weak_key, signers_required_oddly, empty_witness_lists,
            metadata_changed, metadata_removed, metadata_unsigned, metadata_hash_alone,
            metadata_of_any_form, metadata_with_a_key_twice, script_missing, script_besides,
            script_twice, scripts_out_of_order, deep_script, odd_script, minted_without_a_policy,
            burned, minted_more_than_said, minted_zero, mint_left_out, mint_empty,
            says_its_scripts_fail, without_is_valid, byte_flipped, cut_short, fee_at_length,
            lists_without_length, unjudged_part, unjudged_output,
            unjudged_witness, bootstrap_witness, scripts_in_auxiliary_data,
        ),
        1,
    ),
}  # fmt: skip
"""Every mutation, and how often it is chosen compared with the others."""

PRELUDES: tuple[Mutation, ...] = (
    expires, starts, guarded_input, guarded_by_time, minted, signers_required, many_outputs,
    output_to_a_script, inputs_out_of_order, metadata_of_any_form,
)  # fmt: skip
"""Mutations that leave a form which any other can go on with."""
