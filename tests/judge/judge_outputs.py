"""Spoiling what a transaction pays: outputs, values, addresses, its network, fee and size."""

from __future__ import annotations

from random import Random

from judge_cases import FOREIGN, STRANGER, Case, random_script
from judge_edits import (
    add_to_an_input,
    afford,
    any_output,
    inputs_of,
    least_of,
    move,
    outputs_of,
    set_auxiliary,
    set_value,
    value_of,
    with_fee,
)

from nunet_dms.cardano import script
from nunet_dms.cardano.address import script_address
from nunet_dms.cardano.cbor import encode
from nunet_dms.cardano.fees import min_fee
from nunet_dms.cardano.output import (
    assets_to_cbor,
    value_to_cbor,
)
from nunet_dms.cardano.transaction import (
    FEE,
    NETWORK_ID,
    OUTPUTS,
)
from nunet_dms.cardano.value import AssetId, Value

HUGE = (2**62, 2**63 - 2, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1)


# --- outputs and value ---------------------------------------------------------------------------


def lovelace_from_nowhere(rng: Random, case: Case) -> None:
    output = any_output(rng, case)
    set_value(output, value_of(output) + Value(rng.choice((1, -1, 1000, -1000))))


def tokens_from_nowhere(rng: Random, case: Case) -> None:
    output = any_output(rng, case)
    asset = rng.choice([each for each, _ in value_of(output).assets] or list(FOREIGN))
    change = Value(0, ((asset, rng.choice((1, 1, -1, 10**6))),))
    if not (value_of(output) + change).is_negative:
        set_value(output, value_of(output) + change)


def token_renamed(rng: Random, case: Case) -> None:
    output = any_output(rng, case)
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
    move(case, wanted - value.lovelace)
    set_value(outputs_of(case)[place], Value(wanted, value.assets))


def output_of_nothing(rng: Random, case: Case) -> None:
    output = any_output(rng, case)
    set_value(output, Value(rng.choice((0, 1, 969_749))))


def no_outputs(rng: Random, case: Case) -> None:
    """Everything becomes a fee, or is burned for want of a policy."""
    spent = [case.unspent[ref] for ref in inputs_of(case) if ref in case.unspent]
    if rng.random() < 0.8:
        case.body[FEE] = sum(output.value.lovelace for output in spent)
    case.body[OUTPUTS] = []


def zero_tokens(rng: Random, case: Case) -> None:
    output = any_output(rng, case)
    value = value_of(output)
    output[1] = [value.lovelace, {**assets_to_cbor(value.assets), b"\x44" * 28: {b"none": 0}}]


def no_tokens_said_at_length(rng: Random, case: Case) -> None:
    """An empty map of policies, or a policy with an empty map of names."""
    output = any_output(rng, case)
    if not value_of(output).assets:
        output[1] = [value_of(output).lovelace, rng.choice(({}, {b"\x44" * 28: {}}))]


def negative_tokens(rng: Random, case: Case) -> None:
    output = any_output(rng, case)
    output[1] = [value_of(output).lovelace, {b"\x44" * 28: {b"less": -1}}]


def huge_amount(rng: Random, case: Case) -> None:
    """Lovelace or tokens near the limits of 64 bits, out of nothing."""
    output = any_output(rng, case)
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
    afford(rng, case)


def huge_amounts_summed(rng: Random, case: Case) -> None:
    """Two outputs whose tokens sum to more than 64 bits, from two inputs or from nowhere."""
    asset = AssetId(b"\x55" * 28, b"huge")
    for ref in inputs_of(case)[: rng.choice((1, 2))]:
        add_to_an_input(case, Value(0, ((asset, 2**63 - 1),)), ref)
    for output in outputs_of(case)[-2:]:
        set_value(output, value_of(output) + Value(0, ((asset, 2**63 - 1),)))
    afford(rng, case)


def value_of_many_bytes(rng: Random, case: Case) -> None:
    """An output whose value has about 5,000 bytes, the ledger's limit."""
    with_value_size(rng, case, rng.choice((4999, 5000, 5000, 5001, 5001, 5040, 6000)))


def with_value_size(rng: Random, case: Case, wanted: int) -> None:
    """Let the change hold so many assets that its value has that size."""
    base = value_of(outputs_of(case)[-1])
    count = (wanted - len(encode(value_to_cbor(base))) - 100) // 35
    assets = [AssetId(b"\x61" * 28, rng.randbytes(32)) for _ in range(count)]
    _hold(case, Value.of(0, dict.fromkeys(assets, 1)))
    afford(rng, case)
    missing = wanted - len(encode(value_to_cbor(value_of(outputs_of(case)[-1]))))
    # An amount of 100 takes a byte more than one of 1.
    _hold(case, Value.of(0, dict.fromkeys(assets[:missing], 99)))


def _hold(case: Case, value: Value) -> None:
    """Add to what an input holds, and to the change."""
    add_to_an_input(case, value)
    change = outputs_of(case)[-1]
    set_value(change, value_of(change) + value)


def many_outputs(rng: Random, case: Case) -> None:
    """Several more outputs, paid from the change."""
    output = {0: STRANGER.address(0).raw, 1: 1_000_000}
    count = rng.randint(1, 4)
    move(case, 1_000_000 * count)
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
    any_output(rng, case)[0] = address


def output_to_mainnet(rng: Random, case: Case) -> None:
    output = any_output(rng, case)
    output[0] = bytes([output[0][0] | 1]) + output[0][1:]


def output_to_a_network_that_is_not(rng: Random, case: Case) -> None:
    output = any_output(rng, case)
    output[0] = bytes([output[0][0] & 0xF0 | rng.choice((2, 7, 15))]) + output[0][1:]


def output_to_a_script(rng: Random, case: Case) -> None:
    guard = random_script(rng, case.slot)
    _readdress(rng, case, script_address(script.script_hash(guard), 0).raw)


def address_of_a_wrong_length(rng: Random, case: Case) -> None:
    output = any_output(rng, case)
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
    set_auxiliary(case, _filling(wanted))
    set_auxiliary(case, _filling(2 * wanted - len(case.raw())))


def _filling(size: int) -> bytes:
    """Metadata with a list of that many bytes, and always of more than 255 items."""
    whole, rest = divmod(max(400, size) - 400, 66)
    return encode({9: [*[bytes(64)] * whole, *[0] * (400 + rest)]})
