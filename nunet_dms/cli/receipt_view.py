"""A receipt as a page for people, and as facts for scripts."""

from __future__ import annotations

from dataclasses import dataclass

from nunet_dms.cardano.network import DEVNET, NETWORKS
from nunet_dms.cli.amounts import Token, pinned_token
from nunet_dms.cli.times import clock_time
from nunet_dms.errors import NunetError
from nunet_dms.node.journal_reader import JournalReader
from nunet_dms.paths import Paths
from nunet_dms.protocol import strict
from nunet_dms.protocol.dispute import Objection
from nunet_dms.protocol.quote import JobRequest
from nunet_dms.protocol.receipt import Receipt
from nunet_dms.protocol.report import Report, Verdict
from nunet_dms.protocol.ticket import Ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptFacts:
    """What a receipt says, for `--json`; amounts in base units. Nothing of it is verified here."""

    job_id: str
    image: str
    input_files: int
    input_bytes: int
    input_manifest: str
    time_limit_s: int
    requester: str
    node_id: str
    provider_wallet: str
    token_policy: str
    token_name: str
    token_decimals: int | None
    """None where neither the network nor a pinned Oracle tells."""
    price: int
    payment_tx_id: str
    ticket: Ticket | None
    report: Report | None
    first_verdict: Verdict | None
    objections: tuple[Objection, ...]
    verdict: Verdict
    settlement_tx_id: str
    settled_height: int


def receipt_facts(receipt: Receipt, token: Token) -> ReceiptFacts:
    """Return what a receipt says; raises MalformedError for a part that cannot be read."""
    spec, request = receipt.spec, receipt.request
    ticket, report, first = receipt.ticket, receipt.report, receipt.first_verdict
    texts = [
        each.node.payload if each.node else each.requester.text if each.requester else ""
        for each in receipt.objections
    ]
    return ReceiptFacts(
        job_id=receipt.job_id,
        image=spec.image,
        input_files=len(spec.inputs.files),
        input_bytes=spec.inputs.total_bytes,
        input_manifest=spec.inputs.digest,
        time_limit_s=spec.time_limit_s,
        requester=request.requester,
        node_id=request.node_id,
        provider_wallet=request.provider_wallet,
        token_policy=request.token_policy,
        token_name=request.token_name,
        token_decimals=token.decimals,
        price=request.price,
        payment_tx_id=receipt.payment_tx_id,
        ticket=strict.decode(Ticket, ticket.payload, at="$ticket") if ticket else None,
        report=strict.decode(Report, report.payload, at="$report") if report else None,
        first_verdict=strict.decode(Verdict, first.payload, at="$verdict") if first else None,
        objections=tuple(strict.decode(Objection, text, at="$objection") for text in texts),
        verdict=strict.decode(Verdict, receipt.verdict.payload, at="$verdict"),
        settlement_tx_id=receipt.settlement_tx_id,
        settled_height=receipt.settled_height,
    )


def receipt_lines(facts: ReceiptFacts, token: Token) -> list[str]:
    """Return the page: who, what ran, what it used, and who was paid what."""
    rows = [
        ("job", facts.job_id),
        ("image", facts.image),
        (
            "inputs",
            f"{facts.input_files} files, {facts.input_bytes} bytes,"
            f" manifest {facts.input_manifest}",
        ),
        ("requester", facts.requester),
        ("provider", facts.provider_wallet),
        ("node", facts.node_id),
        ("price", f"{token.show(facts.price)} for {facts.time_limit_s} s, paid before it ran"),
        ("payment", facts.payment_tx_id),
        *_ticket_rows(facts.ticket),
        *_report_rows(facts.report),
        *_verdict_rows(facts, token),
        ("settlement", f"{facts.settlement_tx_id} in block {facts.settled_height}"),
        ("earned", f"{token.show(facts.verdict.provider_amount)} by the provider"),
        ("back", f"{token.show(facts.verdict.requester_amount)} to the requester"),
    ]
    if token.decimals is None:
        rows.append(("token", f"{token.label} of {token.policy}, decimals not known here"))
    return [f"{name:<10}  {text}" for name, text in rows]


def token_of(where: Paths, request: JobRequest) -> Token:
    """Return the token of a request, its decimals as the network or the node's Oracle has them."""
    policy, name = request.token_policy, request.token_name
    for network in NETWORKS.values():
        has_policy = (network.token_policy or b"").hex() == policy
        is_devnet = network is DEVNET and request.network_magic == DEVNET.magic
        if (has_policy or is_devnet) and network.token_name.hex() == name:
            return Token(policy, name, network.token_decimals)
    try:
        with JournalReader(where.journal) as journal:
            found = journal.pin()
    except NunetError:
        found = None
    pinned = pinned_token(found[1]) if found else None
    if pinned is not None and (pinned.policy, pinned.name) == (policy, name):
        return pinned
    return Token(policy, name, None)


def _ticket_rows(ticket: Ticket | None) -> list[tuple[str, str]]:
    if ticket is None:
        return [("ticket", "none: it was never offered")]
    at = clock_time(ticket.issued_s)
    return [("ticket", f"{ticket.ticket_id}, {at}, paid in block {ticket.block_height}")]


def _report_rows(report: Report | None) -> list[tuple[str, str]]:
    if report is None:
        return [("report", "none: it did not run to an end")]
    code = "" if report.exit_code is None else f", exit code {report.exit_code}"
    cpu = "?" if report.cpu_ms is None else f"{report.cpu_ms / 1000:.1f}"
    ram = "?" if report.ram_peak_mb is None else str(report.ram_peak_mb)
    whole = {True: "", False: ", not complete"}
    rows = [("ran", f"{report.ran_ms / 1000:.1f} s: {report.reason.value}{code}")]
    if report.started_ms is not None:
        rows.append(("started", clock_time(report.started_ms / 1000)))
    if report.finished_ms is not None:
        rows.append(("ended", clock_time(report.finished_ms / 1000)))
    return [
        *rows,
        ("used", f"{cpu} s of CPU, at most {ram} MB of RAM"),
        ("log", f"{report.log_sha256}, {report.log_bytes} bytes{whole[report.log_complete]}"),
        ("results", f"{report.results_hash}{whole[report.results_complete]}"),
    ]


def _verdict_rows(facts: ReceiptFacts, token: Token) -> list[tuple[str, str]]:
    verdict = facts.verdict
    first = facts.first_verdict or verdict
    rows = [
        (
            "verdict",
            f"{first.reason.value}, {first.ran_ms / 1000:.1f} s count:"
            f" {token.show(first.provider_amount)}, {clock_time(first.issued_s)}",
        )
    ]
    rows += [
        (
            "objection",
            f"by the {each.party}, {clock_time(each.issued_s)}: {each.statement}"
            f" (evidence {each.evidence_sha256})",
        )
        for each in facts.objections
    ]
    if facts.first_verdict is not None:
        why = f": {verdict.revised_why}" if verdict.revised_why else ""
        rows.append(
            (
                "revised",
                f"{verdict.revised_percent} % to the provider, {clock_time(verdict.issued_s)}{why}",
            )
        )
    return rows
