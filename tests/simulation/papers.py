"""What is signed: the parties' keys, and offers, each made once and used in many histories.

Escrow addresses and JSON cost a millisecond for each offer, so that what only reads them is
remembered by its arguments, and a signature is a digest with its key, which nobody here forges.
Settlements and receipts are not built on a ledger: their verdict is signed and checked in that way,
the transaction is a number (tests/contract has real ones).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TypeVar, cast

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.agreement import escrow_terms
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.errors import VerificationError
from nunet_dms.node import admission, inbox, payout
from nunet_dms.node.identity import Identity
from nunet_dms.node.introduction import Introduction
from nunet_dms.node.payout import Payout
from nunet_dms.node.rows import JobRow
from nunet_dms.protocol import keys, signing, strict
from nunet_dms.protocol.api import OracleInfo
from nunet_dms.protocol.job import Checkpoint, JobSpec, Resources, Resume
from nunet_dms.protocol.keys import SigningKey
from nunet_dms.protocol.node import Cosignature, Offer, Settlement
from nunet_dms.protocol.platform import Platform
from nunet_dms.protocol.quote import JobRequest
from nunet_dms.protocol.report import Verdict
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed, seal
from nunet_dms.protocol.ticket import Ticket, seal_ticket

T = TypeVar("T")

START_S = 1_800_000_000
"""Unix time at which every history begins."""
CORE_MHZ = 1000
TICKETS_EVERY_S = 10
"""Tickets are signed at multiples of this, so that few are needed."""
OFFER_LIFE_S = 120
"""Of a ticket; a fifth of what the Oracle gives, so that histories are shorter."""
LEASE_S = 80
"""Of a running job, for the same reason; the worker never asks how long it is."""
DISK_MB = 1
CHECKPOINT = Checkpoint(folder="/nunet/saved", interval_s=10)
RESUMED = 8
"""Added to the number of a job that goes on from a checkpoint; no history has so many jobs."""
HERE = Platform(os_family="linux", architecture="x86_64", kernel="6.1")
"""What the machine is to a checkpoint."""

REQUESTER, ESCROW, SETTLEMENT, WALLET = (
    PaymentKey.from_seed(bytes([number]) * 32) for number in range(1, 5)
)
REGISTRATION = Sealed(payload="{}", public_key="0" * 64, signature="0" * 128)
ORACLE, NODE = SigningKey(b"\x05" * 32), SigningKey(b"\x06" * 32)
US = Identity(NODE, SETTLEMENT, WALLET.address(0).bech32)
INFO = OracleInfo(
    version="simulated", network="devnet", network_magic=424242, network_id=0,
    token_policy="ab" * 28, token_name=b"mNTX".hex(), token_decimals=6,
    ticket_key=ORACLE.public, escrow_key_hash=ESCROW.key_hash.hex(),
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """What tells one paid job from another: which of a history's jobs it is, and its size."""

    number: int
    cpu_mhz: int
    time_limit_s: int
    saves: bool = False
    """Whether it has a checkpoint folder."""
    resume: Resume | None = None
    """The checkpoint of the former attempt at it from which this one goes on."""

    @property
    def payment(self) -> int:
        """The number of its payment in this history: every attempt is paid for."""
        return self.number if self.resume is None else self.number + RESUMED


@dataclass(frozen=True)
class Paper:
    """A paid job as the Oracle holds it."""

    offer: Offer
    request: JobRequest
    spec: JobSpec
    ticket_id: str
    job_id: str
    expires_s: int


@cache
def paper_of(shape: Shape, issued_s: int) -> Paper:
    """Return the offer of a job, its ticket signed at that Unix second."""
    spec = JobSpec(
        image=f"job{shape.number}@sha256:" + f"{shape.number:x}" * 64,
        command=("run",),
        resources=Resources(cpu_mhz=shape.cpu_mhz, ram_mb=64, disk_mb=DISK_MB),
        time_limit_s=shape.time_limit_s,
        checkpoint=replace(CHECKPOINT, resume=shape.resume) if shape.saves else None,
    )
    request = JobRequest(
        network_magic=INFO.network_magic, spec_hash=spec.digest,
        requester=REQUESTER.address(0).bech32, node_id=US.node_id,
        node_key_hash=SETTLEMENT.key_hash.hex(), provider_wallet=US.wallet,
        oracle_key_hash=INFO.escrow_key_hash, token_policy=INFO.token_policy,
        token_name=INFO.token_name, price=1_000_003, deadline_slot=10**6,
        valid_until_s=START_S, nonce=f"{shape.payment:032x}",
    )  # fmt: skip
    ticket = Ticket(
        ticket_id=hashlib.md5(f"{shape} {issued_s}".encode()).hexdigest(),  # noqa: S324 - a name
        job_id=request.job_id, network_magic=INFO.network_magic, request_hash=request.digest,
        spec_hash=spec.digest, node_id=US.node_id, requester=request.requester,
        payment_tx_id=f"{shape.payment:064x}", payment_output_index=0, amount=request.price,
        escrow_address=escrow_terms(request).address.bech32, block_hash="3" * 64, block_height=7,
        confirmations=1, issued_s=issued_s, expires_s=issued_s + OFFER_LIFE_S,
    )  # fmt: skip
    offer = Offer(
        ticket=seal_ticket(ticket, ORACLE),
        spec=strict.encode(spec).decode(),
        request=strict.encode(request).decode(),
    )
    return Paper(offer, request, spec, ticket.ticket_id, request.job_id, ticket.expires_s)


