"""A real Oracle over a real development ledger, a node and a requester with the code they sign by.

No HTTP: the rules are called as the routes call them. Everything else is what runs in production,
and what lies where is read from the ledger's own outputs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.agreement import escrow_terms
from nunet_dms.cardano.builder import Utxo
from nunet_dms.cardano.chain.devnet import Devnet
from nunet_dms.cardano.cip8 import sign_message
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.transaction import Witness
from nunet_dms.node.identity import Identity
from nunet_dms.node.payout import sign_settlement
from nunet_dms.node.rows import JobRow as NodeRow
from nunet_dms.node.states import State
from nunet_dms.oracle import (
    admitting,
    disputing,
    inbox,
    jobs,
    offering,
    quoting,
    registering,
    reporting,
    settling,
    views,
)
from nunet_dms.oracle.auth import Caller
from nunet_dms.oracle.clockwork import Clockwork
from nunet_dms.oracle.composition import Oracle, open_oracle
from nunet_dms.oracle.config import OracleConfig, init
from nunet_dms.oracle.jobs import JobRow
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import Done
from nunet_dms.protocol.dispute import (
    Objection,
    Party,
    SignedObjection,
    WalletSigned,
    objection_payload,
)
from nunet_dms.protocol.job import JobSpec, Manifest, Resources
from nunet_dms.protocol.keys import SigningKey, node_id_of
from nunet_dms.protocol.node import (
    Acceptance,
    Capacity,
    Cosignature,
    Heartbeat,
    HeartbeatReply,
    Inbox,
    NodeRegistration,
    Poll,
    Refusal,
    Settlement,
)
from nunet_dms.protocol.quote import PriceList, Quote
from nunet_dms.protocol.report import Reason, Report
from nunet_dms.protocol.signing import Domain, Sealed, seal
from nunet_dms.protocol.submission import JobState, QuoteRequest
from nunet_dms.protocol.ticket import open_ticket
from nunet_dms.requester import ending, pay
from nunet_dms.requester.ledger import Terms
from nunet_dms.requester.records import SubmissionRecord
from nunet_dms.requester.wallet import Wallet

START_S = 1_800_000_000.0
TIME_LIMIT_S = 100
EVIDENCE = hashlib.sha256(b"a screenshot").hexdigest()

SPEC = JobSpec(
    image="registry.example/python@sha256:" + "ab" * 32,
    command=("true",),
    resources=Resources(cpu_mhz=1000, ram_mb=500, disk_mb=1),
    time_limit_s=TIME_LIMIT_S,
)

Payment = Callable[[pay.CheckedQuote, tuple[Utxo, ...]], bytes]
"""Makes the signed transaction that a test pays with, out of a wallet's outputs."""


@dataclass
class Clock:
    """Stands still until a test moves it."""

    now_s: float = START_S

    def __call__(self) -> float:
        return self.now_s


class World:
    """One Oracle in one folder; `reopen` is what a crash and a new start leave of it."""

    def __init__(self, folder: Path, window_s: int = 0) -> None:
        self.clock = Clock()
        self.config = OracleConfig(folder=folder, port=0, dispute_window_s=window_s)
        init(self.config)
        self._open()

    def _open(self) -> None:
        self.oracle: Oracle = open_oracle(self.config, self.clock)
        self.clockwork = Clockwork(self.oracle)
        self.clockwork.start()

    def reopen(self) -> None:
        """Lose all that is only in memory."""
        self.oracle.close()
        self._open()

    def close(self) -> None:
        self.oracle.close()

    @property
    def ledger(self) -> Devnet:
        assert self.oracle.devnet is not None
        return self.oracle.devnet

    @property
    def ticket_key(self) -> str:
        return self.oracle.keys.ticket.public

    def step(self, seconds: float = 0.0) -> None:
        """Let time pass, then let the clockwork turn once."""
        self.clock.now_s += seconds
        self.clockwork.step(self.clock.now_s)

    def block(self) -> None:
        """Make a block without the Oracle's doing."""
        self.ledger.tick()

    def job(self, job_id: str) -> JobRow:
        with self.oracle.store.reading() as db:
            found = jobs.find(db, job_id)
        assert found is not None
        return found

    def state(self, job_id: str) -> JobState:
        return self.job(job_id).state

    def terms(self) -> Terms:
        return Terms(
            self.ledger.parameters(),
            max(self.ledger.tip().slot, self.ledger.slot_at(self.clock())),
        )

    def tokens(self, address: Address) -> int:
        asset = self.oracle.network.asset
        found = self.ledger.unspent_outputs(address)
        return sum(utxo.output.value.quantity(asset) for utxo in found)


