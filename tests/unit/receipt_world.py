"""Receipts that hold, made in memory by parties with fixed keys; tests break a thing at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from nunet_dms.cardano.agreement import escrow_terms, settlement_terms
from nunet_dms.cardano.builder import (
    PaymentPlan,
    Utxo,
    build_payment,
    build_settlement,
    new_output,
    sign,
)
from nunet_dms.cardano.cip8 import sign_message
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.network import DEVNET
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.protocol import strict
from nunet_dms.protocol.dispute import Objection, SignedObjection, WalletSigned, objection_payload
from nunet_dms.protocol.job import FileEntry, JobSpec, Manifest, Resources
from nunet_dms.protocol.keys import SigningKey, node_id_of
from nunet_dms.protocol.quote import JobRequest, signing_payload
from nunet_dms.protocol.receipt import Receipt, linked
from nunet_dms.protocol.report import Reason, Report, Verdict, provider_share
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed, seal
from nunet_dms.protocol.ticket import Ticket, seal_ticket

REQUESTER, NODE_SETTLEMENT, ESCROW, PROVIDER, STRANGER = (
    PaymentKey.from_seed(bytes([number]) * 32) for number in range(1, 6)
)
ORACLE, NODE, FORGER = (SigningKey(bytes([number]) * 32) for number in range(6, 9))
NOW_S = 1_800_000_000
PRICE = 1_000_001
TOKEN = AssetId(b"\x11" * 28, b"mNTX")
HOME = REQUESTER.address(0)
SPEC = JobSpec(
    image="demo@sha256:" + "0" * 64,
    command=("true",),
    resources=Resources(cpu_mhz=1000, ram_mb=512),
    time_limit_s=100,
    inputs=Manifest(files=(FileEntry(path="job.py", size=7, sha256="ab" * 32),)),
)


@dataclass(frozen=True, eq=False)
class Story:
    """How a job went; what is left out did not happen."""

    nonce: str = "ab" * 16
    reason: Reason = Reason.SUCCEEDED
    ran_ms: int = 50_000
    is_offered: bool = True
    is_reported: bool = True
    revised_percent: int | None = None
    has_objections: bool = False
    spec: JobSpec = SPEC
    magic: int = DEVNET.magic


PAID = Story()
REVISED = Story(nonce="cd" * 16, revised_percent=33, has_objections=True)
NOT_OFFERED = Story(
    nonce="01" * 16, reason=Reason.CANCELLED, ran_ms=0, is_offered=False, is_reported=False
)
NOT_TAKEN = replace(NOT_OFFERED, nonce="02" * 16, reason=Reason.NOT_ACCEPTED, is_offered=True)
LOST = replace(NOT_TAKEN, nonce="03" * 16, reason=Reason.NODE_FAULT)
STORIES = {
    "paid": PAID,
    "revised": REVISED,
    "not offered": NOT_OFFERED,
    "not taken": NOT_TAKEN,
    "lost": LOST,
}


@cache
def receipt_of(story: Story = PAID) -> Receipt:
    """Return the receipt of a story, with its chain."""
    request = _request(story)
    utxo, payment = _payment(request)
    ticket = _ticket(request, utxo) if story.is_offered else None
    report = _report(story, request, ticket) if story.is_reported and ticket else None
    first = _verdict(story, request, report)
    last = _revision(story, request, first) if story.revised_percent is not None else first
    verdict = open_sealed(last, Verdict, Domain.VERDICT, ORACLE.public)
    built = build_settlement(utxo, settlement_terms(request, utxo.ref, verdict))
    return linked(
        Receipt(
            job_id=request.job_id,
            spec=story.spec,
            request=request,
            **_request_signature(request),
            payment_tx=payment.hex(),
            payment_tx_id=utxo.ref.tx_id.hex(),
            ticket=ticket,
            report=report,
            first_verdict=first if last is not first else None,
            objections=_objections(request, first) if story.has_objections else (),
            verdict=last,
            settlement_tx=sign(sign(built.raw, ESCROW), NODE_SETTLEMENT).hex(),
            settlement_tx_id=built.tx_id.hex(),
            settled_height=9,
        )
    )


def sealed_by(receipt: Receipt, key: SigningKey = ORACLE) -> Sealed:
    """Return a receipt as the Oracle, or somebody else, seals it."""
    return seal(receipt, Domain.RECEIPT, key)


def tampered(sealed: Sealed, change: Callable[[dict[str, Any]], object]) -> Sealed:
    """Return a sealed receipt with its payload changed behind the seal's back."""
    tree = json.loads(sealed.payload)
    change(tree)
    return replace(sealed, payload=strict.encode(tree).decode())


