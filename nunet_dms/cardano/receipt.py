"""Verify a receipt offline: walk its chain, and name the first link that is broken.

Nothing in it is taken on trust that can be reckoned again from the parts before: hashes, the
three parties' signatures, the escrow, the provider's share, what the settlement pays. What no
file can prove is said by the Oracle's seal alone: the heights of blocks, and that the metered
time was no shorter than its clock allowed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from nunet_dms.cardano.receipt_case import Case
from nunet_dms.cardano.receipt_parts import CHECKS
from nunet_dms.errors import MalformedError, VerificationError
from nunet_dms.protocol import strict
from nunet_dms.protocol.keys import fingerprint_of
from nunet_dms.protocol.receipt import FIELDS, LinkKind, Receipt, head_problem, link_problem
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed

SEAL = "seal"
"""The last thing that is verified: the Oracle's signature over everything."""


_FIELD = re.compile(r"\$receipt\.([a-z0-9_]+)(?:\[([0-9]{1,3})\])?")


class LinkState(str, Enum):
    """What came of one link."""

    OK = "ok"
    ABSENT = "absent"
    """The part does not exist, and that is right so."""
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class CheckedLink:
    """One link, what came of it, and what it shows or why it is broken."""

    link: str
    """A LinkKind's value, or `seal`."""
    state: LinkState
    text: str


@dataclass(frozen=True, slots=True)
class Verification:
    """A receipt, walked from the spec to the seal."""

    links: tuple[CheckedLink, ...]
    """In their order; of a receipt that cannot be read, the one link that cannot."""
    receipt: Receipt | None
    """None where it cannot be read."""
    oracle_key: str
    """The Oracle's key with which it was verified."""

    @property
    def first_broken(self) -> CheckedLink | None:
        """The first broken link, None when everything holds."""
        return next((link for link in self.links if link.state is LinkState.BROKEN), None)


def verify_receipt(sealed: Sealed, oracle_key: str | None = None) -> Verification:
    """Return what holds of a receipt, link by link; never raises for what is inside.

    Without an `oracle_key` the receipt's own is used: then it proves only that one and the same
    Oracle signed all that an Oracle signs.
    """
    key = oracle_key or sealed.public_key
    try:
        receipt = strict.decode(Receipt, sealed.payload, at="$receipt")
    except MalformedError as error:
        broken = CheckedLink(_link_at(error.where), LinkState.BROKEN, str(error))
        return Verification((broken,), None, key)
    case = Case(receipt, key)
    links = [_checked(case, kind) for kind in LinkKind]
    return Verification((*links, _seal(sealed, receipt, key)), receipt, key)


def _checked(case: Case, kind: LinkKind) -> CheckedLink:
    """Hold a part to its link in the chain, then to the parts before it."""
    problem = link_problem(case.receipt, kind)
    if problem is not None:
        return CheckedLink(kind.value, LinkState.BROKEN, problem)
    try:
        finding = CHECKS[kind](case)
    except VerificationError as error:
        return CheckedLink(kind.value, LinkState.BROKEN, str(error))
    state = LinkState.ABSENT if finding.is_absent else LinkState.OK
    return CheckedLink(kind.value, state, finding.text)


def _seal(sealed: Sealed, receipt: Receipt, key: str) -> CheckedLink:
    problem = head_problem(receipt)
    if problem is None:
        try:
            open_sealed(sealed, Receipt, Domain.RECEIPT, key)
        except VerificationError as error:
            problem = str(error)
    if problem is not None:
        return CheckedLink(SEAL, LinkState.BROKEN, problem)
    return CheckedLink(SEAL, LinkState.OK, f"by the Oracle with the key {fingerprint_of(key)}")


def _link_at(where: str) -> str:
    """Return the link that a path such as `$receipt.request.price` lies in."""
    found = _FIELD.match(where)
    name, place = (found[1], int(found[2] or 0)) if found else ("", 0)
    if name == "job_id":
        return LinkKind.REQUEST.value
    if name == "links" and place < len(LinkKind):
        return list(LinkKind)[place].value
    return next((kind.value for kind, fields in FIELDS.items() if name in fields), SEAL)
