"""Objections to a verdict: who signs them, and what they commit to."""

from dataclasses import dataclass
from typing import Annotated, Literal

from nunet_dms.errors import VerificationError
from nunet_dms.protocol.bounds import Hex16, Hex32, HexBytes, Length, ShortText, UnixSeconds
from nunet_dms.protocol.report import Verdict, revised_share
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed

OBJECTION_DOMAIN = b"nunet-dms/v1/objection\n"
"""Before the text that a wallet signs; a node seals its objection under `Domain.OBJECTION`."""

Party = Literal["node", "requester"]
NO_EVIDENCE = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""SHA-256 of nothing: of an objection that brings words alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """One party's no to one verdict, with the hash of the evidence that it keeps."""

    version: Literal[1] = 1
    job_id: Hex16
    verdict_hash: Hex32
    """Digest of the sealed verdict that is objected to."""
    party: Party
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A verdict as its two parties see it, and what was said against it."""

    job_id: Hex16
    verdict: Sealed
    first_verdict: Sealed | None = None
    """The one that was revised, where one was."""
    window_ends_s: UnixSeconds
    """From then on no objection is taken."""
    objections: Annotated[tuple[SignedObjection, ...], Length(0, 16)] = ()


def objection_payload(text: str) -> bytes:
    """Return what the wallet signs: the domain, then the objection's canonical bytes."""
    return OBJECTION_DOMAIN + text.encode()


@dataclass(frozen=True, slots=True)
class Grounds:
    """Why a party objects: a sentence, and the hash of what it keeps as evidence."""

    statement: str
    evidence_sha256: str = NO_EVIDENCE


def objection_to(
    decision: Decision, ticket_key: str, party: Party, grounds: Grounds, issued_s: int
) -> Objection:
    """Return a party's objection to the verdict that stands; to be signed by it.

    Raises VerificationError unless the verdict is the Oracle's own, on that job.
    """
    verdict = open_sealed(decision.verdict, Verdict, Domain.VERDICT, ticket_key)
    if verdict.job_id != decision.job_id:
        raise VerificationError(
            "wrong_verdict", "cannot object: the Oracle's verdict is of another job"
        )
    return Objection(
        job_id=decision.job_id,
        verdict_hash=decision.verdict.digest,
        party=party,
        evidence_sha256=grounds.evidence_sha256,
        statement=grounds.statement,
        issued_s=issued_s,
    )


def first_of(revision: Verdict, sealed_first: Sealed | None, ticket_key: str) -> Verdict:
    """Return the verdict that `revision` takes the place of, when it does so rightly.

    The first one must be the Oracle's, of this job and price, and itself no revision; the amounts
    must follow from the percent. Raises VerificationError, code `wrong_revision`.
    """
    if sealed_first is None or revision.revised_percent is None:
        raise _wrong("it does not come with the verdict that it revises, or without its percent")
    first = open_sealed(sealed_first, Verdict, Domain.VERDICT, ticket_key)
    due = revised_share(revision.price, revision.revised_percent)
    for holds, why in (
        (revision.revises == sealed_first.digest, "it revises another verdict"),
        (first.revises is None, "the verdict was revised before, which may be done once"),
        (
            (first.job_id, first.price, first.reason, first.ran_ms, first.report_hash)
            == (
                revision.job_id, revision.price, revision.reason, revision.ran_ms,
                revision.report_hash,
            ),
            "it says something else of the job",
        ),
        (
            (revision.provider_amount, revision.requester_amount) == (due, revision.price - due),
            f"it gives the provider {revision.provider_amount}, its percent comes to {due}",
        ),
    ):  # fmt: skip
        if not holds:
            raise _wrong(why)
    return first


def _wrong(why: str) -> VerificationError:
    return VerificationError("wrong_revision", f"cannot trust the revised verdict: {why}")
