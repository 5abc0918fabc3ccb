"""Amounts of a token as people write and read them; everywhere else they are base units."""

import re
from dataclasses import dataclass

from nunet_dms.errors import UsageError

LOVELACE_DECIMALS = 6
MAX_AMOUNT = 2**63 - 1
"""Base units; the ledger's own limit for one output is twice that, SQLite's integers end here."""

_DECIMAL = re.compile(r"(\d{1,20})(?:\.(\d{1,20}))?", re.ASCII)


def show_amount(amount: int, decimals: int, unit: str) -> str:
    """Return base units as a decimal number with its unit, without needless zeros."""
    whole, rest = divmod(abs(amount), int(10**decimals))
    sign = "-" if amount < 0 else ""
    fraction = f"{rest:0{decimals}d}".rstrip("0") if decimals else ""
    return f"{sign}{whole}{'.' if fraction else ''}{fraction} {unit}"


def parse_amount(text: str, decimals: int, unit: str) -> int:
    """Return the base units of a number as people write it, such as `1.5`; never rounded.

    Raises UsageError for anything else, for more decimals than the token has, and above MAX_AMOUNT.
    """
    found = _DECIMAL.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"cannot use {text!r:.40} as an amount: give a number such as 1.5")
    whole, fraction = found[1], (found[2] or "").rstrip("0")
    if len(fraction) > decimals:
        raise UsageError(f"cannot use {text!r:.40}: {unit} has {decimals} decimals")
    amount = int(whole + fraction.ljust(decimals, "0"))
    if amount > MAX_AMOUNT:
        raise UsageError(f"cannot use {text!r:.40}: there is never that much {unit}")
    return amount


@dataclass(frozen=True, slots=True)
class Unit:
    """What people call a token, and how many decimals they write of it."""

    name: str
    decimals: int

    def show(self, amount: int) -> str:
        """Return base units as people write them, such as `1.5 mNTX`."""
        return show_amount(amount, self.decimals, self.name)

    def parse(self, text: str) -> int:
        """Return the base units of what people write; raises UsageError as `parse_amount`."""
        return parse_amount(text, self.decimals, self.name)


ADA = Unit("ADA", LOVELACE_DECIMALS)


def unit_of(token_name: bytes, decimals: int) -> Unit:
    """Return the unit of a token whose name is ASCII, as NTX's and mNTX's are."""
    return Unit(token_name.decode("ascii", "replace"), decimals)
