"""A paid job for a node, built from the real values and real signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nunet_dms.cardano.agreement import escrow_terms
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.node.identity import Identity
from nunet_dms.node.journal import Journal
from nunet_dms.node.pool import Outcome, Pool, Task
from nunet_dms.node.rows import Capacity, JobRow
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import OracleInfo
from nunet_dms.protocol.job import JobSpec, Resources
from nunet_dms.protocol.keys import SigningKey
from nunet_dms.protocol.node import Offer
from nunet_dms.protocol.quote import JobRequest
from nunet_dms.protocol.ticket import Ticket, seal_ticket

NOW_S = 1_800_000_000
PLENTY = Capacity(cpu_mhz=4000, ram_mb=4000, disk_mb=10_000)


@dataclass(frozen=True)
class World:
    """One Oracle, one node, one requester, and the job between them."""

    ticket_key: SigningKey
    escrow_key: PaymentKey
    requester: PaymentKey
    us: Identity
    info: OracleInfo
    spec: JobSpec
    request: JobRequest
    ticket: Ticket

    def offer(
        self,
        *,
        spec: JobSpec | None = None,
        request: JobRequest | None = None,
        ticket: Ticket | None = None,
        key: SigningKey | None = None,
    ) -> Offer:
        """Return the offer, with one part of it replaced."""
        return Offer(
            ticket=seal_ticket(ticket or self.ticket, key or self.ticket_key),
            spec=strict.encode(spec or self.spec).decode(),
            request=strict.encode(request or self.request).decode(),
        )

    def paid(self, spec: JobSpec, request: JobRequest | None = None) -> Offer:
        """Return an offer in which everything fits another spec or request."""
        request = replace(request or self.request, spec_hash=spec.digest)
        ticket = replace(
            self.ticket,
            job_id=request.job_id,
            request_hash=request.digest,
            spec_hash=spec.digest,
            escrow_address=escrow_terms(request).address.bech32,
        )
        return self.offer(spec=spec, request=request, ticket=ticket)


class InlinePool(Pool):
    """Tasks are done at once, in the caller's thread; what came of them waits to be collected."""

    def __init__(self) -> None:
        super().__init__()
        self._done: dict[Task, Outcome] = {}

    def submit(self, task: Task, work: Callable[[], object], _limit_s: float | None = None) -> bool:
        if task in self._done:
            return False
        try:
            self._done[task] = Outcome(task, value=work())
        except Exception as error:  # noqa: BLE001 - what the real pool does
            self._done[task] = Outcome(task, error=error)
        return True

    def is_busy(self, task: Task) -> bool:
        return task in self._done

    def jobs_doing(self, what: str) -> list[str]:
        return [task.job_id for task in self._done if task.what == what]

    def collect(self) -> list[Outcome]:
        done, self._done = self._done, {}
        return list(done.values())


@pytest.fixture(scope="session")
def world() -> World:
    """Return a job whose every part fits."""
    ticket_key, escrow_key = SigningKey.generate(), PaymentKey.generate()
    requester, settlement, wallet = (PaymentKey.generate() for _ in range(3))
    us = Identity(SigningKey.generate(), settlement, wallet.address(0).bech32)
    policy, name = "ab" * 28, b"mNTX".hex()
    info = OracleInfo(
        version="test", network="devnet", network_magic=424242, network_id=0,
        token_policy=policy, token_name=name, token_decimals=6,
        ticket_key=ticket_key.public, escrow_key_hash=escrow_key.key_hash.hex(),
    )  # fmt: skip
    spec = JobSpec(
        image="busybox@sha256:" + "a" * 64,
        command=("true",),
        resources=Resources(cpu_mhz=1000, ram_mb=64, disk_mb=16),
        time_limit_s=60,
    )
    request = JobRequest(
        network_magic=424242, spec_hash=spec.digest, requester=requester.address(0).bech32,
        node_id=us.node_id, node_key_hash=settlement.key_hash.hex(), provider_wallet=us.wallet,
        oracle_key_hash=escrow_key.key_hash.hex(), token_policy=policy, token_name=name,
        price=600_000, deadline_slot=100_000, valid_until_s=NOW_S + 300, nonce="0" * 32,
    )  # fmt: skip
    ticket = Ticket(
        ticket_id="1" * 32, job_id=request.job_id, network_magic=424242,
        request_hash=request.digest, spec_hash=spec.digest, node_id=us.node_id,
        requester=request.requester, payment_tx_id="2" * 64, payment_output_index=0,
        amount=600_000, escrow_address=escrow_terms(request).address.bech32, block_hash="3" * 64,
        block_height=7, confirmations=1, issued_s=NOW_S, expires_s=NOW_S + 600,
    )  # fmt: skip
    return World(ticket_key, escrow_key, requester, us, info, spec, request, ticket)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Return an empty journal whose clock stands still."""
    made = Journal(tmp_path / "journal.db", lambda: NOW_S * 1000)
    yield made
    made.close()


@pytest.fixture
def admit(journal: Journal) -> Callable[..., JobRow]:
    """Return a function that stores a job and returns its row."""

    def stored(job_id: str = "a" * 32, **changes: object) -> JobRow:
        values: dict[str, object] = {
            "job_id": job_id, "ticket_id": job_id[::-1], "cpu_mhz": 1000, "ram_mb": 64,
            "disk_mb": 16, "time_limit_s": 60, "price": 600_000, "image": "x", "offer": b"{}",
        }  # fmt: skip
        journal.admit(values | changes, PLENTY)
        return journal.job(job_id)

    return stored
