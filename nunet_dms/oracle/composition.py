"""Everything an Oracle is made of, opened in one place and handed to the rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nunet_dms.cardano.chain.archive import DevnetArchive
from nunet_dms.cardano.chain.backend import ChainBackend, RemoteChain
from nunet_dms.cardano.chain.devnet import Devnet
from nunet_dms.cardano.chain.pace import UNLIMITED, Bucket, Limit, Timing
from nunet_dms.cardano.network import Network
from nunet_dms.oracle.blobs import BlobStore
from nunet_dms.oracle.config import OracleConfig, OracleKeys, read_keys
from nunet_dms.oracle.notifier import Notifier
from nunet_dms.oracle.remote_chain import network_of, open_remote
from nunet_dms.oracle.speed import Places
from nunet_dms.oracle.store import Store

GUEST_LIMIT = Limit(burst=20, per_s=2.0)
"""Of calls for wallets, of the 9 in a second that the public tiers allow in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle:
    """The parts of one Oracle; every rule takes it as its first argument."""

    config: OracleConfig
    keys: OracleKeys
    network: Network
    chain: ChainBackend
    devnet: Devnet | None
    """The chain once more, when it is the development ledger: it has a faucet and a timer."""
    archive: DevnetArchive | None
    """The development ledger's past, for those who look at it over HTTP."""
    remote: RemoteChain | None
    """The chain once more, when somebody else has it."""
    guests: Bucket
    """How often wallets may ask that chain: jobs are never to lack their calls."""
    store: Store
    blobs: BlobStore
    notifier: Notifier
    speed_places: Places
    clock: Callable[[], float]
    """Unix seconds."""

    @property
    def now_ms(self) -> int:
        """The clock in milliseconds."""
        return int(self.clock() * 1000)

    def close(self) -> None:
        """Close files and database."""
        self.store.close()
        for each in (self.archive, self.devnet, self.remote):
            if each is not None:
                each.close()


def open_oracle(config: OracleConfig, clock: Callable[[], float]) -> Oracle:
    """Open an Oracle's folder; `clock` returns Unix seconds. No chain is asked anything yet.

    Raises ConfigError for a missing or unsafe key, and for a chain that cannot be used.
    """
    keys = read_keys(config)
    chain = _open_chain(config, clock)
    return Oracle(
        config=config,
        keys=keys,
        network=chain.network,
        chain=chain.backend,
        devnet=chain.devnet,
        archive=chain.archive,
        remote=chain.remote,
        guests=Bucket(UNLIMITED if chain.remote is None else GUEST_LIMIT, Timing()),
        store=Store.open(config.database),
        blobs=BlobStore(config.blobs),
        notifier=Notifier(),
        speed_places=Places(),
        clock=clock,
    )


@dataclass(frozen=True, slots=True)
class _Chain:
    backend: ChainBackend
    network: Network
    devnet: Devnet | None = None
    archive: DevnetArchive | None = None
    remote: RemoteChain | None = None


def _open_chain(config: OracleConfig, clock: Callable[[], float]) -> _Chain:
    network = network_of(config)
    if not config.chain.is_devnet:
        remote = open_remote(config, clock)
        return _Chain(remote, network, remote=remote)
    devnet = Devnet(config.ledger, clock)
    own = replace(network, token_policy=devnet.asset.policy)
    return _Chain(devnet, own, devnet, DevnetArchive(config.ledger))
