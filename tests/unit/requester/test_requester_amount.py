"""Amounts are integers in base units; people read them with the token's decimals."""

from __future__ import annotations

import pytest

from nunet_dms.requester.amount import show_amount


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
