"""A payment is accepted when everything holds; each rule that does not has its own code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cardano_world import (
    ASSET,
    BUILT,
    DEADLINE,
    ESCROW,
    INCLUSION,
    JOB,
    MIN_ESCROW_LOVELACE,
    NODE,
    ORACLE,
    PAID,
    PRICE,
    REQUESTER,
    STRANGER,
    TERMS,
    altered,
    payment,
    with_note,
)

from nunet_dms.cardano.address import Address, script_address
from nunet_dms.cardano.builder import sign
from nunet_dms.cardano.cbor import Encoded, Tag, decode, encode
from nunet_dms.cardano.escrow import commitment_for
from nunet_dms.cardano.metadata import METADATA_LABEL
from nunet_dms.cardano.network import MAINNET, PREPROD
from nunet_dms.cardano.payment import (
    Inclusion,
    PaymentRefusal,
    PaymentTerms,
    VerifiedPayment,
    check_inclusion,
    check_payment,
    verify_payment,
)
from nunet_dms.errors import VerificationError

Body = dict[int, Any]
CODES = {refusal.value for refusal in PaymentRefusal}
OTHER_JOB = b"k" * 32


def refusal(raw: bytes, terms: PaymentTerms = TERMS, expected_id: bytes | None = None) -> str:
    """Return the code with which the payment is refused."""
    with pytest.raises(VerificationError) as caught:
        check_payment(raw, terms, expected_id)
    assert str(caught.value).startswith("cannot ")
    return caught.value.code


def test_an_honest_payment_is_accepted() -> None:
    assert check_payment(PAID, TERMS, BUILT.tx_id) == VerifiedPayment(
        tx_id=BUILT.tx_id,
        output_index=0,
        amount=PRICE,
        lovelace=3_000_000,
        escrow_address=ESCROW.address,
    )
    assert verify_payment(PAID, TERMS, INCLUSION).tx_id == BUILT.tx_id


def test_the_escrow_may_be_any_output_and_hold_more_than_the_price() -> None:
    def swap(body: Body) -> None:
        body[1] = body[1][::-1]

    paid = check_payment(altered(PAID, swap, REQUESTER), TERMS)
    assert paid.output_index == 1
    assert check_payment(PAID, replace(TERMS, price=PRICE - 1)).amount == PRICE


# Every signed field, changed by somebody who cannot sign.


def _set(*path: Any, to: Any) -> Callable[[Body], None]:
    def change(body: Body) -> None:
        body[1] = list(body[1])
        place: Any = body
        for key in path[:-1]:
            if isinstance(place[key], tuple):
                place[key] = list(place[key])
            place = place[key]
        place[path[-1]] = to

    return change


FIELDS = {
    "input id": _set(0, to=[[b"x" * 32, 0]]),
    "input index": _set(0, to=[[bytes(32), 1]]),
    "escrow address": _set(1, 0, 0, to=STRANGER.address(0).raw),
    "escrow lovelace": _set(1, 0, 1, 0, to=2_999_999),
    "escrow amount": _set(1, 0, 1, 1, to={ASSET.policy: {ASSET.name: PRICE + 1}}),
    "escrow policy": _set(1, 0, 1, 1, to={b"p" * 28: {ASSET.name: PRICE}}),
    "escrow name": _set(1, 0, 1, 1, to={ASSET.policy: {b"mntx": PRICE}}),
    "datum": _set(1, 0, 2, to=[1, Tag(24, b"\x00")]),
    "reference script": _set(1, 0, 3, to=Tag(24, b"\x82\x00\x40")),
    "change address": _set(1, 1, 0, to=STRANGER.address(0).raw),
    "change amount": _set(1, 1, 1, 0, to=1),
    "fee": _set(2, to=0),
    "ttl": _set(3, to=50_001),
    "metadata hash": _set(7, to=bytes(32)),
    "validity start": _set(8, to=1),
    "mint": _set(9, to={ASSET.policy: {b"x": 1}}),
    "required signers": _set(14, to=[STRANGER.key_hash]),
    "certificates": _set(4, to=[]),
}


@pytest.mark.parametrize("change", FIELDS.values(), ids=FIELDS)
def test_a_changed_field_breaks_the_signature_and_the_id(change: Callable[[Body], None]) -> None:
    tampered = altered(PAID, change)
    assert refusal(tampered) == "bad_signature"
    assert refusal(tampered, expected_id=BUILT.tx_id) == "wrong_id"


# The same, changed by the payer, who can.

ASSETS = (1, 0, 1, 1)


def _without_network(body: Body) -> None:
    del body[15]


def _twice(body: Body) -> None:
    body[1] = [body[1][0], body[1][0], body[1][1]]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_set(*ASSETS, to={ASSET.policy: {ASSET.name: PRICE - 1}}), "underpaid"),
        (_set(1, 0, 1, to=3_000_000), "underpaid"),
        (_set(*ASSETS, to={b"p" * 28: {ASSET.name: PRICE}}), "wrong_policy"),
        (_set(*ASSETS, to={ASSET.policy: {b"mNTY": PRICE}}), "wrong_name"),
        (_set(*ASSETS, to={ASSET.policy: {b"": PRICE}}), "wrong_name"),
        (_set(*ASSETS, to={b"p" * 28: {b"GOLD": PRICE}}), "foreign_tokens"),
        (_set(*ASSETS, to={ASSET.policy: {ASSET.name: PRICE, b"x": 1}}), "foreign_tokens"),
        (
            _set(*ASSETS, to={ASSET.policy: {ASSET.name: PRICE}, b"p" * 28: {b"x": 1}}),
            "foreign_tokens",
        ),
        (_set(1, 0, 1, 0, to=MIN_ESCROW_LOVELACE - 1), "escrow_ada_low"),
        (_set(1, 0, 0, to=STRANGER.address(0).raw), "no_escrow_output"),
        (_set(1, 0, 0, to=Address(0, ESCROW.script_hash, False).raw), "no_escrow_output"),
        (
            _set(1, 0, 0, to=Address(0, ESCROW.script_hash, True, b"s" * 28).raw),
            "no_escrow_output",
        ),
        (_set(1, 0, 0, to=script_address(ESCROW.script_hash, 1).raw), "wrong_network"),
        (_set(1, 1, 0, to=REQUESTER.address(1).raw), "wrong_network"),
        (_set(15, to=1), "wrong_network"),
        (_twice, "several_escrow_outputs"),
        (_set(1, 0, 2, to=[0, bytes(32)]), "datum_present"),
        (_set(1, 0, 3, to=Tag(24, b"\x82\x00\x40")), "reference_script_present"),
        (_set(7, to=bytes(32)), "metadata_hash_mismatch"),
    ],
)
def test_a_payment_that_breaks_a_rule_is_refused_by_it(
    change: Callable[[Body], None], code: str
) -> None:
    assert refusal(altered(PAID, change, REQUESTER)) == code


def test_a_network_id_may_be_left_out() -> None:
    assert check_payment(altered(PAID, _without_network, REQUESTER), TERMS)


@pytest.mark.parametrize(
    ("note", "code"),
    [
        (None, "metadata_missing"),
        ({}, "metadata_missing"),
        ({METADATA_LABEL + 1: {"v": 1, "job": JOB}}, "metadata_missing"),
        ({METADATA_LABEL: {"v": 2, "job": JOB}}, "metadata_unknown"),
        ({METADATA_LABEL: {"job": JOB}}, "metadata_unknown"),
        ({METADATA_LABEL: {"v": 1}}, "metadata_unknown"),
        ({METADATA_LABEL: [1, JOB]}, "metadata_unknown"),
        ({METADATA_LABEL: {"v": 1, "job": OTHER_JOB}}, "wrong_job"),
        ({METADATA_LABEL: {"v": 1, "job": JOB.decode()}}, "wrong_job"),
        ({METADATA_LABEL: {"v": 1, "job": JOB[:-1]}}, "wrong_job"),
    ],
)
def test_metadata_must_name_the_job(note: object, code: str) -> None:
    assert refusal(with_note(note)) == code


def test_metadata_may_say_more() -> None:
    raw = with_note({674: {"msg": ["for the digits"]}, METADATA_LABEL: {"v": 1, "job": JOB}})
    assert check_payment(raw, TERMS).amount == PRICE


@pytest.mark.parametrize("note", [None, {METADATA_LABEL: {"v": 1, "job": OTHER_JOB}}])
def test_metadata_swapped_on_the_way_is_refused(note: object) -> None:
    body, witnesses, valid, _ = decode(PAID)  # type: ignore[misc]
    assert refusal(encode([body, witnesses, valid, note])) == "metadata_hash_mismatch"


def test_metadata_that_the_body_does_not_know_is_refused() -> None:
    def forget(body: Body) -> None:
        del body[7]

    assert refusal(altered(PAID, forget, REQUESTER)) == "metadata_hash_mismatch"


def test_a_payment_bound_to_another_job_is_refused() -> None:
    escrow = replace(ESCROW, commitment=commitment_for(OTHER_JOB))
    _, raw = payment(job_hash=OTHER_JOB, escrow=escrow)
    assert refusal(raw) == "wrong_job"
    _, raw = payment(escrow=escrow)
    assert refusal(raw) == "no_escrow_output"
    _, raw = payment(job_hash=OTHER_JOB)
    assert refusal(raw) == "wrong_job"


def test_terms_that_contradict_themselves_are_refused() -> None:
    for changes, code in (
        ({"job_hash": OTHER_JOB}, "wrong_job"),
        ({"job_hash": b"short"}, "wrong_terms"),
        ({"price": 0}, "wrong_terms"),
        ({"network": MAINNET}, "wrong_network"),
    ):
        with pytest.raises(VerificationError) as caught:
            replace(TERMS, **changes)  # type: ignore[arg-type]
        assert caught.value.code == code


def test_signatures_are_wanted_and_all_must_hold() -> None:
    body, witnesses, valid, auxiliary = decode(PAID)  # type: ignore[misc]
    assert refusal(BUILT.raw) == "no_witness"
    good = list(witnesses[0].value)
    forged = [STRANGER.public, bytes(64)]
    for pairs, code in (([], "no_witness"), ([forged], "bad_signature")):
        assert refusal(encode([body, {0: pairs}, valid, auxiliary])) == code
    assert refusal(encode([body, {0: [*good, forged]}, valid, auxiliary])) == "bad_signature"
    assert check_payment(sign(PAID, STRANGER), TERMS)


def test_an_envelope_that_claims_invalid_scripts_is_refused() -> None:
    body, witnesses, _, auxiliary = decode(PAID)  # type: ignore[misc]
    assert refusal(encode([body, witnesses, False, auxiliary])) == "phase2_invalid"


def test_a_wrong_id_is_refused() -> None:
    assert refusal(PAID, expected_id=bytes(32)) == "wrong_id"


# What the chain says.


def refused_inclusion(inclusion: Inclusion, terms: PaymentTerms = TERMS, raw: bytes = PAID) -> str:
    """Return the code with which the payment's inclusion is refused."""
    with pytest.raises(VerificationError) as caught:
        check_inclusion(raw, inclusion, terms)
    with pytest.raises(VerificationError) as again:
        verify_payment(raw, terms, inclusion)
    assert again.value.code == caught.value.code
    return caught.value.code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"raw": None}, "not_on_chain"),
        ({"raw": None, "tip_slot": 49_999}, "not_on_chain"),
        ({"raw": None, "tip_slot": 50_000}, "expired_ttl"),
        ({"raw": payment(ttl=50_001)[1]}, "different_bytes"),
        ({"raw": b"\x00"}, "malformed"),
        ({"valid": False}, "phase2_invalid"),
        ({"tip_height": 6}, "too_few_confirmations"),
        ({"escrow_spent": True}, "escrow_spent"),
        ({"tip_slot": DEADLINE - 599}, "deadline_too_near"),
        ({"tip_slot": DEADLINE + 1}, "deadline_too_near"),
    ],
)
def test_each_rule_of_inclusion_has_its_code(changes: dict[str, Any], code: str) -> None:
    assert refused_inclusion(replace(INCLUSION, **changes)) == code


