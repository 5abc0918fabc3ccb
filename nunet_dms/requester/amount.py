"""Amounts of a token as people read them; everywhere else they are integers in base units."""

from __future__ import annotations

LOVELACE_DECIMALS = 6


def show_amount(amount: int, decimals: int, unit: str) -> str:
    """Return base units as a decimal number with its unit, without needless zeros."""
    whole, rest = divmod(abs(amount), int(10**decimals))
    sign = "-" if amount < 0 else ""
    fraction = f"{rest:0{decimals}d}".rstrip("0") if decimals else ""
    return f"{sign}{whole}{'.' if fraction else ''}{fraction} {unit}"
