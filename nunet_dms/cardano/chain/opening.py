"""From the words of a config file to a chain backend."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from nunet_dms.cardano.chain import blockfrost, koios, ogmios
from nunet_dms.cardano.chain.agreeing import Agreeing
from nunet_dms.cardano.chain.backend import RemoteChain
from nunet_dms.cardano.chain.blockfrost import Blockfrost
from nunet_dms.cardano.chain.http import ChainHttp, Endpoint
from nunet_dms.cardano.chain.koios import Koios
from nunet_dms.cardano.chain.ogmios import Ogmios
from nunet_dms.cardano.chain.ogmios_memory import OgmiosMemory
from nunet_dms.cardano.chain.pace import Timing
from nunet_dms.cardano.network import MAINNET, PREPROD, Network
from nunet_dms.errors import ConfigError
from nunet_dms.http_exchange import is_loopback
from nunet_dms.protocol.secretfile import read_secret

REMOTE_BACKENDS = (koios.NAME, blockfrost.NAME, ogmios.NAME)
KEY_MAX_CHARS = 2048
"""A project id has 39 characters, a bearer token some hundreds."""

# Where each is reached unless the settings say otherwise; a development network has no usual place.
USUAL_URLS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        (koios.NAME, MAINNET.name): "https://api.koios.rest/api/v1",
        (koios.NAME, PREPROD.name): "https://preprod.koios.rest/api/v1",
        (blockfrost.NAME, MAINNET.name): "https://cardano-mainnet.blockfrost.io/api/v0",
        (blockfrost.NAME, PREPROD.name): "https://cardano-preprod.blockfrost.io/api/v0",
        (ogmios.NAME, MAINNET.name): "http://127.0.0.1:1337",
        (ogmios.NAME, PREPROD.name): "http://127.0.0.1:1337",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One backend as the settings name it."""

    backend: str
    url: str = ""
    """Empty: the usual one."""
    key_file: Path | None = None
    """Holds the key alone; mode 0600."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a backend is given beside its settings."""

    network: Network
    clock: Callable[[], float] = time.time
    """Unix seconds."""
    memory: Path = Path("ogmios.db")
    """Where the Ogmios backend keeps what was handed in; it alone needs a file."""
    timing: Timing | None = None
    """None: the real one."""


def open_chain(source: Source, around: Surroundings, second: Source | None = None) -> RemoteChain:
    """Return the backend, or the two that must agree; nothing is asked yet.

    Raises ConfigError for a wrong URL or a key file that is absent or open to others.
    """
    first = _opened(source, around)
    if second is None:
        return first
    # Two nodes of one's own see different things: each has a memory of its own.
    apart = replace(around, memory=around.memory.with_name(f"second-{around.memory.name}"))
    try:
        return Agreeing(first, _opened(second, apart))
    except BaseException:
        first.close()
        raise


def url_of(source: Source, network: str) -> str:
    """Return where a backend is reached; raises ConfigError where nobody said."""
    url = source.url or USUAL_URLS.get((source.backend, network), "")
    if not url:
        raise ConfigError(f"{source.backend} has no usual address for {network}: give one")
    return url.rstrip("/")


def url_problem(url: str, *, is_strict: bool) -> str:
    """Say what is wrong with a URL, or nothing; `is_strict` wants TLS but on this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in ("http", "https") or not host:
        return "it must be an http or https address"
    if parts.query or parts.fragment or parts.username is not None:
        return "give scheme, host, port and path only: a key belongs into key_file"
    if is_strict and parts.scheme == "http" and not is_loopback(host):
        return "it must be https, or http to this machine (127.0.0.1)"
    return ""


def _opened(source: Source, around: Surroundings) -> RemoteChain:
    url = url_of(source, around.network.name)
    key = _read_key(source.key_file) if source.key_file else ""
    problem = url_problem(url, is_strict=bool(key))
    if problem:
        raise ConfigError(f"cannot use {url!r:.200} for {source.backend}: {problem}")
    timing = around.timing or Timing()
    match source.backend:
        case koios.NAME:
            bearer = key and f"Bearer {key}"
            end = Endpoint(koios.NAME, url, koios.KEY_HEADER, bearer, koios.WORDS)
            http = ChainHttp(end, koios.LIMIT, timing)
            return Koios(http, around.network, around.clock)
        case blockfrost.NAME:
            end = Endpoint(blockfrost.NAME, url, blockfrost.KEY_HEADER, key)
            http = ChainHttp(end, blockfrost.LIMIT, timing)
            return Blockfrost(http, around.network, around.clock)
        case ogmios.NAME:
            http = ChainHttp(Endpoint(ogmios.NAME, url), ogmios.LIMIT, timing)
            memory = OgmiosMemory(around.memory)
            return Ogmios(http, around.network, around.clock, memory)
        case _:
            raise ConfigError(
                f"cannot use backend {source.backend!r:.40}: known are {', '.join(REMOTE_BACKENDS)}"
            )


def _read_key(path: Path) -> str:
    """Return the key that a file holds; no message repeats it."""
    key = read_secret(path).decode("ascii", "replace").strip()
    if not key or len(key) > KEY_MAX_CHARS or not key.isprintable() or " " in key:
        raise ConfigError(f"cannot read key file {path}: it holds no single key")
    return key
