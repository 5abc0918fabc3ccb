"""Amounts of the token that jobs are paid in, as people read them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nunet_dms.errors import MalformedError
from nunet_dms.protocol import strict
from nunet_dms.protocol.amount import show_amount

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9]{0,31}", re.ASCII)
_HEX = re.compile(r"([0-9a-f]{2})+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Token:
    """A token's policy and name, as hex, and its decimals where they are known."""

    policy: str
    name: str
    decimals: int | None

    @property
    def label(self) -> str:
        """Its name where that is a plain word, else the hex of it."""
        text = bytes.fromhex(self.name).decode("ascii", "replace")
        return text if _PLAIN.fullmatch(text) else self.name

    def show(self, amount: int) -> str:
        """Return base units with decimals and the token's name; as they are, if it has no more."""
        if self.decimals is None:
            return f"{amount} base units"
        return show_amount(amount, self.decimals, self.label)


UNKNOWN_TOKEN = Token("", "", None)
"""Before first contact with an Oracle."""


def pinned_token(info: bytes) -> Token:
    """Return the token that a pinned Oracle pays with, from its own words.

    Read without the protocol's decoder, which `nunet status` would pay for at every start; what
    an older pin does not have is not known.
    """
    try:
        words = strict.parse(info)
    except MalformedError:
        return UNKNOWN_TOKEN
    known = words if isinstance(words, dict) else {}
    decimals = known.get("token_decimals")
    return Token(
        _hex(known.get("token_policy")),
        _hex(known.get("token_name")),
        decimals if type(decimals) is int else None,
    )


def _hex(value: object) -> str:
    return value if isinstance(value, str) and _HEX.fullmatch(value) else ""
