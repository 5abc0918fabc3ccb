"""Everything an Oracle is made of, opened in one place and handed to the rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nunet_dms.cardano.chain.backend import ChainBackend
from nunet_dms.cardano.chain.devnet import Devnet
from nunet_dms.cardano.network import DEVNET, Network
from nunet_dms.errors import ConfigError
from nunet_dms.oracle.blobs import BlobStore
from nunet_dms.oracle.config import OracleConfig, OracleKeys, read_keys
from nunet_dms.oracle.notifier import Notifier
from nunet_dms.oracle.speed import Places
from nunet_dms.oracle.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle:
    """The parts of one Oracle; every rule takes it as its first argument."""

    config: OracleConfig
    keys: OracleKeys
    network: Network
    chain: ChainBackend
    devnet: Devnet | None
    """The chain once more, when it is the development ledger: it has a faucet and a timer."""
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
        if self.devnet is not None:
            self.devnet.close()


def open_oracle(config: OracleConfig, clock: Callable[[], float]) -> Oracle:
    """Open an Oracle's folder; `clock` returns Unix seconds.

    Raises ConfigError for a missing or unsafe key, and for a network without a chain backend.
    """
    if config.network != DEVNET.name:
        raise ConfigError(
            f"cannot serve {config.network}: this version reaches the development ledger only",
            hint='set network = "devnet" in oracle.toml',
        )
    keys = read_keys(config)
    devnet = Devnet(config.ledger, clock)
    return Oracle(
        config=config,
        keys=keys,
        network=devnet.network,
        chain=devnet,
        devnet=devnet,
        store=Store.open(config.database),
        blobs=BlobStore(config.blobs),
        notifier=Notifier(),
        speed_places=Places(),
        clock=clock,
    )
