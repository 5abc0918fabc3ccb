"""How a node and a requester prove to an Oracle who they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from nunet_dms.protocol.keys import SigningKey
from nunet_dms.protocol.login import NodeLogin, WalletLogin

if TYPE_CHECKING:  # a node signs with its own key and loads no wallet code
    from nunet_dms.cardano.address import Address
    from nunet_dms.cardano.keys import Signer

LOGIN_DOMAIN = b"nunet-dms/v1/login\0"
"""Stands before the challenge in what is signed, so that it is no signature of anything else."""


class Proof(Protocol):
    """Who we are, and how we prove it."""

    @property
    def subject(self) -> str:
        """Node id or address."""
        ...

    def login(self, challenge: str) -> NodeLogin | WalletLogin:
        """Return the signed challenge."""
        ...


@dataclass(frozen=True, slots=True)
class NodeProof:
    """A node proves itself with its identity key."""

    key: SigningKey
    node_id: str

    @property
    def subject(self) -> str:
        """The node's id."""
        return self.node_id

    def login(self, challenge: str) -> NodeLogin:
        """Return the challenge signed with the identity key."""
        return NodeLogin(
            challenge=challenge,
            public_key=self.key.public,
            signature=self.key.sign(LOGIN_DOMAIN + challenge.encode()),
        )


@dataclass(frozen=True, slots=True)
class WalletProof:
    """A requester proves itself with its wallet (CIP-8)."""

    key: Signer
    address: Address

    @property
    def subject(self) -> str:
        """The wallet's address, bech32."""
        return self.address.bech32

    def login(self, challenge: str) -> WalletLogin:
        """Return the challenge signed by the wallet."""
        from nunet_dms.cardano.cip8 import sign_message  # noqa: PLC0415 - see above

        signed = sign_message(self.key, self.address, LOGIN_DOMAIN + challenge.encode())
        return WalletLogin(
            challenge=challenge,
            address=self.address.bech32,
            cose_sign1=signed.cose_sign1.hex(),
            cose_key=signed.cose_key.hex(),
        )
