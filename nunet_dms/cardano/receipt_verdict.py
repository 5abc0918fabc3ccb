"""What a verdict must be, given the report; and the objections to it, and its revision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from nunet_dms.cardano.address import parse_address
from nunet_dms.cardano.cip8 import SignedMessage, verify_message
from nunet_dms.cardano.receipt_case import (
    Case,
    Finding,
    Rule,
    base_verdict,
    hold,
    open_verdict,
    report_of,
    signed_by_node,
)
from nunet_dms.errors import VerificationError
from nunet_dms.protocol import strict
from nunet_dms.protocol.dispute import (
    Objection,
    SignedObjection,
    WalletSigned,
    objection_payload,
)
from nunet_dms.protocol.report import (
    ONLY_WHEN_TOLD,
    Reason,
    Report,
    Verdict,
    provider_share,
    revised_share,
)
from nunet_dms.protocol.signing import Domain, Sealed

NO_REPORT: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.CANCELLED: "the requester cancelled it before it ran",
        Reason.NOT_ACCEPTED: "its node did not take it",
        Reason.NODE_FAULT: "its node did not end it",
        Reason.PAYMENT_LOST: "the chain lost its payment before it ran",
    }
)
"""Why a job with this verdict was rightly never reported; nothing is paid for one."""


def check_first_verdict(case: Case) -> Finding:
    """Hold a verdict that was revised to the report, as if it had stood."""
    if case.receipt.first_verdict is None:
        return Finding("the verdict was not revised", is_absent=True)
    verdict = base_verdict(case)
    _hold_metered(case, "first verdict", verdict)
    return Finding(_shares(verdict))


def check_objections(case: Case) -> Finding:
    """Verify each objection: a party's own, to the first verdict."""
    found = [_objection(case, each) for each in case.receipt.objections]
    first = case.receipt.first_verdict or case.receipt.verdict
    for objection in found:
        hold(
            "objection",
            [
                (objection.job_id == case.receipt.request.job_id, "it is of another job"),
                (objection.verdict_hash == first.digest, "it is against another verdict"),
            ],
        )
    if not found:
        return Finding("nobody objected", is_absent=True)
    return Finding("; ".join(f"{each.party}: {each.statement}" for each in found))


def check_verdict(case: Case) -> Finding:
    """Hold the verdict to the report and the price table, or a revision to the operator's share."""
    first = case.receipt.first_verdict
    if first is None:
        verdict = base_verdict(case)
        _hold_metered(case, "verdict", verdict)
        return Finding(_shares(verdict))
    verdict = open_verdict(case, case.receipt.verdict)
    base, price = base_verdict(case), case.receipt.request.price
    share = revised_share(price, verdict.revised_percent or 0)
    hold(
        "verdict",
        [
            (verdict.revises == first.digest, "it does not revise the first one"),
            (verdict.revised_percent is not None, "it does not say how much the operator gave"),
            (verdict.report_hash == base.report_hash, "it is about another report"),
            (verdict.issued_s >= base.issued_s, "it is older than the one that it revises"),
            *_amount_rules(case, verdict, share),
        ],
    )
    return Finding(
        f"revised, {verdict.revised_percent} % to the provider: {_shares(verdict)}"
        + (f" ({verdict.revised_why})" if verdict.revised_why else "")
    )


def _hold_metered(case: Case, name: str, verdict: Verdict) -> None:
    """Hold a verdict that is no revision to the report and the price table."""
    sealed, report = case.receipt.report, report_of(case)
    spec, price = case.receipt.spec, case.receipt.request.price
    limit_ms = spec.time_limit_s * 1000
    due = provider_share(price, verdict.reason, verdict.ran_ms, spec.time_limit_s)
    reasons = set(NO_REPORT) if report is None else _reasons(report)
    most_ms = 0 if report is None else min(report.ran_ms, limit_ms)
    hold(
        name,
        [
            (
                verdict.revises is None
                and verdict.revised_percent is None
                and not verdict.revised_why,
                "it is a revision of one that is not here",
            ),
            (
                verdict.report_hash == (None if sealed is None else sealed.digest),
                "it is about another report",
            ),
            (verdict.reason in reasons, f"the report does not come to {verdict.reason.value}"),
            (
                verdict.ran_ms <= most_ms,
                f"it counts {verdict.ran_ms} ms of the {most_ms} that were reported",
            ),
            *_amount_rules(case, verdict, due),
        ],
    )


def _reasons(report: Report) -> set[Reason]:
    """Return what a report may come to: what only the Oracle can have told is the Oracle's word."""
    told = {*ONLY_WHEN_TOLD, Reason.NODE_FAULT} if report.reason in ONLY_WHEN_TOLD else set()
    return {report.reason} | told


def _amount_rules(case: Case, verdict: Verdict, due: int) -> Iterable[Rule]:
    request = case.receipt.request
    return (
        (verdict.job_id == request.job_id, "it is of another job"),
        (verdict.price == request.price, "it is of another price"),
        (
            (verdict.provider_amount, verdict.requester_amount) == (due, request.price - due),
            f"it gives the provider {verdict.provider_amount} and the requester"
            f" {verdict.requester_amount}, where {due} and {request.price - due} are due",
        ),
    )


def _objection(case: Case, signed: SignedObjection) -> Objection:
    """Return an objection when the party that it names signed it."""
    match signed:
        case SignedObjection(node=Sealed() as sealed, requester=None):
            objection = signed_by_node(case, sealed, Objection, Domain.OBJECTION)
            party = "node"
        case SignedObjection(node=None, requester=WalletSigned() as wallet):
            objection = _by_wallet(case, wallet)
            party = "requester"
        case _:
            raise VerificationError(
                "broken_receipt", "cannot trust the objection: not exactly one party signed it"
            )
    hold("objection", [(objection.party == party, f"it is not the {objection.party}'s own")])
    return objection


def _by_wallet(case: Case, signed: WalletSigned) -> Objection:
    message = SignedMessage(bytes.fromhex(signed.cose_sign1), bytes.fromhex(signed.cose_key))
    payload = verify_message(message, parse_address(case.receipt.request.requester))
    is_signed = payload == objection_payload(signed.text)
    hold("objection", [(is_signed, "its signature is under another text")])
    return strict.decode(Objection, signed.text, at="$objection")


def _shares(verdict: Verdict) -> str:
    return (
        f"{verdict.reason.value} after {verdict.ran_ms} ms: {verdict.provider_amount} to the"
        f" provider, {verdict.requester_amount} to the requester"
    )
