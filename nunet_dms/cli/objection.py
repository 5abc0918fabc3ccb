"""What `nunet request object` and `nunet jobs object` share: grounds, and how it stands then."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nunet_dms.cli import render
from nunet_dms.cli.times import clock_time
from nunet_dms.errors import UsageError

if TYPE_CHECKING:
    from nunet_dms.protocol.dispute import Decision, Grounds, SignedObjection

READ_BYTES = 1024 * 1024
STATEMENT_MAX_CHARS = 500
"""As `ShortText` in the protocol."""

WHY = typer.Option(help="What is wrong with the verdict; the other side reads it too.")
EVIDENCE = typer.Option(
    None, "--evidence", help="Keep this file: its SHA-256 is signed.", exists=True, dir_okay=False
)


def grounds_of(why: str, evidence: Path | None) -> Grounds:
    """Return the grounds of an objection; the evidence is hashed, not sent."""
    from nunet_dms.protocol.dispute import NO_EVIDENCE, Grounds  # noqa: PLC0415 - when needed

    if not 0 < len(why.strip()) <= STATEMENT_MAX_CHARS:
        raise UsageError(f"cannot object: give --why with at most {STATEMENT_MAX_CHARS} characters")
    return Grounds(why.strip(), NO_EVIDENCE if evidence is None else _sha256(evidence))


def shown(decision: Decision) -> render.Shown:
    """Return how a verdict stands, for people and scripts."""
    from nunet_dms.protocol import strict  # noqa: PLC0415 - when needed
    from nunet_dms.protocol.report import Verdict  # noqa: PLC0415 - as above

    verdict = strict.decode(Verdict, decision.verdict.payload)
    objections = [_inside(each) for each in decision.objections]
    facts = {
        "job_id": decision.job_id,
        "reason": verdict.reason.value,
        "provider_amount": verdict.provider_amount,
        "requester_amount": verdict.requester_amount,
        "revised_percent": verdict.revised_percent,
        "window_ends_s": decision.window_ends_s,
        "objections": objections,
    }
    lines = (
        f"verdict    {verdict.reason.value}: {verdict.provider_amount} to the provider,"
        f" {verdict.requester_amount} back to the requester (base units)",
        f"window     open until {clock_time(decision.window_ends_s)}",
        *(f"objection  {each['party']}: {each['statement']}" for each in objections),
    )
    return render.Shown("nunet.objection/1", facts, lines)


def _inside(signed: SignedObjection) -> dict[str, object]:
    from nunet_dms.protocol import strict  # noqa: PLC0415 - when needed
    from nunet_dms.protocol.dispute import Objection  # noqa: PLC0415 - as above

    text = signed.node.payload if signed.node else signed.requester.text if signed.requester else ""
    found = strict.decode(Objection, text)
    return {
        "party": found.party,
        "statement": found.statement,
        "evidence_sha256": found.evidence_sha256,
        "issued_s": found.issued_s,
    }


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(READ_BYTES):
            digest.update(part)
    return digest.hexdigest()
