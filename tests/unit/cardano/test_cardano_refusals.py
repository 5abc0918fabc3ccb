"""Every code that refuses a payment or a payout is provoked here, by an attack or a mistake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cardano_eras import ATTRIBUTES, BYRON, CHAIN_CODE
from cardano_world import (
    ASSET,
    BUILT,
    DEADLINE,
    ESCROW,
    INCLUSION,
    JOB,
    NODE,
    ORACLE,
    PAID,
    PRICE,
    PROVIDER,
    REQUESTER,
    SETTLED,
    SETTLEMENT,
    STRANGER,
    TERMS,
    altered,
    payment,
    refusal_of,
    with_note,
)

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.builder import sign
from nunet_dms.cardano.cbor import Encoded, Tag, decode, encode
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.metadata import METADATA_LABEL
from nunet_dms.cardano.payment import (
    PaymentRefusal,
    SettlementRefusal,
    check_payment,
    check_settlement,
    verify_payment,
)
from nunet_dms.cardano.transaction import read_transaction

TESTS = Path(__file__).parents[2]


def paid(*path: Any, to: Any) -> bytes:
    """Return the payment with one field changed, signed anew by the payer."""
    return altered(PAID, _changing(path, to), REQUESTER)


def settled(*path: Any, to: Any) -> bytes:
    """Return the payout with one field changed; nobody has signed it yet."""
    return altered(SETTLED.raw, _changing(path, to))


def _changing(path: tuple[Any, ...], to: Any) -> Callable[[dict[int, Any]], None]:
    def change(body: dict[int, Any]) -> None:
        body[1] = list(body[1])
        place: Any = body
        for key in path[:-1]:
            if isinstance(place[key], tuple):
                place[key] = list(place[key])
            place = place[key]
        place[path[-1]] = to

    return change


def enveloped(raw: bytes, **changes: Any) -> bytes:
    """Return the transaction with other elements around the same body."""
    body = read_transaction(raw).body
    _, witnesses, valid, auxiliary = decode(raw)  # type: ignore[misc]
    parts = {"witnesses": witnesses, "valid": valid, "auxiliary": auxiliary, **changes}
    return encode([Encoded(body), *parts.values()])


OUTPUT = decode(PAID)[0][1][0]  # type: ignore[index]
TOKENS = (1, 0, 1, 1)
REFUSED_PAYMENTS: dict[PaymentRefusal, Callable[[], object]] = {
    PaymentRefusal.MALFORMED: lambda: check_payment(PAID + b"\x00", TERMS),
    PaymentRefusal.WRONG_TERMS: lambda: replace(TERMS, price=0),
    PaymentRefusal.WRONG_ID: lambda: check_payment(PAID, TERMS, bytes(32)),
    PaymentRefusal.WRONG_NETWORK: lambda: check_payment(paid(15, to=1), TERMS),
    PaymentRefusal.PHASE2_INVALID: lambda: check_payment(enveloped(PAID, valid=False), TERMS),
    PaymentRefusal.NO_WITNESS: lambda: check_payment(BUILT.raw, TERMS),
    PaymentRefusal.BAD_SIGNATURE: lambda: check_payment(
        enveloped(PAID, witnesses={0: [[REQUESTER.public, bytes(64)]]}), TERMS
    ),
    PaymentRefusal.METADATA_HASH_MISMATCH: lambda: check_payment(
        enveloped(PAID, auxiliary={METADATA_LABEL: {"v": 1, "job": b"k" * 32}}), TERMS
    ),
    PaymentRefusal.METADATA_MISSING: lambda: check_payment(with_note(None), TERMS),
    PaymentRefusal.METADATA_UNKNOWN: lambda: check_payment(with_note({METADATA_LABEL: 1}), TERMS),
    PaymentRefusal.WRONG_JOB: lambda: check_payment(payment(job_hash=b"k" * 32)[1], TERMS),
    PaymentRefusal.NO_ESCROW_OUTPUT: lambda: check_payment(
        paid(1, 0, 0, to=STRANGER.address(0).raw), TERMS
    ),
    PaymentRefusal.SEVERAL_ESCROW_OUTPUTS: lambda: check_payment(
        paid(1, to=[OUTPUT, OUTPUT]), TERMS
    ),
    PaymentRefusal.DATUM_PRESENT: lambda: check_payment(paid(1, 0, 2, to=[0, bytes(32)]), TERMS),
    PaymentRefusal.REFERENCE_SCRIPT_PRESENT: lambda: check_payment(
        paid(1, 0, 3, to=Tag(24, b"\x82\x00\x80")), TERMS
    ),
    PaymentRefusal.WRONG_POLICY: lambda: check_payment(
        paid(*TOKENS, to={b"p" * 28: {ASSET.name: PRICE}}), TERMS
    ),
    PaymentRefusal.WRONG_NAME: lambda: check_payment(
        paid(*TOKENS, to={ASSET.policy: {b"mntx": PRICE}}), TERMS
    ),
    PaymentRefusal.FOREIGN_TOKENS: lambda: check_payment(
        paid(*TOKENS, to={ASSET.policy: {ASSET.name: PRICE, b"": 1}}), TERMS
    ),
    PaymentRefusal.UNDERPAID: lambda: check_payment(
        paid(*TOKENS, to={ASSET.policy: {ASSET.name: PRICE - 1}}), TERMS
    ),
    PaymentRefusal.ESCROW_ADA_LOW: lambda: check_payment(paid(1, 0, 1, 0, to=1_000_000), TERMS),
    PaymentRefusal.NOT_ON_CHAIN: lambda: verify_payment(PAID, TERMS, replace(INCLUSION, raw=None)),
    PaymentRefusal.EXPIRED_TTL: lambda: verify_payment(
        PAID, TERMS, replace(INCLUSION, raw=None, tip_slot=50_000)
    ),
    PaymentRefusal.DIFFERENT_BYTES: lambda: verify_payment(
        PAID, TERMS, replace(INCLUSION, raw=payment(ttl=50_001)[1])
    ),
    PaymentRefusal.TOO_FEW_CONFIRMATIONS: lambda: verify_payment(
        PAID, TERMS, replace(INCLUSION, tip_height=INCLUSION.height - 1)
    ),
    PaymentRefusal.ESCROW_SPENT: lambda: verify_payment(
        PAID, TERMS, replace(INCLUSION, escrow_spent=True)
    ),
    PaymentRefusal.DEADLINE_TOO_NEAR: lambda: verify_payment(
        PAID, TERMS, replace(INCLUSION, tip_slot=DEADLINE)
    ),
}
KNOWN_TO_THE_ORACLE_ALONE = {
    PaymentRefusal.ALREADY_USED: "contract/oracle/test_oracle_payment_refusals.py",
}

REFUSED_PAYOUTS: dict[SettlementRefusal, bytes] = {
    SettlementRefusal.MALFORMED: SETTLED.raw[:-1],
    SettlementRefusal.PHASE2_INVALID: enveloped(SETTLED.raw, valid=False),
    SettlementRefusal.UNSUPPORTED: settled(22, to=1_000_000),
    SettlementRefusal.WRONG_NETWORK: settled(15, to=1),
    SettlementRefusal.WRONG_INPUTS: settled(0, to=[[BUILT.tx_id, 0], [BUILT.tx_id, 1]]),
    SettlementRefusal.MINTS: settled(9, to={ASSET.policy: {ASSET.name: -1}}),
    SettlementRefusal.HAS_METADATA: settled(7, to=bytes(32)),
    SettlementRefusal.HAS_VALIDITY: settled(3, to=1),
    SettlementRefusal.HAS_REQUIRED_SIGNERS: settled(14, to=[STRANGER.key_hash]),
    SettlementRefusal.FEE_TOO_HIGH: settled(2, to=1_000_000),
    SettlementRefusal.WRONG_OUTPUTS: settled(1, to=[{0: PROVIDER.address(0).raw, 1: 1}]),
    SettlementRefusal.WRONG_PROVIDER: settled(1, 0, 0, to=NODE.address(0).raw),
    SettlementRefusal.WRONG_PROVIDER_AMOUNT: settled(1, 0, 1, 0, to=2_000_000),
    SettlementRefusal.WRONG_REQUESTER: settled(1, 1, 0, to=ORACLE.address(0).raw),
    SettlementRefusal.WRONG_REQUESTER_AMOUNT: settled(1, 1, 1, to=1_600_000),
    SettlementRefusal.DATUM_PRESENT: settled(1, 0, 2, to=[0, bytes(32)]),
    SettlementRefusal.REFERENCE_SCRIPT_PRESENT: settled(1, 1, 3, to=Tag(24, b"\x82\x00\x80")),
    SettlementRefusal.WRONG_SCRIPT: enveloped(SETTLED.raw, witnesses={1: [[0, ORACLE.key_hash]]}),
    SettlementRefusal.BAD_SIGNATURE: enveloped(
        SETTLED.raw,
        witnesses={0: [[ORACLE.public, bytes(64)]], 1: [Encoded(ESCROW.script)]},
    ),
}


def test_every_refusal_is_provoked() -> None:
    assert {*REFUSED_PAYMENTS, *KNOWN_TO_THE_ORACLE_ALONE} == {*PaymentRefusal}
    assert {*REFUSED_PAYOUTS} == {*SettlementRefusal}
    for code, file in KNOWN_TO_THE_ORACLE_ALONE.items():
        assert code.value in (TESTS / file).read_text("utf-8")


@pytest.mark.parametrize("code", REFUSED_PAYMENTS)
def test_a_payment_is_refused_by_exactly_that_rule(code: PaymentRefusal) -> None:
    assert refusal_of(REFUSED_PAYMENTS[code]) == code.value


@pytest.mark.parametrize("code", REFUSED_PAYOUTS)
def test_a_payout_is_refused_by_exactly_that_rule(code: SettlementRefusal) -> None:
    assert refusal_of(check_settlement, REFUSED_PAYOUTS[code], SETTLEMENT) == code.value


# Attacks that a verifier falls for when it looks at the wrong thing.


def pairs(*items: tuple[object, object]) -> Encoded:
    """Return a map of these pairs, repeated keys and all."""
    head = bytes([0xA0 | len(items)])
    return Encoded(head + b"".join(encode(key) + encode(item) for key, item in items))


NOTE, OTHER_NOTE = {"v": 1, "job": JOB}, {"v": 1, "job": b"k" * 32}
LONG_LABEL = Encoded(b"\x1b" + METADATA_LABEL.to_bytes(8, "big"))
HASHED = Address(0, ESCROW.script_hash, payment_is_script=True)
ATTACKS: dict[str, tuple[Callable[[], bytes], str]] = {
    "the label twice": (
        lambda: with_raw_note(pairs((METADATA_LABEL, NOTE), (METADATA_LABEL, OTHER_NOTE))),
        "malformed",
    ),
    "the label twice, once written long": (
        lambda: with_raw_note(pairs((METADATA_LABEL, NOTE), (LONG_LABEL, OTHER_NOTE))),
        "malformed",
    ),
    "the job twice": (
        lambda: with_raw_note({METADATA_LABEL: pairs(("v", 1), ("job", JOB), ("job", b"k" * 32))}),
        "malformed",
    ),
    "the job in hex": (
        lambda: with_note({METADATA_LABEL: {"v": 1, "job": JOB.hex()}}),
        "wrong_job",
    ),
    "the job in a list": (
        lambda: with_note({METADATA_LABEL: {"v": 1, "job": [JOB]}}),
        "wrong_job",
    ),
    "the job under a key of bytes": (
        lambda: with_note({METADATA_LABEL: {"v": 1, b"job": JOB}}),
        "metadata_unknown",
    ),
    "true for version 1": (
        lambda: with_raw_note({METADATA_LABEL: {"v": True, "job": JOB}}),
        "malformed",
    ),
    "a version in text": (
        lambda: with_note({METADATA_LABEL: {"v": "1", "job": JOB}}),
        "metadata_unknown",
    ),
    "the escrow's script under a key's address": (
        lambda: paid(1, 0, 0, to=Address(0, ESCROW.script_hash, payment_is_script=False).raw),
        "no_escrow_output",
    ),
    "a stake part at the escrow's address": (
        lambda: paid(1, 0, 0, to=replace(HASHED, stake=REQUESTER.key_hash).raw),
        "no_escrow_output",
    ),
    "a pointer at the escrow's address": (
        lambda: paid(1, 0, 0, to=b"\x50" + ESCROW.script_hash + b"\x01\x02\x03"),
        "no_escrow_output",
    ),
    "junk behind the escrow's address": (
        lambda: paid(1, 0, to=[ESCROW.address.raw + b"\x00", 3_000_000]),
        "no_escrow_output",
    ),
    "the price in two outputs": (
        lambda: paid(
            1,
            to=[
                {0: ESCROW.address.raw, 1: [3_000_000, {ASSET.policy: {ASSET.name: PRICE - 1}}]},
                {0: ESCROW.address.raw, 1: [3_000_000, {ASSET.policy: {ASSET.name: 1}}]},
            ],
        ),
        "several_escrow_outputs",
    ),
    "the price under a name that ends in zero": (
        lambda: paid(*TOKENS, to={ASSET.policy: {ASSET.name + b"\x00": PRICE}}),
        "wrong_name",
    ),
    "the policy twice": (
        lambda: paid(
            *TOKENS,
            to=pairs((ASSET.policy, {ASSET.name: PRICE}), (ASSET.policy, {b"gold": 1})),
        ),
        "malformed",
    ),
    "less than nothing of another token": (
        lambda: paid(*TOKENS, to={ASSET.policy: {ASSET.name: PRICE}, b"p" * 28: {b"": -1}}),
        "malformed",
    ),
    "an amount beyond 64 bits": (
        lambda: paid(*TOKENS, to={ASSET.policy: {ASSET.name: Tag(2, b"\x01" + bytes(8))}}),
        "malformed",
    ),
    "a datum in the older form": (
        lambda: paid(
            1,
            0,
            to=[ESCROW.address.raw, [3_000_000, {ASSET.policy: {ASSET.name: PRICE}}], bytes(32)],
        ),
        "datum_present",
    ),
    "change on mainnet": (
        lambda: paid(1, 1, 0, to=REQUESTER.address(1).raw),
        "wrong_network",
    ),
    "a network of its own": (lambda: paid(15, to=7), "malformed"),
    "the same input twice": (lambda: paid(0, to=[[bytes(32), 0], [bytes(32), 0]]), "malformed"),
    "a good signature and a bad one of the same key": (
        lambda: enveloped(
            PAID,
            witnesses={
                0: [*decode(PAID)[1][0].value, [REQUESTER.public, bytes(64)]],  # type: ignore[index]
            },
        ),
        "bad_signature",
    ),
    "a good signature and a Byron key's bad one": (
        lambda: enveloped(
            PAID,
            witnesses={
                **decode(PAID)[1],  # type: ignore[index]
                2: [[ORACLE.public, bytes(64), CHAIN_CODE, ATTRIBUTES]],
            },
        ),
        "bad_signature",
    ),
    "another job's signature": (
        lambda: enveloped(PAID, witnesses=decode(payment(job_hash=b"k" * 32)[1])[1]),  # type: ignore[index]
        "bad_signature",
    ),
    "the key that every signature fits": (
        lambda: enveloped(PAID, witnesses={0: [[b"\x01" + bytes(31), b"\x01" + bytes(63)]]}),
        "bad_signature",
    ),
}


def with_raw_note(note: object) -> bytes:
    """Return the payment with metadata that need not be readable, its hash signed."""
    signed = paid(7, to=blake2b_256(encode(note)))
    cut = len(signed) - len(encode(decode(PAID)[3]))  # type: ignore[index]
    return signed[:cut] + encode(note)


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_on_the_verifier_fails(attack: str) -> None:
    raw, code = ATTACKS[attack]
    assert refusal_of(check_payment, raw(), TERMS) == code


def test_what_costs_the_payer_alone_is_left_to_the_ledger() -> None:
    """Signatures that nobody asked for, the same one twice, a fee out of all measure."""
    witness = decode(PAID)[1][0].value[0]  # type: ignore[index]
    twice = enveloped(PAID, witnesses={0: [witness, witness]})
    for raw in (sign(PAID, STRANGER, ORACLE), twice, paid(2, to=50_000_000)):
        assert check_payment(raw, TERMS).amount == PRICE


def test_a_payment_from_a_byron_wallet_is_a_payment() -> None:
    """Byron keys alone sign it, and its change goes to a Byron address."""
    raw = paid(1, 1, to=[BYRON, 1_000_000])
    tx_id = read_transaction(raw).tx_id
    byron = [ORACLE.public, ORACLE.sign(tx_id), CHAIN_CODE, ATTRIBUTES]
    assert check_payment(enveloped(raw, witnesses={2: [byron]}), TERMS).amount == PRICE
    forged = [ORACLE.public, STRANGER.sign(tx_id), CHAIN_CODE, ATTRIBUTES]
    assert refusal_of(check_payment, enveloped(raw, witnesses={2: [forged]}), TERMS) == (
        "bad_signature"
    )
    assert refusal_of(check_payment, enveloped(raw, witnesses={2: []}), TERMS) == "no_witness"
