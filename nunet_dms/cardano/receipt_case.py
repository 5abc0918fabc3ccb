"""A receipt's parts as they are opened: each believed only under the signature it must have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from nunet_dms.cardano.agreement import asset_of, escrow_terms
from nunet_dms.cardano.network import DEVNET, NETWORKS, Network
from nunet_dms.cardano.payment import PaymentTerms, VerifiedPayment, check_payment
from nunet_dms.errors import VerificationError
from nunet_dms.protocol import strict
from nunet_dms.protocol.keys import node_id_of
from nunet_dms.protocol.quote import JobRequest
from nunet_dms.protocol.receipt import Receipt
from nunet_dms.protocol.report import Report, Verdict
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed
from nunet_dms.protocol.ticket import Ticket, open_ticket

Rule = tuple[bool, str]
"""Whether it holds, and what is so when it does not."""


@dataclass(frozen=True, slots=True)
class Case:
    """A receipt, and the key that the Oracle's words in it must be signed with."""

    receipt: Receipt
    oracle_key: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A part that holds: what it shows, or why it is rightly absent."""

    text: str
    is_absent: bool = False


def hold(what: str, rules: Iterable[Rule]) -> None:
    """Raise VerificationError for the first rule that does not hold."""
    for holds, why in rules:
        if not holds:
            raise VerificationError("broken_receipt", f"cannot trust the {what}: {why}")


def payment_of(case: Case) -> VerifiedPayment:
    """Return the payment when its bytes keep the terms; raises VerificationError.

    How much ADA the escrow needed is shown by the settlement, which was paid out of it.
    """
    request = case.receipt.request
    escrow = escrow_terms(request)
    terms = PaymentTerms(
        asset=asset_of(request),
        price=request.price,
        job_hash=bytes.fromhex(request.digest),
        escrow=escrow,
        min_lovelace=0,
        network=_network(request, escrow.network_id),
    )
    expected_id = bytes.fromhex(case.receipt.payment_tx_id)
    return check_payment(bytes.fromhex(case.receipt.payment_tx), terms, expected_id)


def _network(request: JobRequest, network_id: int) -> Network:
    """Return the network of a magic number: one that we know, else one with the wallets' id."""
    known = [each for each in NETWORKS.values() if each.magic == request.network_magic]
    return known[0] if known else replace(DEVNET, network_id=network_id)


def ticket_of(case: Case) -> Ticket | None:
    sealed = case.receipt.ticket
    return None if sealed is None else open_ticket(sealed, case.oracle_key)


def report_of(case: Case) -> Report | None:
    """Return the report when the node that the request names signed it."""
    sealed = case.receipt.report
    return None if sealed is None else signed_by_node(case, sealed, Report, Domain.REPORT)


def signed_by_node(case: Case, sealed: Sealed, kind: type[strict.T], domain: Domain) -> strict.T:
    is_node = node_id_of(sealed.public_key) == case.receipt.request.node_id
    hold(domain.value, [(is_node, "another node than the request's signed it")])
    return open_sealed(sealed, kind, domain, sealed.public_key)


def open_verdict(case: Case, sealed: Sealed) -> Verdict:
    return open_sealed(sealed, Verdict, Domain.VERDICT, case.oracle_key)


def base_verdict(case: Case) -> Verdict:
    """Return the verdict that follows from the report: the first, where it was revised."""
    return open_verdict(case, case.receipt.first_verdict or case.receipt.verdict)


def base_verdict_if_any(case: Case) -> Verdict | None:
    """Return the same, None when it cannot be opened: then its own link is the broken one."""
    try:
        return base_verdict(case)
    except VerificationError:
        return None