@dataclass
class Node:
    """A provider: its keys and wallet, and what its journal would hold of each job."""

    world: World
    key: SigningKey = field(default_factory=SigningKey.generate)
    settlement_key: PaymentKey = field(default_factory=PaymentKey.generate)
    wallet_key: PaymentKey = field(default_factory=PaymentKey.generate)
    rows: dict[str, NodeRow] = field(default_factory=dict)
    tickets: dict[str, str] = field(default_factory=dict)

    @property
    def node_id(self) -> str:
        return node_id_of(self.key.public)

    @property
    def wallet(self) -> Address:
        return self.wallet_key.address(0)

    @property
    def caller(self) -> Caller:
        return Caller(self.node_id, "node")

    @property
    def identity(self) -> Identity:
        return Identity(self.key, self.settlement_key, self.wallet.bech32)

    def register(self) -> Node:
        registration = NodeRegistration(
            node_id=self.node_id,
            settlement_key_hash=self.settlement_key.key_hash.hex(),
            wallet=self.wallet.bech32,
            network_magic=self.world.oracle.network.magic,
            capacity=Capacity(cpu_mhz=1_000_000, ram_mb=1_000_000, disk_mb=1_000_000),
            price=PriceList(per_ghz_hour=3_600_000, per_ram_gb_hour=0),
            architecture="x86_64",
            platform="test",
            agent_version="0",
            issued_s=int(self.world.clock()),
        )
        sealed = seal(registration, Domain.REGISTRATION, self.key)
        registering.register(self.world.oracle, self.node_id, sealed)
        self.beat()
        return self

    def beat(self) -> HeartbeatReply:
        beat = Heartbeat(holding=tuple(self.rows), accepting=True, free_cpu_mhz=0, free_ram_mb=0)
        return registering.heartbeat(self.world.oracle, self.node_id, beat)

    def poll(self) -> Inbox:
        return inbox.read(self.world.oracle, self.node_id, Poll())

    def accept(self, job_id: str) -> None:
        """Take the job from the inbox, as it is offered now."""
        for offer in self.poll().offers:
            ticket = open_ticket(offer.ticket, self.world.ticket_key)
            self.tickets[ticket.job_id] = ticket.ticket_id
        acceptance = Acceptance(ticket_id=self.tickets.get(job_id, "0" * 32))
        offering.accept(self.world.oracle, self.node_id, job_id, acceptance)
        self.rows[job_id] = node_row(job_id, self.tickets[job_id], self.world.job(job_id))

    def refuse(self, job_id: str) -> None:
        ticket_id = self.world.job(job_id).ticket_id or "0" * 32
        refusal = Refusal(ticket_id=ticket_id, code="no_capacity", message="full")
        offering.refuse(self.world.oracle, self.node_id, job_id, refusal)
        settling.begin(self.world.oracle, job_id)

    def report(self, job_id: str, reason: Reason = Reason.SUCCEEDED, ran_ms: int = 50_000) -> Done:
        report = Report(
            job_id=job_id,
            ticket_id=self.tickets.get(job_id, "0" * 32),
            node_id=self.node_id,
            attempt=1,
            reason=reason,
            exit_code=0,
            ran_ms=ran_ms,
            log_sha256=hashlib.sha256(b"").hexdigest(),
            log_complete=True,
            results_hash=Manifest().digest,
            results_complete=True,
        )
        sealed = seal(report, Domain.REPORT, self.key)
        done = reporting.take_report(self.world.oracle, self.node_id, job_id, sealed)
        self.rows[job_id] = replace(self.rows[job_id], reason=reason.value, ran_ms=ran_ms)
        settling.begin(self.world.oracle, job_id)
        return done

    def settlement(self, job_id: str) -> Settlement:
        return settling.settlement_of(self.world.oracle, self.caller, job_id)

    def sign(self, settlement: Settlement) -> Cosignature:
        """Check a settlement by the node's own rules and sign it."""
        row = self.rows.get(settlement.job_id)
        return sign_settlement(settlement, self.world.ticket_key, self.identity, row).signature

    def cosign(self, job_id: str) -> Done:
        signature = self.sign(self.settlement(job_id))
        return settling.cosign(self.world.oracle, self.caller, job_id, signature)

    def objects(self, job_id: str, why: str = "it ran longer") -> Done:
        objection = objection_of(self.world, self.caller, job_id, why)
        signed = SignedObjection(node=seal(objection, Domain.OBJECTION, self.key))
        return disputing.object_to(self.world.oracle, self.caller, job_id, signed)


