"""The chain that somebody else has: opened as `oracle.toml` names it, and looked at by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nunet_dms.cardano.chain.backend import RemoteChain
from nunet_dms.cardano.chain.opening import Surroundings, open_chain, url_of
from nunet_dms.cardano.fees import FeeParams
from nunet_dms.cardano.fingerprint import asset_fingerprint
from nunet_dms.cardano.network import Network, network_named
from nunet_dms.oracle.chain_config import NETWORK_S
from nunet_dms.oracle.config import OracleConfig


@dataclass(frozen=True, slots=True)
class ChainReport:
    """The facts of `nunet oracle check --json`, schema nunet.oracle.check/1."""

    network: str
    magic: int
    backends: tuple[str, ...]
    urls: tuple[str, ...]
    height: int
    slot: int
    tip_age_s: int
    """Seconds since the last block; a public network makes one about every 20 s."""
    parameters: FeeParams
    token: str
    """Policy and name, as cardano-cli writes them."""
    fingerprint: str
    """CIP-14, for the eye alone."""
    decimals: int
    confirmations: int


def network_of(config: OracleConfig) -> Network:
    """Return the network with the token and the confirmations that the settings name."""
    network = config.token.choice.of(network_named(config.network))
    if config.token.confirmations == NETWORK_S:
        return network
    return replace(network, confirmations=config.token.confirmations)


def open_remote(config: OracleConfig, clock: Callable[[], float]) -> RemoteChain:
    """Return the chain as the settings name it; raises ConfigError. Nothing is asked yet."""
    first, second = config.chain.sources(config.folder)
    around = Surroundings(network_of(config), clock, config.chain_memory)
    return open_chain(first, around, second)


def look_at(config: OracleConfig, clock: Callable[[], float]) -> ChainReport:
    """Ask the chain who it is and where it stands.

    Raises UnreachableError, and VerificationError for another network than the settings name.
    """
    network = network_of(config)
    sources = [source for source in config.chain.sources(config.folder) if source is not None]
    chain = open_remote(config, clock)
    try:
        magic = chain.check_network().magic
        tip, parameters = chain.tip(), chain.parameters()
    finally:
        chain.close()
    return ChainReport(
        network=network.name,
        magic=magic,
        backends=tuple([source.backend for source in sources]),
        urls=tuple([url_of(source, network.name) for source in sources]),
        height=tip.height,
        slot=tip.slot,
        tip_age_s=max(0, int(clock()) - tip.time_s),
        parameters=parameters,
        token=str(network.asset),
        fingerprint=asset_fingerprint(network.asset),
        decimals=network.token_decimals,
        confirmations=network.confirmations,
    )
