"""Amounts are integers in base units; people read them with the token's decimals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunet_dms.errors import UsageError
from nunet_dms.protocol.amount import MAX_AMOUNT, parse_amount, show_amount


@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [
        (0, 6, "0 mNTX"),
        (1, 6, "0.000001 mNTX"),
        (1_500_000, 6, "1.5 mNTX"),
        (12_000_000, 6, "12 mNTX"),
        (7, 0, "7 mNTX"),
        (100, 0, "100 mNTX"),
        (-2_500_000, 6, "-2.5 mNTX"),
    ],
)
def test_an_amount_is_shown_without_needless_zeros(amount: int, decimals: int, text: str) -> None:
    assert show_amount(amount, decimals, "mNTX") == text


@pytest.mark.parametrize(
    ("text", "decimals", "amount"),
    [
        ("1", 6, 1_000_000),
        ("1.5", 6, 1_500_000),
        ("0.000001", 6, 1),
        ("1.500000000", 6, 1_500_000),
        ("7", 0, 7),
        (" 7 ", 0, 7),
    ],
)
def test_reads_a_decimal_number_as_base_units(text: str, decimals: int, amount: int) -> None:
    assert parse_amount(text, decimals, "mNTX") == amount


@given(st.integers(0, MAX_AMOUNT), st.integers(0, 18))
def test_reads_back_what_it_shows(amount: int, decimals: int) -> None:
    assert parse_amount(show_amount(amount, decimals, "").strip(), decimals, "mNTX") == amount


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "give a number"),
        ("-1", "give a number"),
        ("1e3", "give a number"),
        ("1,5", "give a number"),
        ("\u0661", "give a number"),
        (".5", "give a number"),
        ("0.0000001", "mNTX has 6 decimals"),
        ("9223372036855", "never that much"),
    ],
)
def test_refuses_what_is_no_amount(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_amount(text, 6, "mNTX")
