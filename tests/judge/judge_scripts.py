"""Spoiling scripts, what is minted, the envelope and the bytes; and parts that we do not judge."""

from __future__ import annotations

from random import Random

from judge_cases import FOREIGN, OLD_OUTPUT, PEOPLE, Case, random_script
from judge_edits import (
    add_to_an_input,
    afford,
    any_output,
    inputs_of,
    move,
    outputs_of,
    set_auxiliary,
    set_inputs,
    set_value,
    value_of,
    with_fee,
)

from nunet_dms.cardano import script
from nunet_dms.cardano.address import script_address
from nunet_dms.cardano.cbor import Encoded, Tag, encode
from nunet_dms.cardano.output import (
    new_output,
)
from nunet_dms.cardano.transaction import (
    FEE,
    MINT,
    OUTPUTS,
    TTL,
    VALID_FROM,
    TxInput,
)
from nunet_dms.cardano.value import AssetId, Value

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
    move(case, -8_000_000)


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
    afford(rng, case)


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
    afford(rng, case)


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
    add_to_an_input(case, Value(0, ((asset, held),)), ref)
    _mint(case, digest, {asset.name: -min(gone, 2**64)})
    if policy not in case.scripts:
        case.scripts.append(policy)
    if PEOPLE[0] not in case.keys:
        case.keys.append(PEOPLE[0])
    change = outputs_of(case)[-1]
    if held > gone:
        set_value(change, value_of(change) + Value(0, ((asset, held - gone),)))
    afford(rng, case)


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
    move(case, 1_000_000)
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
    output = any_output(rng, case)
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
    set_auxiliary(case, encode(rng.choice(([{1: 2}, [own]], Tag(259, {0: {1: 2}, 1: [own]})))))
    with_fee(case, case.body[FEE] + 100_000)
