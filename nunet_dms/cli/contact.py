"""What request and wallet commands share: which wallet, which Oracle, and its pinned keys."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nunet_dms import config
from nunet_dms.cli import render
from nunet_dms.cli.passphrases import opening
from nunet_dms.paths import Paths

if TYPE_CHECKING:
    from nunet_dms.cardano.network import Network, TokenChoice
    from nunet_dms.oracle_http import OracleHttp
    from nunet_dms.protocol.api import OracleInfo
    from nunet_dms.requester.client import Requester
    from nunet_dms.requester.records import Records

DEFAULT_WALLET = "default"
ORACLE_VARIABLE = "NUNET_ORACLE"


@dataclass(frozen=True, slots=True)
class Met:
    """An Oracle that is the one we know, and a client without a login."""

    http: OracleHttp
    info: OracleInfo
    token: TokenChoice
    """Our own settings' word on what we pay with."""

    @property
    def network(self) -> Network:
        """The Oracle's network, with the token that we pay with."""
        from nunet_dms.cardano.known_network import known_network  # noqa: PLC0415 - nacl

        return known_network(self.info, self.token)


def requests_dir(where: Paths) -> Path:
    """Return where submissions and pinned Oracles are kept."""
    return where.state_dir / "requests"


def oracle_url(where: Paths, given: str) -> str:
    """Return the Oracle to talk to: as given, $NUNET_ORACLE, the config, else loopback."""
    if url := given or os.environ.get(ORACLE_VARIABLE, ""):
        return url
    return config.load_oracle(where.config_file).url


@contextmanager
def meet(where: Paths, url: str) -> Iterator[Met]:
    """Ask an Oracle who it is and hold it to what was pinned; a new one is shown and pinned."""
    from nunet_dms.oracle_http import OracleHttp  # noqa: PLC0415 - requests, when needed
    from nunet_dms.requester.pins import meet_oracle  # noqa: PLC0415 - as above

    def trust(fingerprint: str) -> None:
        render.progress(f"the Oracle at {url} has the key {fingerprint}: pinned")

    token = config.load_token(where.config_file).choice
    with OracleHttp(url) as http:
        info = meet_oracle(http, requests_dir(where), trust=trust, token=token).info
        yield Met(http, info, token)


@contextmanager
def requester(
    where: Paths, url: str, wallet: str, passphrase: Path | None = None
) -> Iterator[Requester]:
    """Return a wallet's dealings with an Oracle, logged in by the wallet's signature.

    The passphrase is read from the file, or asked for, once the Oracle is known.
    """
    from nunet_dms.oracle_http import OracleHttp, WalletProof  # noqa: PLC0415 - when needed
    from nunet_dms.requester.client import Requester  # noqa: PLC0415 - as above
    from nunet_dms.requester.wallet import find_wallet  # noqa: PLC0415 - as above

    known = find_wallet(where.wallets_dir, wallet)  # first: without one there is nothing to ask
    with meet(where, url) as met:
        info, token = met.info, met.token
    us = known.unlocked(info.network_id, opening(passphrase, wallet))
    proof = WalletProof(us.key, us.address)
    with OracleHttp(url, proof, ticket_key=info.ticket_key) as http:
        dealings = Requester(http, us, info, records(where), clock=time.time)
        dealings.token = token
        yield dealings


def records(where: Paths) -> Records:
    """Return what was signed here."""
    from nunet_dms.requester.records import Records  # noqa: PLC0415 - when needed

    return Records(requests_dir(where))
