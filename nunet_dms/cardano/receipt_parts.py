"""What each part of a receipt must be, given the parts before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from nunet_dms.cardano.address import parse_address
from nunet_dms.cardano.agreement import escrow_terms, settlement_terms
from nunet_dms.cardano.cip8 import SignedMessage, verify_message
from nunet_dms.cardano.payment import VerifiedPayment
from nunet_dms.cardano.receipt_case import (
    Case,
    Finding,
    base_verdict_if_any,
    hold,
    open_verdict,
    payment_of,
    report_of,
    ticket_of,
)
from nunet_dms.cardano.receipt_verdict import (
    NO_REPORT,
    check_first_verdict,
    check_objections,
    check_verdict,
)
from nunet_dms.cardano.settlement import check_settlement
from nunet_dms.cardano.transaction import Transaction, TxInput
from nunet_dms.protocol import strict
from nunet_dms.protocol.quote import signing_payload
from nunet_dms.protocol.receipt import LinkKind, link_problem
from nunet_dms.protocol.report import Reason

SIGNERS_NEEDED = 2
"""Of the three parties, under a settlement."""
NO_TICKET: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.CANCELLED: "the requester cancelled it before it was offered",
        Reason.NOT_ACCEPTED: "its deadline was too near for it to be offered",
    }
)
"""Why a job with this verdict was rightly never offered."""


def check_spec(case: Case) -> Finding:
    """Hold the spec to the hash in the request; a request that is broken itself says nothing."""
    spec, request = case.receipt.spec, case.receipt.request
    if link_problem(case.receipt, LinkKind.REQUEST) is None:
        hold("spec", [(spec.digest == request.spec_hash, "the request is for another one")])
    inputs = spec.inputs
    return Finding(
        f"{_short(spec.digest)}: {spec.image}, {len(inputs.files)} input files of"
        f" {inputs.total_bytes} bytes"
    )


def check_request(case: Case) -> Finding:
    """Hold the request to the job's id, and see that it stands for an escrow."""
    request = case.receipt.request
    hold("request", [(request.job_id == case.receipt.job_id, f"it is of job {request.job_id}")])
    escrow_terms(request)
    return Finding(
        f"{_short(request.digest)}: at most {request.price} base units, to node"
        f" {_short(request.node_id)}"
    )


def check_signature(case: Case) -> Finding:
    """Verify the wallet's CIP-8 signature under the request."""
    receipt = case.receipt
    message = SignedMessage(
        bytes.fromhex(receipt.request_cose_sign1), bytes.fromhex(receipt.request_cose_key)
    )
    payload = verify_message(message, parse_address(receipt.request.requester))
    wanted = signing_payload(strict.encode(receipt.request).decode())
    hold("signature", [(payload == wanted, "it is under another text than the request")])
    return Finding(f"by the wallet {receipt.request.requester}")


def check_paid(case: Case) -> Finding:
    """Hold the payment's bytes to the terms that the request stands for."""
    payment = payment_of(case)
    return Finding(
        f"{_short(payment.tx_id.hex())} pays {payment.amount} base units and"
        f" {payment.lovelace} lovelace into {payment.escrow_address}"
    )


def check_ticket(case: Case) -> Finding:
    """Hold the Oracle's ticket to request and payment."""
    request = case.receipt.request
    ticket = ticket_of(case)
    if ticket is None:
        return _absent(case, NO_TICKET, "it was never offered")
    payment = payment_of(case)
    hold(
        "ticket",
        [
            (ticket.job_id == request.job_id, "it is for another job"),
            (ticket.request_hash == request.digest, "it is for another request"),
            (ticket.spec_hash == request.spec_hash, "it is for another spec"),
            (ticket.node_id == request.node_id, "it is for another node"),
            (ticket.requester == request.requester, "it is of another requester"),
            (ticket.network_magic == request.network_magic, "it is of another network"),
            (
                (ticket.payment_tx_id, ticket.payment_output_index)
                == (payment.tx_id.hex(), payment.output_index),
                "it names another payment",
            ),
            (ticket.amount == request.price, "it names another amount"),
            (
                ticket.escrow_address == payment.escrow_address.bech32,
                "it names another escrow",
            ),
        ],
    )
    return Finding(
        f"{_short(ticket.ticket_id)}: paid in block {ticket.block_height},"
        f" {ticket.confirmations} confirmations when it was signed"
    )


