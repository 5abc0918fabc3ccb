"""Challenge, login and session: how a node or a wallet proves who it is."""

from dataclasses import dataclass
from typing import Annotated, Literal

from nunet_dms.protocol.bounds import (
    AddressText,
    Hex16,
    Hex32,
    Hex64,
    HexBytes,
    Length,
    UnixSeconds,
)

ChallengeText = Annotated[str, Length(0, 4096)]
Token = Annotated[str, Length(1, 4096)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeRequest:
    """Ask for something to sign: as a node (node id) or a wallet (address)."""

    subject: Annotated[str, Length(1, 200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What the Oracle wants signed: its own sealed word, good for a minute."""

    challenge: ChallengeText


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeBody:
    """Inside a challenge."""

    subject: Annotated[str, Length(1, 200)]
    nonce: Hex16
    expires_s: UnixSeconds


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLogin:
    """A node's answer: the challenge signed with its identity key (domain `login`)."""

    kind: Literal["node"] = "node"
    challenge: ChallengeText
    public_key: Hex32
    signature: Hex64


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletLogin:
    """A requester's answer: the challenge signed by the wallet (CIP-8)."""

    kind: Literal["wallet"] = "wallet"
    challenge: ChallengeText
    address: AddressText
    cose_sign1: HexBytes
    cose_key: HexBytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A bearer token for the `Authorization` header."""

    token: Token
    expires_s: UnixSeconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionBody:
    """Inside a session token."""

    subject: Annotated[str, Length(1, 200)]
    kind: Literal["node", "wallet"]
    expires_s: UnixSeconds
