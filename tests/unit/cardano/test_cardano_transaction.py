"""Reading transactions: what comes back, whatever way it was written, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from cardano_world import (
    ASSET,
    BUILT,
    ESCROW,
    JOB,
    ORACLE,
    PAID,
    PRICE,
    REQUESTER,
    altered,
)

from nunet_dms.cardano.cbor import Encoded, Tag, decode, encode
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.metadata import METADATA_LABEL
from nunet_dms.cardano.transaction import (
    MAX_TRANSACTION_BYTES,
    Transaction,
    TxInput,
    Witness,
    read_transaction,
)
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.errors import MalformedError

READ = read_transaction(PAID)
HASH = b"h" * 28


def test_a_payment_reads_as_it_was_built() -> None:
    assert READ.tx_id == BUILT.tx_id == blake2b_256(READ.body)
    assert READ.outputs == BUILT.outputs
    assert READ.outputs[0].address == ESCROW.address.raw
    assert READ.outputs[0].value == Value.of(3_000_000, {ASSET: PRICE})
    assert READ.fee == BUILT.fee
    assert READ.ttl == 50_000
    assert (READ.valid_from, READ.mint, READ.required_signers) == (None, (), ())
    assert READ.network_id == 0
    assert READ.metadata == {METADATA_LABEL: {"v": 1, "job": JOB}}
    assert READ.metadata_raw is not None
    assert READ.metadata_hash == blake2b_256(READ.metadata_raw)
    assert READ.signers == {REQUESTER.key_hash}
    assert READ.unsupported == ()
    assert READ.claims_valid
    assert READ.size == len(READ.raw) == len(PAID)


def test_an_id_is_the_hash_of_the_bytes_that_travelled() -> None:
    """The same body in another encoding is another transaction; wallets write many."""
    body, witnesses, valid, auxiliary = decode(PAID)  # type: ignore[misc]
    long_fee = Encoded(b"\x1b" + body[2].to_bytes(8, "big"))
    outputs = Encoded(b"\x9f" + b"".join(encode(output) for output in body[1]) + b"\xff")
    fields = {**body, 1: outputs, 2: long_fee}
    written = b"".join(encode(key) + encode(item) for key, item in fields.items())
    indefinite = b"\xbf" + written + b"\xff"
    read = read_transaction(encode([Encoded(indefinite), witnesses, valid, auxiliary]))
    assert read.tx_id == blake2b_256(indefinite) != READ.tx_id
    assert (read.fee, read.outputs, read.inputs) == (READ.fee, READ.outputs, READ.inputs)
    assert len(read.invalid_witnesses()) == 1


def test_three_elements_are_a_transaction_too() -> None:
    body, witnesses, _, auxiliary = decode(PAID)  # type: ignore[misc]
    read = read_transaction(encode([body, witnesses, auxiliary]))
    assert read.tx_id == READ.tx_id
    assert read.claims_valid
    assert read.invalid_witnesses() == ()
    assert read_transaction(encode([body, witnesses, None])).metadata_raw is None


def test_an_envelope_that_claims_to_be_invalid_is_told_apart() -> None:
    body, witnesses, _, auxiliary = decode(PAID)  # type: ignore[misc]
    read = read_transaction(encode([body, witnesses, False, auxiliary]))
    assert read.tx_id == READ.tx_id
    assert not read.claims_valid


@pytest.mark.parametrize("tagged", [False, True])
def test_sets_may_carry_their_tag_or_not(tagged: bool) -> None:
    def untag(body: dict[int, Any]) -> None:
        body[14] = [HASH]
        body[0] = Tag(258, body[0].value) if tagged else body[0].value

    read = read_transaction(altered(PAID, untag, REQUESTER))
    assert read.inputs == READ.inputs
    assert read.required_signers == (HASH,)
    assert read.invalid_witnesses() == ()


def test_outputs_of_the_older_form_are_read() -> None:
    address = ESCROW.address.raw
    legacy = [[address, 5], [address, [6, {b"p" * 28: {b"": 7}}], b"d" * 32]]

    def replace_outputs(body: dict[int, Any]) -> None:
        body[1] = legacy

    plain, rich = read_transaction(altered(PAID, replace_outputs)).outputs
    assert plain.value == Value(5)
    assert plain.size == len(encode(legacy[0]))
    assert not plain.has_datum
    assert rich.value == Value.of(6, {AssetId(b"p" * 28, b""): 7})
    assert rich.has_datum
    assert not rich.has_script_ref


def test_datum_and_reference_script_are_noticed() -> None:
    def add(body: dict[int, Any]) -> None:
        body[1][0][2] = [1, Tag(24, b"\x00")]
        body[1][1][3] = Tag(24, b"\x82\x00\x40")

    first, second = read_transaction(altered(PAID, add)).outputs
    assert (first.has_datum, first.has_script_ref) == (True, False)
    assert (second.has_datum, second.has_script_ref) == (False, True)


@pytest.mark.parametrize(
    ("key", "content", "name"),
    [
        (4, [[0]], "certificates"),
        (5, {}, "withdrawals"),
        (4, Tag(258, [[0, [0, HASH]], [2, [1, HASH], HASH]]), "certificates"),
        (5, {b"\xe0" + HASH: 2**64 - 1}, "withdrawals"),
        (6, [{}, 5], "protocol_update"),
        (11, b"d" * 32, "script_data_hash"),
        (13, [], "collateral"),
        (16, [ESCROW.address.raw, 1], "collateral_return"),
        (17, 5, "total_collateral"),
        (18, [], "reference_inputs"),
        (18, [[b"a" * 32, 0], [b"a" * 32, 0]], "reference_inputs"),
        (19, {(2, HASH): {(b"a" * 32, 0): [1, None]}}, "votes"),
        (20, [[0, b"\xe0" + HASH, [6], ["", b"a" * 32]]], "proposals"),
        (21, 0, "treasury_value"),
        (22, 1, "donation"),
        (23, [[{}, {}, None]], "sub_transactions"),
        (14, [[0, HASH]], "guards"),
        (99, {}, "body_key_99"),
    ],
)
def test_body_keys_that_we_do_not_judge_are_named(key: int, content: object, name: str) -> None:
    def add(body: dict[int, Any]) -> None:
        body[key] = content

    assert read_transaction(altered(PAID, add)).unsupported == (name,)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (3, "plutus_v1_scripts"),
        (4, "plutus_data"),
        (5, "redeemers"),
        (6, "plutus_v2_scripts"),
        (7, "plutus_v3_scripts"),
        (8, "witness_key_8"),
    ],
)
def test_witnesses_that_we_do_not_judge_are_named(key: int, name: str) -> None:
    body, witnesses, valid, auxiliary = decode(PAID)  # type: ignore[misc]
    witnesses[key] = [Tag(121, ({1: 2},))]
    assert read_transaction(encode([body, witnesses, valid, auxiliary])).unsupported == (name,)


def test_mint_and_validity_are_read() -> None:
    def add(body: dict[int, Any]) -> None:
        body[8] = 4
        body[9] = {b"p" * 28: {b"n": -5, b"m": 6}}

    read = read_transaction(altered(PAID, add))
    assert read.valid_from == 4
    assert read.mint == ((AssetId(b"p" * 28, b"m"), 6), (AssetId(b"p" * 28, b"n"), -5))


@pytest.mark.parametrize(
    "auxiliary",
    [[{7: 1}, []], Tag(259, {0: {7: 1}, 1: []}), Tag(259, {0: {7: 1}, 4: [b"plutus"]})],
)
def test_metadata_of_every_era_is_read(auxiliary: object) -> None:
    body, witnesses, valid, _ = decode(PAID)  # type: ignore[misc]
    read = read_transaction(encode([body, witnesses, valid, auxiliary]))
    assert read.metadata == {7: 1}
    assert read.metadata_raw == encode(auxiliary)
    assert read.unsupported == ("auxiliary_scripts",)


@pytest.mark.parametrize(
    "note",
    [
        [{7: "x" * 65}, []],
        [{7: b"x" * 65}, []],
        Tag(259, {0: {7: ["é" * 33]}}),
        Tag(259, {0: {7: {"x" * 65: 1}}}),
        Tag(259, {6: []}),
        Tag(259, {1: {}}),
        [{7: 1}, {}],
        [{7: 1}, [], []],
        {7: {True: 1}},
        {7: True},
        {7: None},
        {7: Tag(2, b"\x01")},
        {-1: 1},
        {"seven": 1},
        [1],
        [{7: 1}],
        Tag(260, {}),
        Tag(259, [1]),
        7,
        "seven",
    ],
)
def test_metadata_that_the_ledger_refuses_is_malformed(note: object) -> None:
    body, witnesses, valid, _ = decode(PAID)  # type: ignore[misc]
    with pytest.raises(MalformedError):
        read_transaction(encode([body, witnesses, valid, note]))


def _twice(body: dict[int, Any]) -> None:
    body[0] = Tag(258, body[0].value * 2)


def _set(path: tuple[int, ...], content: object) -> Any:
    def change(body: dict[int, Any]) -> None:
        place: Any = body
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = content

    return change


def _drop(key: int) -> Any:
    def change(body: dict[int, Any]) -> None:
        del body[key]

    return change


@pytest.mark.parametrize(
    "change",
    [
        _twice,
        _drop(0),
        _drop(1),
        _drop(2),
        _set((0,), []),
        _set((0,), Tag(259, [[b"a" * 32, 0]])),
        _set((0,), [[b"a" * 31, 0]]),
        _set((0,), [[b"a" * 32, 65_536]]),
        _set((0,), [[b"a" * 32]]),
        _set((0,), [[b"a" * 32, 0, 0]]),
        _set((2,), -1),
        _set((2,), Tag(2, b"\x01")),
        _set((3,), None),
        _set((15,), True),
        _set((14,), [b"short"]),
        _set((7,), b"short"),
        _set((9,), {b"p" * 28: {b"": 2**63}}),
        _set((9,), {b"p" * 28: {b"": -(2**63) - 1}}),
        _set((9,), {b"p" * 28: {b"": Tag(2, b"\x01")}}),
        _set((2,), Encoded(b"\xc2\x49\x01" + bytes(8))),
        _set((15,), 2),
        _set((4,), {}),
        _set((4,), [5]),
        _set((5,), {b"\xe0": 1}),
        _set((5,), {b"\xe0" + HASH: -1}),
        _set((6,), {}),
        _set((11,), HASH),
        _set((13,), 5),
        _set((16,), 5),
        _set((17,), -1),
        _set((18,), [[b"a" * 32]]),
        _set((19,), []),
        _set((20,), {}),
        _set((22,), None),
        _set((1,), 5),
        _set((1, 0), []),
        _set((1, 0), [ESCROW.address.raw]),
        _set((1, 0), [ESCROW.address.raw, 1, b"d" * 32, 4]),
        _set((1, 0), {0: ESCROW.address.raw}),
        _set((1, 0, 4), 0),
        _set((1, 0, 1), -1),
        _set((1, 0, 1), [1]),
        _set((1, 0, 1), [1, {}, 2]),
        _set((1, 0, 1), [1, {b"p" * 28: {b"n": -1}}]),
        _set((1, 0, 1), [1, {b"p" * 28: {b"n": Tag(2, b"\x01")}}]),
        _set((1, 0, 2), [2, b"d" * 32]),
        _set((1, 0, 2), [0, b"d" * 31]),
        _set((1, 0, 2), [1, b"\x00"]),
        _set((1, 0, 2), [1, Tag(24, b"")]),
        _set((1, 0, 2), [1, Tag(24, b"\x00\x00")]),
        _set((1, 0, 2), b"d" * 32),
        _set((1, 0, 3), Tag(24, b"\x82\x00")),
        _set((1, 0, 3), b"\x82\x00\x40"),
        _set((1, 0, 1), [1, {b"p" * 28: {b"n" * 33: 1}}]),
        _set((1, 0, 1), [1, {b"p" * 27: {b"n": 1}}]),
        _set((1, 0, 1), [1, 5]),
        _set((1, 0, 0), ESCROW.address.raw + b"\x00"),
        _set((1, 0), [b"\x20" + HASH, 1]),
        _set((1, 0), [b"\x40" + HASH + b"\x01\x02", 1]),
        _set((1, 0), [b"\x90" + HASH + HASH, 1]),
        _set((1, 0), [b"\x82" + bytes(60), 1]),
        _set((1, 0, 0), b"\xe0" + HASH),
        _set((1, 0, 0), b"\x00" + HASH),
        _set((1, 0, 0), b""),
    ],
)
def test_a_body_that_breaks_the_format_is_malformed(change: Any) -> None:
    def listed(body: dict[int, Any]) -> None:
        body[1] = list(body[1])
        change(body)

    with pytest.raises(MalformedError):
        read_transaction(altered(PAID, listed))


def _repeated(content: dict[Any, Any]) -> Encoded:
    """Return the map with its first pair once more at the end."""
    pairs = [*content.items(), next(iter(content.items()))]
    return Encoded(
        bytes([0xA0 | len(pairs)]) + b"".join(encode(key) + encode(item) for key, item in pairs)
    )


def test_keys_that_repeat_are_malformed() -> None:
    """Two readers may take different ones of two; nobody honest writes both."""
    body, witnesses, valid, auxiliary = decode(PAID)  # type: ignore[misc]
    output = body[1][0]
    lovelace, assets = output[1]
    names = assets[ASSET.policy]
    bodies = [
        _repeated(body),
        {**body, 1: [_repeated(output)]},
        {**body, 1: [{**output, 1: [lovelace, _repeated(assets)]}]},
        {**body, 1: [{**output, 1: [lovelace, {ASSET.policy: _repeated(names)}]}]},
        {**body, 9: _repeated(assets)},
    ]
    envelopes = [[changed, witnesses, valid, auxiliary] for changed in bodies]
    envelopes += [
        [body, _repeated(witnesses), valid, auxiliary],
        [body, witnesses, valid, _repeated(auxiliary)],
        [body, witnesses, valid, {7: _repeated({1: 2})}],
        [body, witnesses, valid, Encoded(b"\xd9\x01\x03" + _repeated({0: auxiliary}).raw)],
    ]
    for envelope in envelopes:
        with pytest.raises(MalformedError):
            read_transaction(encode(envelope))


def test_envelopes_of_other_shapes_are_malformed() -> None:
    body, witnesses, valid, auxiliary = decode(PAID)  # type: ignore[misc]
    for envelope in (
        [],
        [body],
        [body, witnesses],
        [body, witnesses, valid],
        [body, witnesses, valid, auxiliary, None],
        [body, witnesses, auxiliary, valid],
        [body, witnesses, auxiliary, auxiliary],
        [body, witnesses, valid, valid],
        [witnesses, body, valid, auxiliary],
        {0: body},
    ):
        with pytest.raises(MalformedError):
            read_transaction(encode(envelope))
    for raw in (PAID + b"\x00", PAID[:-1], b"", bytes(MAX_TRANSACTION_BYTES + 1)):
        with pytest.raises(MalformedError):
            read_transaction(raw)


def test_a_signature_that_is_there_twice_counts_once() -> None:
    """Old wallets wrote it so, and blocks of Shelley to Babbage hold such transactions."""
    body, witnesses, valid, auxiliary = decode(PAID)  # type: ignore[misc]
    pair = witnesses[0].value[0]
    other = [pair[0], bytes(64)]
    read = read_transaction(encode([body, {0: [pair, pair]}, valid, auxiliary]))
    assert read.witnesses == READ.witnesses
    read = read_transaction(encode([body, {0: [pair, other]}, valid, auxiliary]))
    assert read.invalid_witnesses() == (Witness(*other),)


def test_a_witness_is_a_key_and_a_signature() -> None:
    body, witnesses, valid, auxiliary = decode(PAID)  # type: ignore[misc]
    pair = witnesses[0].value[0]
    for pairs in ([[pair[0]]], [[*pair, 1]], [[pair[1], pair[0]]], 5):
        witnesses[0] = pairs
        with pytest.raises(MalformedError):
            read_transaction(encode([body, witnesses, valid, auxiliary]))


def test_native_scripts_keep_their_bytes() -> None:
    body, witnesses, valid, auxiliary = decode(PAID)  # type: ignore[misc]
    indefinite = b"\x9f\x00\x58\x1c" + HASH + b"\xff"
    witnesses[1] = [Encoded(indefinite), Encoded(ESCROW.script)]
    read = read_transaction(encode([body, witnesses, valid, auxiliary]))
    assert read.native_scripts == (indefinite, ESCROW.script)
    witnesses[1] = [[9, 9]]
    with pytest.raises(MalformedError):
        read_transaction(encode([body, witnesses, valid, auxiliary]))


def test_a_signature_by_another_key_or_of_another_body_does_not_hold() -> None:
    assert READ.invalid_witnesses() == ()
    foreign = Witness(ORACLE.public, READ.witnesses[0].signature)
    small_order = Witness(b"\x01" + bytes(31), b"\x01" + bytes(63))
    for witness in (foreign, small_order):
        assert _signed_by(witness).invalid_witnesses() == (witness,)


def _signed_by(witness: Witness) -> Transaction:
    body, witnesses, valid, auxiliary = decode(PAID)  # type: ignore[misc]
    witnesses[0] = [[witness.public, witness.signature]]
    return read_transaction(encode([body, witnesses, valid, auxiliary]))


def test_a_reference_is_written_as_cardano_cli_does() -> None:
    assert str(TxInput(b"\x00" * 32, 3)) == "00" * 32 + "#3"
