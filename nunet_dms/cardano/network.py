"""The Cardano networks that nunet-dms knows, and the token that pays for jobs on each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from nunet_dms.cardano.value import AssetId
from nunet_dms.errors import ConfigError

TEST_NETWORK_ID = 0
"""Network nibble of every test network's addresses (CIP-19)."""
MAIN_NETWORK_ID = 1
"""Network nibble of mainnet's addresses (CIP-19)."""


@dataclass(frozen=True, slots=True)
class Network:
    """One network: its ids, its token, and how many blocks make a payment final."""

    name: str
    network_id: int
    magic: int
    token_policy: bytes | None
    """None on the development network, whose faucet makes its own policy."""
    token_name: bytes
    token_decimals: int
    confirmations: int

    @property
    def asset(self) -> AssetId:
        """Return the token that pays for jobs; raises ConfigError where the policy is not set."""
        if self.token_policy is None:
            raise ConfigError(f"cannot name the token of {self.name}: its policy is not set")
        return AssetId(self.token_policy, self.token_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenChoice:
    """Another token than the network's own, as its user's settings name it; None leaves a part."""

    policy: bytes | None = None
    name: bytes | None = None
    decimals: int | None = None

    def of(self, network: Network) -> Network:
        """Return the network, paying with this token."""
        return replace(
            network,
            token_policy=network.token_policy if self.policy is None else self.policy,
            token_name=network.token_name if self.name is None else self.name,
            token_decimals=network.token_decimals if self.decimals is None else self.decimals,
        )


NETWORK_S_OWN = TokenChoice()
"""Nobody chose another token."""

DEVNET = Network("devnet", TEST_NETWORK_ID, 424242, None, b"mNTX", 6, 1)
PREPROD = Network(
    "preprod",
    TEST_NETWORK_ID,
    1,
    bytes.fromhex("8cafc9b387c9f6519cacdce48a8448c062670c810d8da4b232e56313"),
    b"mNTX",
    0,
    3,
)
MAINNET = Network(
    "mainnet",
    MAIN_NETWORK_ID,
    764824073,
    bytes.fromhex("edfd7a1d77bcb8b884c474bdc92a16002d1fb720e454fa6e99344479"),
    b"NTX",
    6,
    10,
)

NETWORKS: Mapping[str, Network] = MappingProxyType(
    {network.name: network for network in (DEVNET, PREPROD, MAINNET)}
)


def network_named(name: str) -> Network:
    """Return the network of that name; raises ConfigError naming those that exist."""
    network = NETWORKS.get(name)
    if network is None:
        raise ConfigError(f"cannot use network {name!r}: known are {', '.join(NETWORKS)}")
    return network
