"""A real Oracle on loopback with a clock that only tests move, and a requester and a node."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.agreement import escrow_terms, settlement_terms
from nunet_dms.cardano.builder import PaymentPlan, build_payment
from nunet_dms.cardano.cip8 import sign_message
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.settlement import check_settlement
from nunet_dms.cardano.signing import sign, witness_for
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.errors import RefusedError
from nunet_dms.oracle.clockwork import Clockwork
from nunet_dms.oracle.composition import Oracle, open_oracle
from nunet_dms.oracle.config import OracleConfig, init
from nunet_dms.oracle.server import HttpServer, listen, url_of
from nunet_dms.oracle.tables import METADATA, missed_asks, missed_work
from nunet_dms.oracle_http import NodeProof, OracleHttp, WalletProof
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import Done, Empty
from nunet_dms.protocol.job import FileEntry, JobSpec, Manifest, Resources
from nunet_dms.protocol.keys import SigningKey, node_id_of
from nunet_dms.protocol.node import (
    Acceptance,
    Capacity,
    Cosignature,
    Heartbeat,
    HeartbeatReply,
    Inbox,
    Lease,
    MissingBlobs,
    NodeRegistration,
    Offer,
    Poll,
    Settlement,
)
from nunet_dms.protocol.phase import JobProgress
from nunet_dms.protocol.quote import PriceList, Quote, signing_payload
from nunet_dms.protocol.report import Reason, Report, Verdict
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed, seal
from nunet_dms.protocol.submission import JobSubmission, JobView, QuoteRequest
from nunet_dms.protocol.ticket import open_ticket

NETWORK_ID = 0
START_S = 1_800_000_000.0
TIME_LIMIT_S = 100
LEDGER = (missed_asks, missed_work)
"""Of work that nodes missed: a quote that is refused writes there, and nowhere else."""
PROGRAM = b"print('hello')\n"
IMAGE = "registry.example/python@sha256:" + "ab" * 32


def entry(path: str, content: bytes) -> FileEntry:
    return FileEntry(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def spec(**changes: object) -> JobSpec:
    plain = JobSpec(
        image=IMAGE,
        command=("python", "/nunet/in/job.py"),
        resources=Resources(cpu_mhz=1000, ram_mb=500, disk_mb=1),
        time_limit_s=TIME_LIMIT_S,
        inputs=Manifest(files=(entry("job.py", PROGRAM),)),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


class ManualClock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now_s = START_S

    def __call__(self) -> float:
        return self.now_s


@dataclass
class World:
    oracle: Oracle
    clockwork: Clockwork
    clock: ManualClock
    url: str
    clients: list[OracleHttp] = field(default_factory=list)

    def step(self, seconds: float = 0.0) -> None:
        """Let time pass, then let the clockwork turn once."""
        self.clock.now_s += seconds
        self.clockwork.step(self.clock.now_s)

    def client(self, proof: NodeProof | WalletProof | None) -> OracleHttp:
        key = self.oracle.keys.ticket.public
        client = OracleHttp(self.url, proof, ticket_key=key, clock=self.clock)
        self.clients.append(client)
        return client

    def rows(self) -> dict[str, int]:
        """How many rows every table but the ledger has: what a refusal must leave as it was."""
        with self.oracle.store.reading() as db:
            return {
                name: db.execute(select(func.count()).select_from(table)).scalar_one()
                for name, table in METADATA.tables.items()
                if table not in LEDGER
            }

    def ledger_rows(self) -> tuple[int, int]:
        """How many rows the ledger has: what this hour has counted, and the sums of a week."""
        with self.oracle.store.reading() as db:
            asks, sums = [
                db.execute(select(func.count()).select_from(table)).scalar_one() for table in LEDGER
            ]
        return asks, sums

    def blob_files(self) -> list[Path]:
        """Every file in the blob store, unfinished uploads included."""
        return [path for path in self.oracle.config.blobs.rglob("*") if path.is_file()]


class Requester:
    def __init__(self, world: World, *, funded: bool = True) -> None:
        self.world = world
        self.key = PaymentKey.generate()
        self.address: Address = self.key.address(NETWORK_ID)
        self.http = world.client(WalletProof(self.key, self.address))
        if funded:
            assert world.oracle.devnet is not None
            world.oracle.devnet.faucet(self.address, 100_000_000, 1_000_000_000)
            world.step()

    def quote(self, job: JobSpec | None = None, **asked: object) -> Quote:
        request = QuoteRequest(spec=job or spec(), requester=self.address.bech32)
        return self.http.call("POST", "/v1/quotes", replace(request, **asked), Quote)  # type: ignore[arg-type]

    def upload(self, quote: Quote, *contents: bytes, manifest: Manifest | None = None) -> None:
        manifest = manifest or spec().inputs
        path = f"/v1/quotes/{quote.quote_id}/inputs"
        missing = self.http.call("POST", path, manifest, MissingBlobs).missing
        for content in contents or (PROGRAM,):
            digest = hashlib.sha256(content).hexdigest()
            if digest in missing:
                self.http.put_bytes(f"/v1/blobs/{digest}", content)

    def plan(self, quote: Quote) -> PaymentPlan:
        request = quote.request
        return PaymentPlan(
            utxos=self.world.oracle.chain.unspent_outputs(self.address),
            change_address=self.address,
            escrow=escrow_terms(request),
            asset=self.world.oracle.network.asset,
            price=request.price,
            job_hash=bytes.fromhex(request.digest),
        )

    def submission(self, quote: Quote, payment: bytes | None = None) -> JobSubmission:
        text = strict.encode(quote.request).decode()
        signed = sign_message(self.key, self.address, signing_payload(text))
        if payment is None:
            payment = sign(build_payment(self.plan(quote)).raw, self.key)
        return JobSubmission(
            quote_id=quote.quote_id,
            request=text,
            cose_sign1=signed.cose_sign1.hex(),
            cose_key=signed.cose_key.hex(),
            payment_tx=payment.hex(),
        )

    def submit(self, submission: JobSubmission) -> JobView:
        return self.http.call("POST", "/v1/jobs", submission, JobView)

    def order(self, job: JobSpec | None = None) -> JobView:
        """Quote, upload, pay, submit."""
        quote = self.quote(job)
        self.upload(quote)
        return self.submit(self.submission(quote))

    def job(self, job_id: str) -> JobView:
        return self.http.call("GET", f"/v1/jobs/{job_id}", None, JobView)

    def cancel(self, job_id: str) -> JobView:
        return self.http.call("POST", f"/v1/jobs/{job_id}/cancel", Empty(), JobView)

    def log(self, job_id: str, offset: int = 0, wait_s: int = 0) -> tuple[bytes, dict[str, str]]:
        to = io.BytesIO()
        path = f"/v1/jobs/{job_id}/log?offset={offset}&wait_s={wait_s}"
        headers = self.http.get_bytes(path, to=to, limit=2 * 1024 * 1024)
        return to.getvalue(), {name.lower(): value for name, value in headers.items()}

    def tokens(self) -> int:
        asset = self.world.oracle.network.asset
        return tokens_at(self.world, self.address, asset)


def tokens_at(world: World, address: Address, asset: object) -> int:
    found = world.oracle.chain.unspent_outputs(address)
    return sum(utxo.output.value.quantity(asset) for utxo in found)  # type: ignore[arg-type]


class Node:
    def __init__(
        self, world: World, cpu_mhz: int = 4000, ram_mb: int = 2000, per_ghz_hour: int = 3_600_000
    ) -> None:
        self.world = world
        self.key = SigningKey.generate()
        self.node_id = node_id_of(self.key.public)
        self.settlement_key = PaymentKey.generate()
        self.wallet = PaymentKey.generate().address(NETWORK_ID)
        self.http = world.client(NodeProof(self.key, self.node_id))
        self.registration = NodeRegistration(
            node_id=self.node_id,
            settlement_key_hash=self.settlement_key.key_hash.hex(),
            wallet=self.wallet.bech32,
            network_magic=world.oracle.network.magic,
            capacity=Capacity(cpu_mhz=cpu_mhz, ram_mb=ram_mb, disk_mb=10_000),
            price=PriceList(per_ghz_hour=per_ghz_hour, per_ram_gb_hour=0),
            architecture="x86_64",
            platform="test",
            agent_version="0",
            issued_s=int(world.clock()),
        )

    def register(self, **changes: object) -> Done:
        found = replace(self.registration, **changes)  # type: ignore[arg-type]
        sealed = seal(found, Domain.REGISTRATION, self.key)
        return self.http.call("PUT", f"/v1/nodes/{self.node_id}", sealed, Done)

    def heartbeat(
        self, *holding: str, accepting: bool = True, progress: tuple[JobProgress, ...] = ()
    ) -> HeartbeatReply:
        beat = Heartbeat(
            holding=holding, accepting=accepting, free_cpu_mhz=0, free_ram_mb=0, progress=progress
        )
        path = f"/v1/nodes/{self.node_id}/heartbeat"
        return self.http.call("POST", path, beat, HeartbeatReply)

    def online(self) -> Node:
        self.register()
        self.heartbeat()
        return self

    def poll(self, **asked: object) -> Inbox:
        body = Poll(**asked)  # type: ignore[arg-type]
        return self.http.call("POST", f"/v1/nodes/{self.node_id}/poll", body, Inbox)

    def ticket_id(self, offer: Offer) -> str:
        return open_ticket(offer.ticket, self.world.oracle.keys.ticket.public).ticket_id

    def accept(self, job_id: str, ticket_id: str) -> Lease:
        body = Acceptance(ticket_id=ticket_id)
        return self.http.call("POST", f"/v1/jobs/{job_id}/accept", body, Lease)

    def take(self, job_id: str) -> str:
        """Poll the job up and accept it; returns its ticket's id."""
        (offer,) = self.poll().offers
        ticket_id = self.ticket_id(offer)
        self.accept(job_id, ticket_id)
        return ticket_id

    def put_results(self, job_id: str, files: dict[str, bytes]) -> Manifest:
        manifest = Manifest(files=tuple(entry(path, data) for path, data in files.items()))
        path = f"/v1/jobs/{job_id}/results"
        missing = self.http.call("POST", path, manifest, MissingBlobs).missing
        for content in files.values():
            digest = hashlib.sha256(content).hexdigest()
            if digest in missing:
                self.http.put_bytes(f"/v1/blobs/{digest}", content)
        return manifest

    def report(self, job_id: str, ticket_id: str, **changes: object) -> Report:
        plain = Report(
            job_id=job_id,
            ticket_id=ticket_id,
            node_id=self.node_id,
            attempt=1,
            reason=Reason.SUCCEEDED,
            exit_code=0,
            ran_ms=50_000,
            log_sha256=hashlib.sha256(b"").hexdigest(),
            log_complete=True,
            results_hash=Manifest().digest,
            results_complete=True,
        )
        return replace(plain, **changes)  # type: ignore[arg-type]

    def send_report(self, report: Report, key: SigningKey | None = None) -> Done:
        sealed = seal(report, Domain.REPORT, key or self.key)
        return self.http.call("POST", f"/v1/jobs/{report.job_id}/report", sealed, Done)

    def cosign(self, settlement: Settlement, key: PaymentKey | None = None) -> Done:
        """Check the settlement as a node does, then sign it."""
        ticket_key = self.world.oracle.keys.ticket.public
        verdict = open_sealed(settlement.verdict, Verdict, Domain.VERDICT, ticket_key)
        ref = TxInput(bytes.fromhex(settlement.escrow_tx_id), settlement.escrow_output_index)
        raw = bytes.fromhex(settlement.tx)
        check_settlement(raw, settlement_terms(settlement.request, ref, verdict))
        return self.http.call(
            "POST",
            f"/v1/jobs/{settlement.job_id}/settlement",
            cosignature(raw, key or self.settlement_key),
            Done,
        )

    def receipt(self, job_id: str) -> Sealed:
        return self.http.call("GET", f"/v1/jobs/{job_id}/receipt", None, Sealed)

    def tokens(self) -> int:
        return tokens_at(self.world, self.wallet, self.world.oracle.network.asset)