def test_the_last_slot_that_leaves_time_for_the_job_is_accepted() -> None:
    check_inclusion(PAID, replace(INCLUSION, tip_slot=DEADLINE - 600), TERMS)


def test_a_payment_without_ttl_never_expires() -> None:
    _, raw = payment(ttl=None)
    assert refused_inclusion(replace(INCLUSION, raw=None, tip_slot=60_000), raw=raw) == (
        "not_on_chain"
    )


@pytest.mark.parametrize(("tip_height", "enough"), [(7, False), (8, False), (9, True)])
def test_a_network_says_how_many_confirmations_it_wants(tip_height: int, enough: bool) -> None:
    """The block of the payment itself is the first of preprod's three."""
    terms = replace(TERMS, network=PREPROD)
    inclusion = replace(INCLUSION, tip_height=tip_height)
    if enough:
        check_inclusion(PAID, inclusion, terms)
    else:
        assert refused_inclusion(inclusion, terms) == "too_few_confirmations"


def test_a_signature_added_on_the_way_to_the_block_costs_nobody_the_job() -> None:
    check_inclusion(PAID, replace(INCLUSION, raw=sign(PAID, STRANGER)), TERMS)


def test_metadata_that_differs_on_the_chain_is_refused() -> None:
    body, witnesses, valid, _ = decode(PAID)  # type: ignore[misc]
    other = encode([body, witnesses, valid, Encoded(b"\xa0")])
    assert refused_inclusion(replace(INCLUSION, raw=other)) == "different_bytes"


def test_the_parties_of_the_world_are_distinct() -> None:
    assert len({key.key_hash for key in (REQUESTER, NODE, ORACLE, STRANGER)}) == 4