@dataclass
class Requester:
    """A wallet with tokens, and what it has signed."""

    world: World
    key: PaymentKey = field(default_factory=PaymentKey.generate)
    records: dict[str, SubmissionRecord] = field(default_factory=dict)

    @property
    def address(self) -> Address:
        return self.key.address(0)

    @property
    def caller(self) -> Caller:
        return Caller(self.address.bech32, "wallet")

    def fund(self) -> Requester:
        self.world.ledger.faucet(self.address, 100_000_000, 1_000_000_000)
        self.world.block()
        return self

    def quote(self) -> Quote:
        asked = QuoteRequest(spec=SPEC, requester=self.address.bech32)
        return quoting.make_quote(self.world.oracle, self.address.bech32, asked)

    def signed(
        self, quote: Quote, payment: Payment | None = None, spec: JobSpec = SPEC
    ) -> SubmissionRecord:
        """Check and pay a quote as the command does, or with the payment that a test makes."""
        world = self.world
        wanted = pay.Wanted(spec, self.address)
        info = views.info(world.oracle)
        terms = world.terms()
        checked = pay.check_quote(quote, wanted, info, terms.slot, world.clock())
        utxos = world.ledger.unspent_outputs(self.address)
        wallet, funds = Wallet("default", self.key, self.address), pay.Funds(self.address, utxos)
        submission = pay.sign_submission(checked, wallet, funds, terms)
        if payment is not None:
            submission = replace(submission, payment_tx=payment(checked, utxos).hex())
        return SubmissionRecord(
            oracle_url="http://127.0.0.1",
            wallet="default",
            signed_s=int(world.clock()),
            spec=spec,
            quote=quote,
            submission=submission,
        )

    def submit(self, record: SubmissionRecord) -> str:
        """Hand in what was signed; recorded first, as the command does."""
        self.records[record.job_id] = record
        admitting.submit(self.world.oracle, self.address.bech32, record.submission)
        return record.job_id

    def order(self) -> str:
        """Quote, pay, submit; returns the job's id."""
        return self.submit(self.signed(self.quote()))

    def cancel(self, job_id: str) -> None:
        reporting.cancel(self.world.oracle, self.address.bech32, job_id)
        settling.begin(self.world.oracle, job_id)

    def sign(self, settlement: Settlement) -> Witness:
        """Check a settlement by the requester's own rules and sign it."""
        record = self.records[settlement.job_id]
        fees = self.world.ledger.parameters()
        return ending.cosign(settlement, record, self.world.ticket_key, self.key, fees)

    def cosign(self, job_id: str) -> Done:
        found = settling.settlement_of(self.world.oracle, self.caller, job_id)
        witness = self.sign(found)
        given = Cosignature(public_key=witness.public.hex(), signature=witness.signature.hex())
        return settling.cosign(self.world.oracle, self.caller, job_id, given)

    def refund(self, job_id: str) -> None:
        """Take back alone what lies in a job's escrow, as after the deadline."""
        request = self.records[job_id].request
        found = self.world.ledger.unspent_outputs(escrow_terms(request).address)
        terms = self.world.terms()
        for raw in ending.refund(request, found, terms.slot, self.key, terms.fees):
            self.world.ledger.submit(raw)

    def objects(self, job_id: str, why: str = "it did nothing") -> Done:
        objection = objection_of(self.world, self.caller, job_id, why)
        text = strict.encode(objection).decode()
        signed = sign_message(self.key, self.address, objection_payload(text))
        wallet = WalletSigned(
            text=text, cose_sign1=signed.cose_sign1.hex(), cose_key=signed.cose_key.hex()
        )
        return disputing.object_to(
            self.world.oracle, self.caller, job_id, SignedObjection(requester=wallet)
        )


def objection_of(world: World, caller: Caller, job_id: str, why: str) -> Objection:
    """Return an objection to the present verdict."""
    verdict: Sealed = disputing.decision_of(world.oracle, caller, job_id).verdict
    party: Party = "node" if caller.kind == "node" else "requester"
    return Objection(
        job_id=job_id,
        verdict_hash=verdict.digest,
        party=party,
        evidence_sha256=EVIDENCE,
        statement=why,
        issued_s=int(world.clock()),
    )


def node_row(job_id: str, ticket_id: str, job: JobRow) -> NodeRow:
    """Return what a node's journal has of a job that it just took."""
    return NodeRow(
        job_id=job_id, ticket_id=ticket_id, state=State.RUNNING, attempt=1,
        cpu_mhz=job.cpu_mhz, ram_mb=job.ram_mb, disk_mb=job.disk_mb,
        time_limit_s=job.time_limit_s, price=job.price, image="", container_id="", image_id="",
        boot_id="", stop_reason="", stop_ms=None, reason="", detail="", exit_code=None, ran_ms=0,
        cpu_ms=None, ram_peak_mb=None, earned=None, settlement_tx_id="", admitted_ms=0,
        started_ms=None, finished_ms=None, changed_ms=0, started_mono_ms=None,
        engine_gone_ms=None, deaths=0, death_state="",
    )  # fmt: skip