def _request(story: Story) -> JobRequest:
    return JobRequest(
        network_magic=story.magic,
        spec_hash=story.spec.digest,
        requester=HOME.bech32,
        node_id=node_id_of(NODE.public),
        node_key_hash=NODE_SETTLEMENT.key_hash.hex(),
        provider_wallet=PROVIDER.address(0).bech32,
        oracle_key_hash=ESCROW.key_hash.hex(),
        token_policy=TOKEN.policy.hex(),
        token_name=TOKEN.name.hex(),
        price=PRICE,
        deadline_slot=100_000,
        valid_until_s=NOW_S + 300,
        nonce=story.nonce,
    )


def _request_signature(request: JobRequest) -> dict[str, Any]:
    text = strict.encode(request).decode()
    signed = sign_message(REQUESTER, HOME, signing_payload(text))
    return {
        "request_cose_sign1": signed.cose_sign1.hex(),
        "request_cose_key": signed.cose_key.hex(),
    }


def _payment(request: JobRequest) -> tuple[Utxo, bytes]:
    """Return the escrow's output, and the signed payment."""
    funds = new_output(HOME, Value.of(50_000_000, {TOKEN: 10 * PRICE}))
    built = build_payment(
        PaymentPlan(
            utxos=(Utxo(TxInput(bytes([9]) * 32, 0), funds),),
            change_address=HOME,
            escrow=escrow_terms(request),
            asset=TOKEN,
            price=PRICE,
            job_hash=bytes.fromhex(request.digest),
            ttl=50_000,
        )
    )
    return Utxo(TxInput(built.tx_id, 0), built.outputs[0]), sign(built.raw, REQUESTER)


def _ticket(request: JobRequest, utxo: Utxo) -> Sealed:
    ticket = Ticket(
        ticket_id="ef" * 16,
        job_id=request.job_id,
        network_magic=request.network_magic,
        request_hash=request.digest,
        spec_hash=request.spec_hash,
        node_id=request.node_id,
        requester=request.requester,
        payment_tx_id=utxo.ref.tx_id.hex(),
        payment_output_index=utxo.ref.index,
        amount=request.price,
        escrow_address=escrow_terms(request).address.bech32,
        block_hash="77" * 32,
        block_height=7,
        confirmations=1,
        issued_s=NOW_S,
        expires_s=NOW_S + 600,
    )
    return seal_ticket(ticket, ORACLE)


def _report(story: Story, request: JobRequest, ticket: Sealed) -> Sealed:
    report = Report(
        job_id=request.job_id,
        ticket_id=json.loads(ticket.payload)["ticket_id"],
        node_id=request.node_id,
        attempt=1,
        reason=story.reason,
        exit_code=0,
        image_id="sha256:" + "1" * 64,
        started_ms=NOW_S * 1000,
        finished_ms=NOW_S * 1000 + story.ran_ms,
        ran_ms=story.ran_ms,
        cpu_ms=45_000,
        ram_peak_mb=300,
        log_bytes=12,
        log_sha256="22" * 32,
        log_complete=True,
        results_hash=Manifest().digest,
        results_complete=True,
    )
    return seal(report, Domain.REPORT, NODE)


def _verdict(story: Story, request: JobRequest, report: Sealed | None) -> Sealed:
    due = provider_share(PRICE, story.reason, story.ran_ms, story.spec.time_limit_s)
    verdict = Verdict(
        job_id=request.job_id,
        report_hash=report.digest if report else None,
        reason=story.reason,
        price=PRICE,
        ran_ms=story.ran_ms,
        provider_amount=due,
        requester_amount=PRICE - due,
        issued_s=NOW_S + 60,
    )
    return seal(verdict, Domain.VERDICT, ORACLE)


def _revision(story: Story, request: JobRequest, first: Sealed) -> Sealed:
    percent = story.revised_percent or 0
    due = -(-PRICE * percent // 100)
    verdict = replace(
        open_sealed(first, Verdict, Domain.VERDICT, ORACLE.public),
        provider_amount=due,
        requester_amount=PRICE - due,
        issued_s=NOW_S + 3600,
        revises=first.digest,
        revised_percent=percent,
        revised_why="half of the results were empty",
    )
    return seal(verdict, Domain.VERDICT, ORACLE)


def _objections(request: JobRequest, first: Sealed) -> tuple[SignedObjection, ...]:
    objection = Objection(
        job_id=request.job_id,
        verdict_hash=first.digest,
        party="node",
        evidence_sha256="33" * 32,
        statement="it ran longer",
        issued_s=NOW_S + 70,
    )
    text = strict.encode(replace(objection, party="requester", statement="empty")).decode()
    signed = sign_message(REQUESTER, HOME, objection_payload(text))
    wallet = WalletSigned(
        text=text, cose_sign1=signed.cose_sign1.hex(), cose_key=signed.cose_key.hex()
    )
    return (
        SignedObjection(node=seal(objection, Domain.OBJECTION, NODE)),
        SignedObjection(requester=wallet),
    )
