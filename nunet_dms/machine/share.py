"""How much of a machine may be offered: at least a tenth, and the owner keeps a tenth."""

from __future__ import annotations

from nunet_dms.errors import UsageError

SHARE_MIN_PERCENT, SHARE_MAX_PERCENT = 10, 90
"""Of the machine's CPU and of its RAM, both bounds included; the owner keeps the rest."""


def share_bounds(total: int) -> tuple[int, int]:
    """Return the least and the most that may be offered of so much; both are included."""
    return -(-total * SHARE_MIN_PERCENT // 100), total * SHARE_MAX_PERCENT // 100


def check_share(name: str, offered: int, total: int, of: str) -> None:
    """Raise UsageError unless the offer is a share that may be sold; it names both bounds.

    `name` is the option or key that offers it, `of` says what the machine has `total` of.
    """
    low, high = share_bounds(total)
    if not low <= offered <= high:
        raise UsageError(
            f"cannot offer {name} {offered}: it must be from {low} to {high}, which is"
            f" {SHARE_MIN_PERCENT} % to {SHARE_MAX_PERCENT} % of this machine's {total} {of}"
        )
