"""No quote is paid that is not what was asked for, and no Oracle can make the wallet overpay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from nunet_dms.cardano.cip8 import SignedMessage, verify_message
from nunet_dms.cardano.fees import FeeParams
from nunet_dms.cardano.payment import check_payment
from nunet_dms.cardano.transaction import read_transaction
from nunet_dms.errors import CapacityError, VerificationError
from nunet_dms.protocol import strict
from nunet_dms.protocol.quote import (
    JobRequest,
    Quote,
    QuoteLine,
    price_lines,
    signing_payload,
)
from nunet_dms.requester import pay
from nunet_dms.requester.ledger import Terms
from tests.unit.requester.requester_world import (
    HOME,
    INFO,
    LEDGER,
    NODE_SETTLEMENT,
    NOW_S,
    PROVIDER,
    RATES,
    REQUEST,
    SLOT,
    SPEC,
    STRANGER,
    TOKEN,
    WALLET,
    WANTED,
    checked_quote,
    funds,
    quote_of,
)

EARLIEST = SLOT + SPEC.time_limit_s


def refusal(quote: Quote, wanted: pay.Wanted = WANTED) -> str:
    """Return the code with which a quote is refused."""
    with pytest.raises(VerificationError) as caught:
        pay.check_quote(quote, wanted, INFO, SLOT, NOW_S)
    return caught.value.code


def test_a_quote_that_holds_is_accepted_with_the_escrow_that_its_request_commits_to() -> None:
    checked = checked_quote()
    assert checked.escrow.address.bech32 == checked.quote.escrow_address
    assert checked.network.asset == TOKEN


FOREIGN_REQUESTS: dict[str, tuple[dict[str, object], str]] = {
    "other spec hash": ({"spec_hash": "1" * 64}, "wrong_spec"),
    "foreign requester": ({"requester": STRANGER.address(0).bech32}, "wrong_requester"),
    "other network": ({"network_magic": 1}, "wrong_network"),
    "other policy": ({"token_policy": "1" * 56}, "wrong_token"),
    "other token name": ({"token_name": "00"}, "wrong_token"),
    "other Oracle key": ({"oracle_key_hash": "1" * 56}, "wrong_oracle_key"),
    "mainnet provider": ({"provider_wallet": PROVIDER.address(1).bech32}, "wrong_network"),
    "deadline too near": ({"deadline_slot": EARLIEST - 1}, "deadline_out_of_bounds"),
    "deadline too far": (
        {"deadline_slot": EARLIEST + pay.REFUND_WAIT_MAX_SLOTS + 1},
        "deadline_out_of_bounds",
    ),
    "expired request": ({"valid_until_s": NOW_S}, "quote_expired"),
}


@pytest.mark.parametrize(
    ("changes", "code"), FOREIGN_REQUESTS.values(), ids=FOREIGN_REQUESTS.keys()
)
def test_a_request_that_is_not_ours_is_refused(changes: dict[str, object], code: str) -> None:
    request = replace(REQUEST, **changes)
    address = quote_of(REQUEST).escrow_address
    quote = replace(quote_of(REQUEST), request=request, escrow_address=address)
    assert refusal(quote) == code


LINES = quote_of(REQUEST).lines
DEARER = replace(RATES, per_ghz_hour=RATES.per_ghz_hour + 36)
FOREIGN_QUOTES: dict[str, tuple[dict[str, object], str]] = {
    "other escrow address": ({"escrow_address": HOME.bech32}, "wrong_escrow_address"),
    "lines short of the price": (
        {"lines": (QuoteLine(text="CPU", amount=999),)},
        "wrong_lines",
    ),
    "no rates": ({"price_list": None}, "no_rates"),
    "other rates than its lines": (
        {"price_list": replace(RATES, per_ghz_hour=RATES.per_ghz_hour - 36)},
        "wrong_lines",
    ),
    "a line more": ({"lines": (*LINES, QuoteLine(text="tip", amount=1))}, "wrong_lines"),
    "a line that names another amount": (
        {"lines": (replace(LINES[0], amount=701), *LINES[1:])},
        "wrong_lines",
    ),
    "a line that names another thing": (
        {"lines": (replace(LINES[0], text="CPU 2000 MHz for 100 s"), *LINES[1:])},
        "wrong_lines",
    ),
    "lines and rates above the price": (
        {
            "price_list": DEARER,
            "lines": price_lines(DEARER, SPEC.resources, SPEC.time_limit_s),
        },
        "wrong_price",
    ),
    "much ADA": (
        {"escrow_lovelace": pay.ESCROW_LOVELACE_MAX + 1},
        "escrow_ada_too_high",
    ),
    "expired": ({"expires_s": NOW_S}, "quote_expired"),
}


@pytest.mark.parametrize(("changes", "code"), FOREIGN_QUOTES.values(), ids=FOREIGN_QUOTES.keys())
def test_a_quote_that_contradicts_its_request_is_refused(
    changes: dict[str, object], code: str
) -> None:
    assert refusal(quote_of(REQUEST, **changes)) == code


@pytest.mark.parametrize(
    "change",
    [
        lambda request: replace(request, nonce="0" * 32),
        lambda request: replace(request, node_key_hash="1" * 56),
        lambda request: replace(request, provider_wallet=HOME.bech32),
        lambda request: replace(request, deadline_slot=request.deadline_slot + 1),
    ],
    ids=["nonce", "node key", "provider wallet", "deadline"],
)
def test_the_escrow_address_of_another_request_is_refused(
    change: Callable[[JobRequest], JobRequest],
) -> None:
    """The address of the true request, with one field of it changed afterwards."""
    quote = replace(quote_of(REQUEST), request=change(REQUEST))
    assert refusal(quote) == "wrong_escrow_address"


def test_a_price_above_the_limit_is_refused_and_one_at_the_limit_is_not() -> None:
    quote = quote_of(REQUEST)
    assert refusal(quote, replace(WANTED, max_price=999)) == "price_above_limit"
    pay.check_quote(quote, replace(WANTED, max_price=1000), INFO, SLOT, NOW_S)


def test_amounts_in_a_refusal_have_decimals() -> None:
    with pytest.raises(VerificationError, match=r"its price is 0.001 mNTX, the limit is 0.000999"):
        pay.check_quote(quote_of(REQUEST), replace(WANTED, max_price=999), INFO, SLOT, NOW_S)


def test_the_price_is_reckoned_again_part_by_part() -> None:
    cpu, ram = checked_quote().parts
    assert (cpu.what, cpu.time_s, cpu.rate, cpu.per) == ("CPU 1000 MHz", 100, 25_200, "GHz-hour")
    assert (cpu.amount, ram.amount) == (700, 300)
    assert (ram.what, ram.per) == ("RAM 512 MB", "GB-hour")


def test_a_quote_from_another_node_than_the_wanted_one_is_refused() -> None:
    assert refusal(quote_of(REQUEST), replace(WANTED, node_id="1" * 56)) == "wrong_node"


def test_the_submission_is_signed_by_the_wallet_and_its_payment_fulfils_the_terms() -> None:
    checked = checked_quote()
    submission = pay.sign_submission(checked, WALLET, funds(), LEDGER)
    message = SignedMessage(
        bytes.fromhex(submission.cose_sign1), bytes.fromhex(submission.cose_key)
    )
    assert verify_message(message, HOME) == signing_payload(submission.request)
    assert submission.request == strict.encode(REQUEST).decode()
    raw = bytes.fromhex(submission.payment_tx)
    assert check_payment(raw, pay.payment_terms(checked)).amount == REQUEST.price
    assert read_transaction(raw).ttl == SLOT + pay.PAYMENT_LIFE_SLOTS


def test_change_comes_back_home() -> None:
    submission = pay.sign_submission(checked_quote(), WALLET, funds(), LEDGER)
    transaction = read_transaction(bytes.fromhex(submission.payment_tx))
    change = transaction.outputs[-1]
    assert change.address == HOME.raw
    assert change.value.quantity(TOKEN) == 5000 - REQUEST.price
    assert change.value.lovelace == 50_000_000 - 3_000_000 - transaction.fee


@pytest.mark.parametrize(
    "held",
    [funds(count=0), funds(tokens=999), funds(lovelace=3_500_000)],
    ids=["nothing", "tokens", "ADA"],
)
def test_a_wallet_that_holds_too_little_is_told_what_it_lacks(held: pay.Funds) -> None:
    with pytest.raises(CapacityError, match=r"requested.*available"):
        pay.sign_submission(checked_quote(), WALLET, held, LEDGER)


def test_fee_rules_out_of_all_proportion_are_not_paid() -> None:
    greedy = Terms(FeeParams(min_fee_b=5_000_000), SLOT)
    with pytest.raises(VerificationError) as caught:
        pay.sign_submission(checked_quote(), WALLET, funds(), greedy)
    assert caught.value.code == "fee_too_high"


def test_a_key_that_is_not_the_addresses_own_signs_nothing() -> None:
    with pytest.raises(VerificationError):
        pay.sign_submission(checked_quote(), replace(WALLET, key=NODE_SETTLEMENT), funds(), LEDGER)
