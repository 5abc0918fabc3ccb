"""What an output holds: lovelace, and amounts of native assets in their base units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

POLICY_BYTES = 28
MAX_NAME_BYTES = 32
"""An asset's name is at most 32 bytes (the ledger's CDDL)."""


@dataclass(frozen=True, slots=True, order=True)
class AssetId:
    """A native asset: the policy that mints it, and its name as raw bytes."""

    policy: bytes
    name: bytes

    def __str__(self) -> str:
        """Return policy and name in hex with a dot between, as cardano-cli writes them."""
        return f"{self.policy.hex()}.{self.name.hex()}"


@dataclass(frozen=True, slots=True)
class Value:
    """An amount of lovelace and of assets; assets are kept sorted and without zeros."""

    lovelace: int
    assets: tuple[tuple[AssetId, int], ...] = ()

    def __post_init__(self) -> None:
        """Sort the assets and drop zeros, so that equal values compare equal."""
        if len(self.assets) > 1 or (self.assets and not self.assets[0][1]):
            kept = tuple(sorted([item for item in self.assets if item[1]]))
            object.__setattr__(self, "assets", kept)

    @classmethod
    def of(cls, lovelace: int, assets: Mapping[AssetId, int] | None = None) -> Value:
        """Return a value of that much lovelace and those asset amounts."""
        return cls(lovelace, tuple(assets.items()) if assets else ())

    def quantity(self, asset: AssetId) -> int:
        """Return how many base units of the asset there are, zero if none."""
        for held, amount in self.assets:
            if held == asset:
                return amount
        return 0

    def __add__(self, other: Value) -> Value:
        """Return the sum, asset by asset."""
        return self._combined(other, 1)

    def __sub__(self, other: Value) -> Value:
        """Return the difference, asset by asset; amounts may become negative."""
        return self._combined(other, -1)

    def _combined(self, other: Value, factor: int) -> Value:
        totals = dict(self.assets)
        for asset, amount in other.assets:
            totals[asset] = totals.get(asset, 0) + factor * amount
        return Value.of(self.lovelace + factor * other.lovelace, totals)

    @property
    def is_negative(self) -> bool:
        """Whether any part of the value is below zero."""
        return self.lovelace < 0 or any(amount < 0 for _, amount in self.assets)


def total(values: tuple[Value, ...]) -> Value:
    """Return the sum of the values; the empty sum is zero lovelace."""
    lovelace = 0
    amounts: dict[AssetId, int] = {}
    for value in values:
        lovelace += value.lovelace
        for asset, amount in value.assets:
            amounts[asset] = amounts.get(asset, 0) + amount
    return Value.of(lovelace, amounts)