def settlement_of(paper: Paper, verdict: Verdict) -> Settlement:
    """Return what the node is to sign: a real verdict; in place of a transaction, its digest."""
    sealed = seal(verdict, Domain.VERDICT, ORACLE)
    return Settlement(
        job_id=paper.job_id,
        verdict=sealed,
        tx=sealed.digest,
        request=paper.request,
        escrow_tx_id="0" * 64,
        escrow_output_index=0,
    )


def sign_settlement(
    settlement: Settlement, ticket_key: str, us: Identity, job: JobRow | None
) -> Payout:
    """Do what `payout.sign_settlement` does, but for the transaction."""
    assert us is US
    verdict = _verdict(settlement.verdict, ticket_key)
    payout._check_verdict(verdict, job)
    signature = Cosignature(public_key="0" * 64, signature="0" * 128)
    return Payout(signature, verdict.provider_amount, settlement.tx)


@dataclass(frozen=True)
class PlainReceipt:
    """Of a receipt what the node takes from it."""

    job_id: str
    verdict: Sealed
    settlement_tx_id: str


def open_receipt(sealed: Sealed, job_id: str, ticket_key: str) -> PlainReceipt:
    """Do what `payout.open_receipt` does, for a receipt that is its verdict alone."""
    verdict = _verdict(sealed, ticket_key)
    if verdict.job_id != job_id:
        raise VerificationError("wrong_receipt", "cannot trust the receipt: it is of another job")
    return PlainReceipt(job_id, sealed, sealed.digest)


@lru_cache(maxsize=64)
def _verdict(sealed: Sealed, ticket_key: str) -> Verdict:
    return open_sealed(sealed, Verdict, Domain.VERDICT, ticket_key)


remembered = lru_cache(maxsize=4096)


class Codec:
    """`strict.encode` and `strict.decode`, worked out once for each value.

    That what is decoded is what was encoded has tests of its own.
    """

    MOST = 4096

    def __init__(self) -> None:
        self._values: dict[bytes, object] = {}
        self._bytes: dict[tuple[type, object], bytes] = {}
        self._encode, self._decode = strict.encode, strict.decode

    def encode(self, value: object) -> bytes:
        """Return the canonical bytes of a value."""
        key = (type(value), value)
        try:
            data = self._bytes.get(key)
        except TypeError:  # it can be changed
            return self._encode(value)
        if data is None:
            if len(self._bytes) > self.MOST:
                self._bytes.clear()
                self._values.clear()
            data = self._bytes[key] = self._encode(value)
            self._values[data] = value
        return data

    def decode(self, kind: type[T], data: bytes | str, *, at: str = "$") -> T:
        """Return the value of that kind which has these bytes."""
        raw = data.encode() if isinstance(data, str) else data
        found = self._values.get(raw)
        if type(found) is not kind:
            found = self._values[raw] = self._decode(kind, data, at=at)
        return cast("T", found)


CODEC = Codec()


def _digest_once(kind: type[JobRequest] | type[JobSpec]) -> property:
    """Return the property `digest` of a kind, worked out once for each value."""
    plain = kind.digest.fget
    known: dict[int, tuple[object, str]] = {}

    def digest(value: JobRequest | JobSpec) -> str:
        if id(value) not in known:
            if len(known) > 4096:
                known.clear()
            known[id(value)] = (value, plain(value))
        return known[id(value)][1]

    return property(digest)


def _sign(key: SigningKey, message: bytes) -> str:
    return _mark(key.public, message)


def _is_signed_by(public: str, message: bytes, signature: str) -> bool:
    return signature == _mark(public, message)


def _mark(public: str, message: bytes) -> str:
    return hashlib.blake2b(message, key=bytes.fromhex(public)).hexdigest()


def _introduce(self: Introduction, _oracle: OracleInfo) -> Callable[[], int]:
    """Do what `Introduction.task` does, with the same words each time."""
    deps, news = self._deps, self._news

    def introduce() -> int:
        deps.oracle.register(REGISTRATION)
        return news

    return introduce


CHANGES: tuple[tuple[object, str, object], ...] = (
    (inbox, "sign_settlement", sign_settlement),
    (inbox, "open_receipt", open_receipt),
    (inbox, "read_offer", remembered(admission.read_offer)),
    (admission, "read_offer", remembered(admission.read_offer)),
    (admission, "escrow_terms", remembered(admission.escrow_terms)),
    (strict, "encode", CODEC.encode),
    (strict, "decode", CODEC.decode),
    (JobRequest, "digest", _digest_once(JobRequest)),
    (JobSpec, "digest", _digest_once(JobSpec)),
    (Address, "bech32", property(remembered(vars(Address)["bech32"].fget))),
    (keys, "NaclKey", remembered(keys.NaclKey)),
    (SigningKey, "sign", _sign),
    (signing, "is_signed_by", _is_signed_by),
    (Introduction, "task", _introduce),
)
"""What the simulation gives other values: module, name, value."""
