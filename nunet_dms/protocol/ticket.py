"""The ticket: the Oracle's signed word that a request is paid and is for one node."""

from dataclasses import dataclass
from typing import Annotated, Literal

from nunet_dms.protocol.bounds import (
    AddressText,
    Hex16,
    Hex28,
    Hex32,
    PositiveAmount,
    Range,
    UnixSeconds,
)
from nunet_dms.protocol.keys import SigningKey
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed, seal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Short-lived and single-use: the node checks every field against the job that it holds."""

    version: Literal[1] = 1
    ticket_id: Hex16
    job_id: Hex16
    network_magic: Annotated[int, Range(0, 2**32 - 1)]
    request_hash: Hex32
    spec_hash: Hex32
    node_id: Hex28
    requester: AddressText
    payment_tx_id: Hex32
    payment_output_index: Annotated[int, Range(0, 65_535)]
    amount: PositiveAmount
    escrow_address: AddressText
    block_hash: Hex32
    block_height: Annotated[int, Range(0, 2**40)]
    confirmations: Annotated[int, Range(0, 2**32)]
    issued_s: UnixSeconds
    expires_s: UnixSeconds


def seal_ticket(ticket: Ticket, key: SigningKey) -> Sealed:
    """Sign a ticket with the Oracle's ticket key."""
    return seal(ticket, Domain.TICKET, key)


def open_ticket(sealed: Sealed, pinned_key: str) -> Ticket:
    """Return the ticket inside; raises VerificationError unless the pinned key signed it."""
    return open_sealed(sealed, Ticket, Domain.TICKET, pinned_key)
