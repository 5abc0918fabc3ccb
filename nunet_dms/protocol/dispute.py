"""Objections to a verdict: who signs them, and what they commit to."""

from dataclasses import dataclass
from typing import Annotated, Literal

from nunet_dms.protocol.bounds import Hex16, Hex32, HexBytes, Length, ShortText, UnixSeconds
from nunet_dms.protocol.signing import Sealed

OBJECTION_DOMAIN = b"nunet-dms/v1/objection\n"
"""Before the text that a wallet signs; a node seals its objection under `Domain.OBJECTION`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """One party's no to one verdict, with the hash of the evidence that it keeps."""

    version: Literal[1] = 1
    job_id: Hex16
    verdict_hash: Hex32
    """Digest of the sealed verdict that is objected to."""
    party: Literal["node", "requester"]
    evidence_sha256: Hex32
    statement: ShortText
    issued_s: UnixSeconds


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletSigned:
    """A text that a requester's wallet signed (CIP-8): the payload is the domain, then the text."""

    text: Annotated[str, Length(2, 8192)]
    cose_sign1: HexBytes
    cose_key: HexBytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedObjection:
    """An objection as its party signed it: exactly one of the two is there."""

    node: Sealed | None = None
    requester: WalletSigned | None = None


def objection_payload(text: str) -> bytes:
    """Return what the wallet signs: the domain, then the objection's canonical bytes."""
    return OBJECTION_DOMAIN + text.encode()
