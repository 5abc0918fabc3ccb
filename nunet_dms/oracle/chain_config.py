"""The parts of `oracle.toml` about the chain and the token: their words, bounds and meaning."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.cardano.chain.opening import REMOTE_BACKENDS, Source, url_of, url_problem
from nunet_dms.cardano.network import DEVNET, Network, TokenChoice, network_named
from nunet_dms.errors import ConfigError

DEVNET_BACKEND = "devnet"
BACKENDS = (DEVNET_BACKEND, *REMOTE_BACKENDS)
NEEDS_KEY = frozenset({"blockfrost"})
DEFAULT_POLL_INTERVAL_S = 10.0
"""A block of a public network comes about every 20 s."""
POLL_INTERVAL_RANGE_S = (1.0, 600.0)
CONFIRMATIONS_MAX = 2160
"""After so many blocks no public network goes back (its security parameter)."""
DECIMALS_MAX = 19
"""A quantity has no more digits before it overflows the ledger's 64 bits."""
NETWORK_S = -1
"""Stands for a number that is the network's own."""

_POLICY = re.compile(r"([0-9a-f]{56})?")
_NAME = re.compile(r"(([0-9a-f]{2}){1,32})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainConfig:
    """Where the chain is asked; empty texts mean what is usual."""

    backend: str = DEVNET_BACKEND
    """Or koios, blockfrost, ogmios."""
    url: str = ""
    key_file: str = ""
    """Beside oracle.toml unless it begins with a slash; holds the key alone, mode 0600."""
    poll_interval_s: float = DEFAULT_POLL_INTERVAL_S
    """Between two turns of the clock on a chain that others make."""
    agree: str = ""
    """A second backend that must say the same; empty for none."""
    agree_url: str = ""
    agree_key_file: str = ""

    @property
    def is_devnet(self) -> bool:
        """Whether the chain is the development ledger in the Oracle's own folder."""
        return self.backend == DEVNET_BACKEND

    def sources(self, folder: Path) -> tuple[Source, Source | None]:
        """Return the backends; key files are looked for in `folder`."""
        first = _source(folder, self.backend, self.url, self.key_file)
        if not self.agree:
            return first, None
        return first, _source(folder, self.agree, self.agree_url, self.agree_key_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenConfig:
    """Another token than the network's own; empty texts and -1 leave it."""

    policy: str = ""
    """56 hex digits."""
    name: str = ""
    """In hex: 6d4e5458 is mNTX."""
    decimals: int = NETWORK_S
    confirmations: int = NETWORK_S
    """Blocks from a payment's own on, that one included, before it counts."""

    @property
    def choice(self) -> TokenChoice:
        """The token, for what the network's own does not say."""
        return TokenChoice(
            policy=bytes.fromhex(self.policy) if self.policy else None,
            name=bytes.fromhex(self.name) if self.name else None,
            decimals=None if self.decimals == NETWORK_S else self.decimals,
        )


def problems(
    network_name: str, chain: ChainConfig, token: TokenConfig, *, production: bool
) -> list[str]:
    """Name everything that is wrong, each with its key."""
    try:
        network = network_named(network_name)
    except ConfigError as error:
        return [f"[oracle] network: {error}"]
    found = [*_token_problems(token), *_backend_problems(network, chain, production=production)]
    low, high = POLL_INTERVAL_RANGE_S
    if not low <= chain.poll_interval_s <= high:
        found.append(
            f"[chain] poll_interval_s = {chain.poll_interval_s}: it must be from {low} to {high}"
        )
    if chain.is_devnet and (token.policy or token.name):
        found.append("[token] policy and name: the development ledger here makes its own token")
    if network == DEVNET and not chain.is_devnet and not token.policy:
        found.append(
            "[token] policy is missing: a development ledger elsewhere makes its own (its Oracle "
            "tells it at /v1/oracle)"
        )
    if production and network == DEVNET:
        found.append(
            "[oracle] production = true refuses the development network: its tokens have no value"
        )
    return found


def _backend_problems(network: Network, chain: ChainConfig, *, production: bool) -> list[str]:
    if chain.backend not in BACKENDS:
        return [f"[chain] backend = {chain.backend!r:.40}: known are {', '.join(BACKENDS)}"]
    if chain.is_devnet:
        if network != DEVNET:
            return [
                f'[chain] backend = "devnet" has no {network.name}: choose '
                f"{', '.join(REMOTE_BACKENDS)}"
            ]
        return ["[chain] agree needs another backend than devnet"] if chain.agree else []
    found = _source_problems("", chain.backend, chain.url, chain.key_file)
    found += _reach_problems("url", chain.backend, chain.url, network, is_strict=production)
    if not chain.agree:
        return found
    if chain.agree not in REMOTE_BACKENDS:
        found.append(f"[chain] agree = {chain.agree!r:.40}: known are {', '.join(REMOTE_BACKENDS)}")
        return found
    if (chain.agree, chain.agree_url) == (chain.backend, chain.url):
        found.append("[chain] agree names the backend itself: it would always agree")
    found += _source_problems("agree_", chain.agree, chain.agree_url, chain.agree_key_file)
    found += _reach_problems(
        "agree_url", chain.agree, chain.agree_url, network, is_strict=production
    )
    return found


def _source_problems(prefix: str, backend: str, url: str, key_file: str) -> list[str]:
    if backend in NEEDS_KEY and not key_file:
        return [f"[chain] {prefix}key_file is missing: {backend} wants a project id"]
    if backend == "ogmios" and key_file:
        return [f"[chain] {prefix}key_file: ogmios takes no key"]
    if key_file and url and (problem := url_problem(url, is_strict=True)):
        return [f"[chain] {prefix}url: {problem}, since a key is sent there"]
    return []


def _reach_problems(
    key: str, backend: str, url: str, network: Network, *, is_strict: bool
) -> list[str]:
    try:
        found = url_of(Source(backend=backend, url=url), network.name)
    except ConfigError as error:
        return [f"[chain] {key}: {error}"]
    problem = url_problem(found, is_strict=is_strict)
    return [f"[chain] {key} = {url!r:.200}: {problem}"] if problem else []


def _token_problems(token: TokenConfig) -> list[str]:
    found = []
    if not _POLICY.fullmatch(token.policy):
        found.append(f"[token] policy = {token.policy!r:.80}: it must be 56 lower-case hex digits")
    if not _NAME.fullmatch(token.name):
        found.append(f"[token] name = {token.name!r:.80}: it must be up to 32 bytes in hex")
    for key, value, low, high in (
        ("decimals", token.decimals, NETWORK_S, DECIMALS_MAX),
        ("confirmations", token.confirmations, NETWORK_S, CONFIRMATIONS_MAX),
    ):
        if not low <= value <= high or (key == "confirmations" and value == 0):
            found.append(
                f"[token] {key} = {value}: it must be up to {high}, or -1 for the network's"
            )
    return found


def _source(folder: Path, backend: str, url: str, key_file: str) -> Source:
    return Source(backend=backend, url=url, key_file=folder / key_file if key_file else None)
