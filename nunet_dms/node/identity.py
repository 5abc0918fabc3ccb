"""Who this node is: its two keys, made once, and what it keeps to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from nunet_dms.cardano.keys import PaymentKey, read_key_file
from nunet_dms.paths import Paths
from nunet_dms.protocol.keys import SigningKey, node_id_of, read_signing_key


@dataclass(frozen=True)
class Identity:
    """The identity key signs what the node says; the settlement key co-signs payouts."""

    key: SigningKey
    settlement_key: PaymentKey
    wallet: str

    @cached_property
    def node_id(self) -> str:
        """The node's public name."""
        return node_id_of(self.key.public)


def read_identity(paths: Paths, wallet: str) -> Identity:
    """Read both keys; raises ConfigError when one is missing or open to others."""
    return Identity(
        key=read_signing_key(paths.identity_key),
        settlement_key=read_key_file(paths.settlement_key),
        wallet=wallet,
    )
