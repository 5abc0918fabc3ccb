"""Amounts are integers in base units; people read and write them with the token's decimals."""

from __future__ import annotations

import pytest

from nunet_dms.errors import UsageError
from nunet_dms.requester.amount import read_amount, show_amount


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
        ("1.5", 6, 1_500_000),
        ("0.000001", 6, 1),
        (" 12 ", 6, 12_000_000),
        ("1.500", 1, 15),
        ("3", 0, 3),
        ("3.0", 0, 3),
        ("9007199254.740993", 6, 9_007_199_254_740_993),
    ],
)
def test_an_amount_is_read_exactly(text: str, decimals: int, amount: int) -> None:
    assert read_amount(text, decimals, option="--max-price") == amount


@pytest.mark.parametrize("text", ["", "-1", "1e6", "1,5", ".5", "1.", "0.0000001", "nan", "٣"])
def test_what_is_no_amount_is_refused_with_the_options_name(text: str) -> None:
    with pytest.raises(UsageError, match="--max-price"):
        read_amount(text, 6, option="--max-price")
