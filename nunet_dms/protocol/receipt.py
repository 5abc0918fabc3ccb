"""The receipt: one record from payment to payout that either side can check offline.

It embeds every part that was signed, and a chain over them: one link for each part in the order
of `LinkKind`, which names the part by its digest and the link before it by its hash.

    START <- spec <- request <- signature <- payment <- ticket <- report <- first_verdict
          <- objections <- verdict <- settlement <- head, which the Oracle seals with all of it

A part that does not exist has a link too, over `null` (no objections: over `[]`): that there was
none is sealed as well, so that no part can be cut out. Where parts name one another (a verdict
its report, a revision the verdict before), they do so by the same digests.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Annotated, Literal

from nunet_dms.protocol import strict
from nunet_dms.protocol.bounds import Hex16, Hex32, HexBytes, Length, Range
from nunet_dms.protocol.dispute import SignedObjection
from nunet_dms.protocol.job import JobSpec
from nunet_dms.protocol.quote import JobRequest
from nunet_dms.protocol.signing import Sealed

LINK_DOMAIN = b"nunet-dms/v1/receipt-link\n"
"""Keeps a link's hash from being any other hash of the same bytes."""
START = "00" * 32
"""What the first link has in place of a link before it."""


class LinkKind(str, Enum):
    """The parts of a receipt, in the order in which they are linked and verified."""

    SPEC = "spec"
    REQUEST = "request"
    SIGNATURE = "signature"
    PAYMENT = "payment"
    TICKET = "ticket"
    REPORT = "report"
    FIRST_VERDICT = "first_verdict"
    OBJECTIONS = "objections"
    VERDICT = "verdict"
    SETTLEMENT = "settlement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One part's place in the chain."""

    kind: LinkKind
    part: Hex32
    """Digest of the part."""
    previous: Hex32
    """Hash of the link before; `START` in the first."""

    @property
    def hash(self) -> str:
        """blake2b-256 of the domain, the kind, the part's digest, the hash before; as hex."""
        text = f"{self.kind.value}\n{self.part}\n{self.previous}\n"
        return hashlib.blake2b(LINK_DOMAIN + text.encode(), digest_size=32).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Everything that was signed about one job, each part linked to the others by hashes.

    Made without its chain; `linked` adds that, and the Oracle seals what `linked` returns.
    """

    version: Literal[1] = 1
    job_id: Hex16
    spec: JobSpec
    request: JobRequest
    request_cose_sign1: HexBytes
    request_cose_key: HexBytes
    payment_tx: HexBytes
    payment_tx_id: Hex32
    ticket: Sealed | None
    report: Sealed | None
    first_verdict: Sealed | None = None
    """The verdict that was revised, where one was."""
    objections: Annotated[tuple[SignedObjection, ...], Length(0, 16)] = ()
    verdict: Sealed
    """The one that the settlement pays."""
    settlement_tx: HexBytes
    settlement_tx_id: Hex32
    settled_height: Annotated[int, Range(0, 2**40)]
    links: Annotated[tuple[Link, ...], Length(0, 16)] = ()
    head: Hex32 | None = None
    """Hash of the last link."""


FIELDS: Mapping[LinkKind, tuple[str, ...]] = {
    LinkKind.SPEC: ("spec",),
    LinkKind.REQUEST: ("request",),
    LinkKind.SIGNATURE: ("request_cose_sign1", "request_cose_key"),
    LinkKind.PAYMENT: ("payment_tx", "payment_tx_id"),
    LinkKind.TICKET: ("ticket",),
    LinkKind.REPORT: ("report",),
    LinkKind.FIRST_VERDICT: ("first_verdict",),
    LinkKind.OBJECTIONS: ("objections",),
    LinkKind.VERDICT: ("verdict",),
    LinkKind.SETTLEMENT: ("settlement_tx", "settlement_tx_id", "settled_height"),
}
"""Total: the fields of a receipt that each link is over. The seal alone covers the rest."""


def part_digest(receipt: Receipt, kind: LinkKind) -> str:
    """Return blake2b-256 of a part's canonical JSON, as hex.

    A single field stands for itself, so that it has the digest by which other parts name it;
    several are an object of those fields.
    """
    fields = {name: strict.to_plain(getattr(receipt, name)) for name in FIELDS[kind]}
    (first, *others) = fields.values()
    return strict.digest(strict.encode(fields if others else first))


def chain(receipt: Receipt) -> tuple[Link, ...]:
    """Return the links of a receipt's parts, one of every kind."""
    links: list[Link] = []
    before = START
    for kind in LinkKind:
        links.append(Link(kind=kind, part=part_digest(receipt, kind), previous=before))
        before = links[-1].hash
    return tuple(links)


def linked(receipt: Receipt) -> Receipt:
    """Return the receipt with its chain, ready to be sealed."""
    links = chain(receipt)
    return replace(receipt, links=links, head=links[-1].hash)


def link_problem(receipt: Receipt, kind: LinkKind) -> str | None:
    """Say why a part's link does not hold, or None: against the part, and the link before it."""
    place = list(LinkKind).index(kind)
    if place >= len(receipt.links):
        return "its link is missing from the chain"
    link = receipt.links[place]
    if link.kind is not kind:
        return f"the link of {link.kind.value} stands in its place in the chain"
    if link.part != part_digest(receipt, kind):
        return "it was changed: the chain has another hash for it"
    if link.previous != (receipt.links[place - 1].hash if place else START):
        return "its link does not follow the one before it"
    return None


def head_problem(receipt: Receipt) -> str | None:
    """Say why the end of the chain does not hold, or None."""
    if len(receipt.links) > len(LinkKind):
        return "the chain goes on after the settlement"
    if not receipt.links or receipt.head != receipt.links[-1].hash:
        return "its head is not the end of the chain"
    return None