def check_report(case: Case) -> Finding:
    """Hold the node's report to the request and the ticket."""
    report = report_of(case)
    if report is None:
        verdict = base_verdict_if_any(case)
        is_named = verdict is not None and verdict.report_hash is not None
        hold("report", [(not is_named, "there is none, but the verdict names one")])
        return _absent(case, NO_REPORT, "nothing was reported")
    request, ticket = case.receipt.request, ticket_of(case)
    hold(
        "report",
        [
            (report.node_id == request.node_id, "it names another node"),
            (report.job_id == request.job_id, "it is of another job"),
            (ticket is not None, "there is no ticket that it could be about"),
            (ticket is None or report.ticket_id == ticket.ticket_id, "it names another ticket"),
        ],
    )
    return Finding(
        f"{report.reason.value} after {report.ran_ms} ms; log {_short(report.log_sha256)} of"
        f" {report.log_bytes} bytes, results {_short(report.results_hash)}"
    )


def check_settled(case: Case) -> Finding:
    """Hold the settlement to the verdict and the escrow that was paid, and count its signers."""
    receipt, payment = case.receipt, payment_of(case)
    verdict = open_verdict(case, receipt.verdict)
    escrow_ref = TxInput(payment.tx_id, payment.output_index)
    terms = settlement_terms(receipt.request, escrow_ref, verdict)
    transaction = check_settlement(bytes.fromhex(receipt.settlement_tx), terms, params=None)
    parties = {terms.escrow.requester, terms.escrow.node, terms.escrow.oracle}
    hold(
        "settlement",
        [
            (
                transaction.tx_id.hex() == receipt.settlement_tx_id,
                f"its id is {transaction.tx_id.hex()}",
            ),
            (
                len(parties & transaction.signers) >= SIGNERS_NEEDED,
                f"fewer than {SIGNERS_NEEDED} of requester, node and Oracle signed it",
            ),
            (_spends_all(transaction, payment, verdict.price), "it does not pay out all it spends"),
        ],
    )
    return Finding(
        f"{_short(receipt.settlement_tx_id)} in block {receipt.settled_height}, signed by"
        f" {len(parties & transaction.signers)} of 3 parties"
    )


CHECKS: Mapping[LinkKind, Callable[[Case], Finding]] = MappingProxyType(
    {
        LinkKind.SPEC: check_spec,
        LinkKind.REQUEST: check_request,
        LinkKind.SIGNATURE: check_signature,
        LinkKind.PAYMENT: check_paid,
        LinkKind.TICKET: check_ticket,
        LinkKind.REPORT: check_report,
        LinkKind.FIRST_VERDICT: check_first_verdict,
        LinkKind.OBJECTIONS: check_objections,
        LinkKind.VERDICT: check_verdict,
        LinkKind.SETTLEMENT: check_settled,
    }
)
"""Total. Each raises VerificationError where its part does not hold."""


def _absent(case: Case, right: Mapping[Reason, str], what: str) -> Finding:
    """Return why a part is rightly absent; raises VerificationError when the verdict needs it."""
    verdict = base_verdict_if_any(case)
    if verdict is None:
        return Finding(what, is_absent=True)
    reason = verdict.reason
    hold("part", [(reason in right, f"there is none, but the verdict says {reason.value}")])
    return Finding(f"{what}: {right[reason]} ({reason.value})", is_absent=True)


def _spends_all(transaction: Transaction, payment: VerifiedPayment, price: int) -> bool:
    """Whether the ledger could have taken it: tokens and ADA in are tokens and ADA out."""
    lovelace = sum(output.value.lovelace for output in transaction.outputs)
    return (payment.amount, payment.lovelace) == (price, lovelace + transaction.fee)


def _short(digest: str) -> str:
    """Return enough of a hash to tell it from others on a page."""
    return digest[:16]
