"""Sealed values: signed over the exact bytes that travel, each kind under a domain of its own."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, TypeVar

from nunet_dms.errors import VerificationError
from nunet_dms.protocol import strict
from nunet_dms.protocol.bounds import Hex32, Hex64, Length
from nunet_dms.protocol.keys import SigningKey, is_signed_by

T = TypeVar("T")


class Domain(str, Enum):
    """What a signature is for: one over a report is worth nothing as a ticket."""

    CHALLENGE = "challenge"
    LOGIN = "login"
    SESSION = "session"
    REGISTRATION = "registration"
    TICKET = "ticket"
    REPORT = "report"
    CHECKPOINT = "checkpoint"
    VERDICT = "verdict"
    OBJECTION = "objection"
    RECEIPT = "receipt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A payload (canonical JSON, as the text that was signed) with its signer and signature."""

    payload: Annotated[str, Length(2, strict.TEXT_MAX_BYTES)]
    public_key: Hex32
    signature: Hex64

    @property
    def digest(self) -> str:
        """blake2b-256 of payload, key and signature, as hex: what other records link to."""
        return strict.digest(strict.encode(self))


def seal(value: object, domain: Domain, key: SigningKey) -> Sealed:
    """Sign a dataclass: Ed25519 over the domain and its canonical bytes."""
    payload = strict.encode(value)
    return Sealed(
        payload=payload.decode(),
        public_key=key.public,
        signature=key.sign(_signed_bytes(domain, payload)),
    )


def open_sealed(sealed: Sealed, kind: type[T], domain: Domain, public_key: str) -> T:
    """Return the value inside; raises VerificationError unless `public_key` signed these bytes."""
    if sealed.public_key != public_key:
        raise VerificationError(
            "foreign_key", f"cannot trust this {domain.value}: it is signed by another key"
        )
    payload = sealed.payload.encode()
    if not is_signed_by(public_key, _signed_bytes(domain, payload), sealed.signature):
        raise VerificationError(
            "bad_signature", f"cannot trust this {domain.value}: its signature does not hold"
        )
    return strict.decode(kind, payload, at=f"${domain.value}")


def _signed_bytes(domain: Domain, payload: bytes) -> bytes:
    return b"nunet-dms/v1/" + domain.value.encode() + b"\0" + payload