def cosignature(raw: bytes, key: PaymentKey) -> Cosignature:
    witness = witness_for(raw, key)
    return Cosignature(public_key=witness.public.hex(), signature=witness.signature.hex())


@contextmanager
def running(folder: Path, clock: ManualClock, **settings: object) -> Iterator[World]:
    """Serve the Oracle in `folder` from a thread; made first if it is not there."""
    config = OracleConfig(folder=folder, port=0, **settings)  # type: ignore[arg-type]
    if not config.file.exists():
        init(config)
    oracle = open_oracle(config, clock)
    clockwork = Clockwork(oracle)
    clockwork.start()
    listening = threading.Event()
    with listen(config.host, 0) as sock:
        server = HttpServer(oracle, clockwork, listening.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        world = World(oracle, clockwork, clock, url_of(sock))
        try:
            assert listening.wait(20)
            yield world
        finally:
            for client in world.clients:
                client.close()
            server.should_exit = True
            thread.join()
            oracle.close()


@contextmanager
def refused(world: World, code: str, where: str | None = None) -> Iterator[None]:
    """Expect a refusal with this code that leaves database and blobs as they were."""
    rows, files = world.rows(), world.blob_files()
    with pytest.raises(RefusedError) as caught:
        yield
    assert caught.value.code == code, str(caught.value)
    assert where in (None, caught.value.where)
    assert world.rows() == rows
    assert world.blob_files() == files
