"""How this node introduces itself to the Oracle, and again when there is news of it."""

from __future__ import annotations

from collections.abc import Callable

from nunet_dms import __version__
from nunet_dms.config import Config
from nunet_dms.machine.platform import read_platform
from nunet_dms.node.deps import Deps
from nunet_dms.node.lookout import Lookout
from nunet_dms.protocol.api import OracleInfo
from nunet_dms.protocol.node import Capacity, NodeRegistration
from nunet_dms.protocol.quote import PriceList
from nunet_dms.protocol.signing import Domain, seal


class Introduction:
    """Counts what is to be told, so that news which comes while the last is told is not lost."""

    def __init__(self, deps: Deps, config: Config, lookout: Lookout) -> None:
        self.problem = ""
        """Why the Oracle did not take the last one; empty if it did."""
        self._deps = deps
        self._config = config
        self._lookout = lookout
        self._news = 1
        self._told = 0

    @property
    def is_made(self) -> bool:
        """Whether the Oracle knows this node; what is newer may still be on its way."""
        return self._told > 0

    @property
    def is_due(self) -> bool:
        """Whether there is something that the Oracle does not know yet."""
        if not self.is_made and self._lookout.is_worth_waiting_for:
            return False
        return self._told < self._news

    def add_news(self) -> None:
        """Note that the node is not what was told any more."""
        self._news += 1

    def forget(self) -> None:
        """Note that the Oracle does not know this node."""
        self._told = 0

    def task(self, oracle: OracleInfo) -> Callable[[], int]:
        """Return what tells the Oracle everything as it is now; its result is for `made`."""
        deps, news = self._deps, self._news
        sealed = seal(self._registration(oracle), Domain.REGISTRATION, deps.identity.key)

        def introduce() -> int:
            deps.oracle.register(sealed)
            return news

        return introduce

    def made(self, news: int) -> None:
        """Take the Oracle's yes to what `task` told."""
        self._told, self.problem = news, ""

    def _registration(self, oracle: OracleInfo) -> NodeRegistration:
        config, us, platform = self._config, self._deps.identity, read_platform()
        sold = self._lookout.capacity
        return NodeRegistration(
            node_id=us.node_id,
            settlement_key_hash=us.settlement_key.key_hash.hex(),
            wallet=us.wallet,
            network_magic=oracle.network_magic,
            capacity=Capacity(cpu_mhz=sold.cpu_mhz, ram_mb=sold.ram_mb, disk_mb=sold.disk_mb),
            price=PriceList(
                per_ghz_hour=config.price.per_ghz_hour,
                per_ram_gb_hour=config.price.per_ram_gb_hour,
                per_gpu_hour=config.price.per_gpu_hour,
            ),
            architecture=platform.architecture,
            platform=f"{platform.os_name}, kernel {platform.kernel}",
            agent_version=__version__,
            machine=self._lookout.machine,
            issued_s=self._deps.journal.next_issued_s(int(self._deps.clock.wall_s())),
        )
