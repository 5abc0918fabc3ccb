"""Amounts of a token as people write them; everywhere else they are integers in base units."""

from __future__ import annotations

import re

from nunet_dms.errors import UsageError

LOVELACE_DECIMALS = 6
DIGITS_MAX = 18
"""Before the point: more than any token has."""


def show_amount(amount: int, decimals: int, unit: str) -> str:
    """Return base units as a decimal number with its unit, without needless zeros."""
    whole, rest = divmod(abs(amount), int(10**decimals))
    sign = "-" if amount < 0 else ""
    fraction = f"{rest:0{decimals}d}".rstrip("0") if decimals else ""
    return f"{sign}{whole}{'.' if fraction else ''}{fraction} {unit}"


def read_amount(text: str, decimals: int, *, option: str) -> int:
    """Return a decimal number as base units; raises UsageError naming the option."""
    found = re.fullmatch(rf"([0-9]{{1,{DIGITS_MAX}}})(?:\.([0-9]+))?", text.strip())
    if found is None:
        raise UsageError(f"cannot use {option} {text!r:.60}: give a number such as 1.5")
    fraction = (found[2] or "").rstrip("0")
    if len(fraction) > decimals:
        raise UsageError(f"cannot use {option} {text!r:.60}: the token has {decimals} decimals")
    return int(found[1] + fraction.ljust(decimals, "0"))
