"""The slot of a time, by arithmetic alone: since Shelley a slot lasts one second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nunet_dms.cardano.network import MAINNET, PREPROD


@dataclass(frozen=True, slots=True)
class SlotAnchor:
    """A slot whose beginning is known, after which every slot lasts one second."""

    slot: int
    time_s: int
    """Unix seconds."""

    def slot_at(self, time_s: float) -> int:
        """Return the slot of a Unix time in seconds; the anchor's own for earlier times."""
        return self.slot + max(0, int(time_s) - self.time_s)


# The first slots of Shelley; before them, Byron's slots lasted 20 s each.
SHELLEY_BEGINS: Mapping[str, SlotAnchor] = MappingProxyType(
    {
        PREPROD.name: SlotAnchor(86_400, 1_655_769_600),  # 2022-06-21T00:00:00Z
        MAINNET.name: SlotAnchor(4_492_800, 1_596_059_091),  # 2020-07-29T21:44:51Z
    }
)
