"""From an offer to a VerifiedJob, or a reason: nothing else makes one, the runner takes no other.

Everything that the Oracle signed is checked against what this node pinned, holds and reckons for
itself. Whether the job fits is the allocator's and the journal's business.
"""

from __future__ import annotations

from dataclasses import dataclass

from nunet_dms.cardano.agreement import escrow_terms
from nunet_dms.errors import MalformedError, VerificationError
from nunet_dms.node.identity import Identity
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import OracleInfo
from nunet_dms.protocol.job import JobSpec
from nunet_dms.protocol.node import Offer
from nunet_dms.protocol.platform import Platform, misfit
from nunet_dms.protocol.quote import JobRequest
from nunet_dms.protocol.ticket import Ticket, open_ticket

CLOCK_SKEW_S = 60
"""How far the Oracle's clock may be from ours."""


@dataclass(frozen=True, slots=True)
class VerifiedJob:
    """A paid job that is for this node; made by `verify_offer` alone."""

    ticket: Ticket
    request: JobRequest
    spec: JobSpec

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self.ticket.job_id


def verify_offer(
    offer: Offer, pinned: OracleInfo, us: Identity, now_s: float, here: Platform | None = None
) -> VerifiedJob:
    """Return the job inside an offer; raises VerificationError with one code for each rule.

    `here` is what this machine is, None while that is not known.
    """
    job = read_offer(offer, pinned.ticket_key)
    ticket, request, spec = job.ticket, job.request, job.spec
    rules = (
        ("foreign_ticket", ticket.node_id == us.node_id, "it is for another node"),
        ("wrong_network", ticket.network_magic == pinned.network_magic, "it is of another network"),
        ("expired", now_s < ticket.expires_s + CLOCK_SKEW_S, "it has expired"),
        ("not_yet_valid", ticket.issued_s - CLOCK_SKEW_S <= now_s, "it is from the future"),
        ("wrong_request", ticket.request_hash == request.digest, "it is for another request"),
        ("wrong_request", ticket.job_id == request.job_id, "it names another job"),
        ("wrong_spec", request.spec_hash == ticket.spec_hash == spec.digest, "another job spec"),
        ("foreign_request", request.node_id == us.node_id, "the request names another node"),
        (
            "foreign_request",
            request.node_key_hash == us.settlement_key.key_hash.hex(),
            "the escrow needs another node's signature",
        ),
        ("foreign_wallet", request.provider_wallet == us.wallet, "it pays another wallet"),
        ("wrong_oracle", request.oracle_key_hash == pinned.escrow_key_hash, "another Oracle's"),
        ("wrong_network", request.network_magic == pinned.network_magic, "another network"),
        (
            "wrong_token",
            (request.token_policy, request.token_name) == (pinned.token_policy, pinned.token_name),
            "it is paid in another token",
        ),
        ("wrong_requester", request.requester == ticket.requester, "the requesters differ"),
        ("underpaid", ticket.amount >= request.price, "less than the price was paid"),
        (
            "wrong_escrow",
            ticket.escrow_address == escrow_terms(request).address.bech32,
            "the escrow is not the one that this request stands for",
        ),
    )
    for code, holds, why in rules:
        if not holds:
            raise VerificationError(code, f"cannot take job {ticket.job_id}: {why}")
    _check_supported(spec)
    _check_platform(spec, here)
    return job


def read_offer(offer: Offer, ticket_key: str) -> VerifiedJob:
    """Return an offer's three parts, read strictly; the pinned key must have signed the ticket.

    Also used after a restart, on offers that `verify_offer` accepted and the journal kept.
    """
    return VerifiedJob(
        ticket=open_ticket(offer.ticket, ticket_key),
        request=_exact(JobRequest, offer.request, "request"),
        spec=_exact(JobSpec, offer.spec, "spec"),
    )


def _exact(kind: type[strict.T], text: str, name: str) -> strict.T:
    """Read a text that must be canonical: its hash is taken from what was read."""
    value = strict.decode(kind, text, at=f"${name}")
    if strict.encode(value) != text.encode():
        raise MalformedError(f"cannot read the {name}: it is not canonical", where=f"${name}")
    return value


def _check_supported(spec: JobSpec) -> None:
    unsupported = {
        "$.network": spec.network != "none",
        "$.resources.gpus": spec.resources.gpus > 0,
        "$.kind": spec.kind != "batch",
    }
    for where, asked in unsupported.items():
        if asked:
            raise VerificationError(
                "unsupported", f"cannot take the job: this node does not offer {where}", where=where
            )


def _check_platform(spec: JobSpec, here: Platform | None) -> None:
    """Refuse a job that was begun on a machine which ours cannot stand in for."""
    resume = spec.resume
    if resume is None:
        return
    if here is None:
        why: str | None = "this machine has not been looked at yet"
    else:
        why = misfit(resume.platform, here)
    if why is not None:
        raise VerificationError(
            "platform_mismatch",
            f"cannot take the job: {why}",
            where="$.checkpoint.resume.platform",
        )
