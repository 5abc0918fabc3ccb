"""The Oracle and the node sign a payout only when it is exactly what the verdict says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cardano_world import (
    ASSET,
    BUILT,
    ESCROW,
    ESCROW_UTXO,
    NODE,
    ORACLE,
    PRICE,
    PROVIDER,
    REQUESTER,
    SETTLED,
    SETTLEMENT,
    STRANGER,
    altered,
)

from nunet_dms.cardano.builder import FeeParams, build_settlement, sign
from nunet_dms.cardano.cbor import Tag, decode, encode
from nunet_dms.cardano.payment import SettlementRefusal, SettlementTerms, check_settlement
from nunet_dms.cardano.settlement import MAX_PROVIDER_LOVELACE
from nunet_dms.errors import VerificationError

Body = dict[int, Any]
CODES = {refusal.value for refusal in SettlementRefusal}


def refusal(raw: bytes, terms: SettlementTerms = SETTLEMENT) -> str:
    """Return the code with which the payout is refused."""
    with pytest.raises(VerificationError) as caught:
        check_settlement(raw, terms)
    return caught.value.code


@pytest.mark.parametrize("amount", [0, 1, 3_000_000, PRICE])
@pytest.mark.parametrize("keys", [(), (ORACLE,), (ORACLE, NODE), (REQUESTER, NODE)])
def test_what_the_builder_makes_is_accepted_signed_or_not(amount: int, keys: Any) -> None:
    terms = replace(SETTLEMENT, provider_amount=amount, requester_amount=PRICE - amount)
    built = build_settlement(ESCROW_UTXO, terms)
    assert check_settlement(sign(built.raw, *keys), terms).tx_id == built.tx_id


def test_a_provider_may_be_its_own_requester() -> None:
    terms = replace(SETTLEMENT, provider_address=REQUESTER.address(0))
    built = build_settlement(ESCROW_UTXO, terms)
    assert check_settlement(built.raw, terms).tx_id == built.tx_id


def test_other_parameters_are_those_of_both_sides() -> None:
    params = FeeParams(coins_per_utxo_byte=4000)
    built = build_settlement(ESCROW_UTXO, SETTLEMENT, params)
    assert check_settlement(built.raw, SETTLEMENT, params).tx_id == built.tx_id
    assert refusal(built.raw) == "wrong_provider_amount"


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


def _without_rest(body: Body) -> None:
    body[1] = [body[1][0]]


def _third(body: Body) -> None:
    body[1] = [*body[1], {0: STRANGER.address(0).raw, 1: 1_000_000}]


def _swapped(body: Body) -> None:
    body[1] = body[1][::-1]


def _one_more_input(body: Body) -> None:
    body[0] = [*body[0].value, [bytes(32), 0]]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_set(0, to=[[BUILT.tx_id, 1]]), "wrong_inputs"),
        (_set(0, to=[[bytes(32), 0]]), "wrong_inputs"),
        (_one_more_input, "wrong_inputs"),
        (_without_rest, "wrong_outputs"),
        (_third, "wrong_outputs"),
        (_swapped, "wrong_provider"),
        (_set(1, 0, 0, to=STRANGER.address(0).raw), "wrong_provider"),
        (_set(1, 0, 0, to=PROVIDER.address(1).raw), "wrong_provider"),
        (
            _set(1, 0, 1, 1, to={ASSET.policy: {ASSET.name: 3_000_001}}),
            "wrong_provider_amount",
        ),
        (
            _set(1, 0, 1, 1, to={ASSET.policy: {ASSET.name: 2_999_999}}),
            "wrong_provider_amount",
        ),
        (_set(1, 0, 1, 1, to={ASSET.policy: {b"x": 3_000_000}}), "wrong_provider_amount"),
        (_set(1, 0, 1, 0, to=2_000_000), "wrong_provider_amount"),
        (_set(1, 1, 0, to=STRANGER.address(0).raw), "wrong_requester"),
        (
            _set(1, 1, 1, 1, to={ASSET.policy: {ASSET.name: 1_999_999}}),
            "wrong_requester_amount",
        ),
        (
            _set(1, 1, 1, 1, to={ASSET.policy: {ASSET.name: 2_000_000, b"x": 1}}),
            "wrong_requester_amount",
        ),
        (_set(1, 1, 1, to=1_500_000), "wrong_requester_amount"),
        (_set(1, 0, 2, to=[0, bytes(32)]), "datum_present"),
        (_set(1, 1, 3, to=Tag(24, b"\x82\x00\x40")), "reference_script_present"),
        (_set(2, to=500_001), "fee_too_high"),
        (_set(3, to=10), "has_validity"),
        (_set(8, to=10), "has_validity"),
        (_set(4, to=[]), "unsupported"),
        (_set(5, to={}), "unsupported"),
        (_set(7, to=bytes(32)), "has_metadata"),
        (_set(9, to={ASSET.policy: {b"x": 1}}), "mints"),
        (_set(14, to=[STRANGER.key_hash]), "has_required_signers"),
        (_set(15, to=1), "wrong_network"),
    ],
)
def test_a_payout_that_differs_from_the_verdict_is_refused(
    change: Callable[[Body], None], code: str
) -> None:
    assert refusal(altered(SETTLED.raw, change)) == code


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        (replace(SETTLEMENT, provider_amount=2_999_999), "wrong_provider_amount"),
        (replace(SETTLEMENT, requester_amount=2_000_001), "wrong_requester_amount"),
        (replace(SETTLEMENT, provider_amount=0, requester_amount=PRICE), "wrong_outputs"),
        (replace(SETTLEMENT, provider_address=STRANGER.address(0)), "wrong_provider"),
        (replace(SETTLEMENT, requester_address=STRANGER.address(0)), "wrong_requester"),
        (replace(SETTLEMENT, escrow=replace(ESCROW, deadline_slot=5)), "wrong_script"),
    ],
)
def test_a_payout_of_another_verdict_is_refused(terms: SettlementTerms, code: str) -> None:
    assert refusal(SETTLED.raw, terms) == code


def test_what_the_id_does_not_cover_is_judged_too() -> None:
    body, witnesses, valid, _ = decode(SETTLED.raw)  # type: ignore[misc]
    assert refusal(encode([body, witnesses, False, None])) == "phase2_invalid"
    assert refusal(encode([body, witnesses, valid, {7: 1}])) == "has_metadata"
    assert refusal(encode([body, {}, valid, None])) == "wrong_script"
    forged = {**witnesses, 0: [[NODE.public, bytes(64)]]}
    assert refusal(encode([body, forged, valid, None])) == "bad_signature"
    assert refusal(encode([body, {**witnesses, 5: {}}, valid, None])) == "unsupported"
    assert refusal(b"\x80") == "malformed"


@pytest.mark.parametrize(
    ("change", "is_fine"),
    [
        (_set(1, 0, 1, 0, to=1), True),
        (_set(1, 0, 1, 0, to=MAX_PROVIDER_LOVELACE), True),
        (_set(1, 0, 1, 0, to=MAX_PROVIDER_LOVELACE + 1), False),
        (_set(1, 0, 1, 1, to={ASSET.policy: {ASSET.name: 3_000_001}}), False),
        (_set(1, 0, 1, 1, to={ASSET.policy: {ASSET.name: 2_999_999}}), False),
    ],
)
def test_without_parameters_the_tokens_are_exact_and_the_ada_beside_them_is_bounded(
    change: Callable[[Body], None], is_fine: bool
) -> None:
    raw = altered(build_settlement(ESCROW_UTXO, SETTLEMENT).raw, change)
    if is_fine:
        assert check_settlement(raw, SETTLEMENT, params=None).raw == raw
    else:
        with pytest.raises(VerificationError) as caught:
            check_settlement(raw, SETTLEMENT, params=None)
        assert caught.value.code == "wrong_provider_amount"
