"""What the chain has of a job's payment, again and again: it may lose what it had.

A backend that does not answer raises UnreachableError, and nothing is noted: not to know is not to
have lost. What is found missing holds the job (see `states`); the payment's bytes are ours, and
are handed in again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from enum import Enum

from nunet_dms.cardano.payment import Inclusion, PaymentRefusal, check_inclusion
from nunet_dms.cardano.transaction import read_transaction
from nunet_dms.errors import CapacityError, RefusedError, VerificationError
from nunet_dms.oracle import jobs
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.jobs import JobRow, Paper
from nunet_dms.oracle.terms import payment_output, payment_terms
from nunet_dms.protocol.quote import JobRequest
from nunet_dms.protocol.submission import JobState

PAYMENT_GRACE_S = 600
"""How long a running job goes on without its payment on the chain: a rolled-back transaction comes
back with one of the next blocks, so within a minute or two."""
LOOK_FIRST_S = 20
"""Until the chain is asked again for what it had a moment ago: one block of Cardano."""
LOOK_MOST_S = 3600
"""The same for what it has had for long: rollbacks become the rarer the deeper they go."""

log = logging.getLogger(__name__)


class Sight(str, Enum):
    """What the chain has of a payment."""

    THERE = "there"
    """These bytes, valid, deep enough, the escrow unspent."""
    SHALLOW = "shallow"
    """In a block, which may yet go."""
    ABSENT = "absent"
    GONE = "gone"
    """Out of reach: the escrow is spent, or the payment can never come in."""


_SIGHTS: dict[str, Sight] = {
    PaymentRefusal.NOT_ON_CHAIN.value: Sight.ABSENT,
    PaymentRefusal.TOO_FEW_CONFIRMATIONS.value: Sight.SHALLOW,
    PaymentRefusal.DEADLINE_TOO_NEAR.value: Sight.THERE,
}
"""Of refusals by `check_inclusion`; any other means that the payment is gone."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A job as it is after a look at its payment."""

    job: JobRow
    sight: Sight
    is_final: bool
    """Whether what is gone has been so for as many blocks as make a payment count."""
    why: str


def look(oracle: Oracle, job: JobRow) -> Standing:
    """Look for a job's payment on the chain, note what is missing, and hand it in again.

    Raises UnreachableError when the chain does not answer; nothing is noted then.
    """
    raw, request = paid(oracle, job)
    seen, _ = inclusion(oracle, job)
    sight, why = _judge(oracle, job, (raw, request), seen)
    if sight is Sight.ABSENT:
        _hand_in_again(oracle, job, raw)
    return _note(oracle, job, (sight, why), seen.tip_height)


def inclusion(oracle: Oracle, job: JobRow) -> tuple[Inclusion, bytes]:
    """Return what the chain says of a job's payment, and its block's hash."""
    found = oracle.chain.transaction(bytes.fromhex(job.payment_tx_id))
    tip = oracle.chain.tip()
    seen = Inclusion(
        raw=None if found is None else found.raw,
        height=0 if found is None else found.height,
        valid=found is not None and found.valid,
        escrow_spent=oracle.chain.is_spent(payment_output(job)),
        tip_height=tip.height,
        tip_slot=max(tip.slot, oracle.chain.slot_at(oracle.clock())),
    )
    return seen, b"" if found is None else found.block_hash


def paid(oracle: Oracle, job: JobRow) -> tuple[bytes, JobRequest]:
    """Return the payment's bytes as they were handed in, and the request that they pay for."""
    with oracle.store.reading() as db:
        raw = bytes.fromhex(jobs.needed_paper(db, job.job_id, Paper.PAYMENT_TX))
        request = jobs.request_of(db, job.job_id)
    return raw, request


def _hand_in_again(oracle: Oracle, job: JobRow, raw: bytes) -> None:
    """Give the chain a payment that it lacks; a refusal is only told, time decides."""
    try:
        oracle.chain.submit(raw)
    except (RefusedError, CapacityError) as error:
        log.warning("payment_waits job=%s why=%s", job.job_id, error)


def next_look_s(now_s: int, since_s: int) -> int:
    """Return when to look again for what the chain has had since then; Unix seconds."""
    return now_s + min(LOOK_MOST_S, max(LOOK_FIRST_S, (now_s - since_s) // 8))


def _judge(
    oracle: Oracle, job: JobRow, payment: tuple[bytes, JobRequest], seen: Inclusion
) -> tuple[Sight, str]:
    raw, request = payment
    terms = payment_terms(request, oracle.network, job.time_limit_s, 0)
    try:
        check_inclusion(raw, seen, replace(terms, slots_needed=0))
    except VerificationError as refusal:
        sight = _SIGHTS.get(refusal.code, Sight.GONE)
        if sight is Sight.ABSENT and _is_double_spent(oracle, job, raw):
            return Sight.GONE, "another transaction spent what it was paid with"
        return sight, str(refusal)
    return Sight.THERE, ""


def _is_double_spent(oracle: Oracle, job: JobRow, raw: bytes) -> bool:
    """Say whether another transaction spent one of the payment's inputs.

    Looks for the payment last: a block that came in between has spent them with the payment.
    """
    return (
        any(oracle.chain.is_spent(ref) for ref in read_transaction(raw).inputs)
        and oracle.chain.transaction(bytes.fromhex(job.payment_tx_id)) is None
    )


def _note(oracle: Oracle, job: JobRow, found: tuple[Sight, str], tip_height: int) -> Standing:
    """Store since when the payment is missing, or that it is not."""
    sight, why = found
    now_s = int(oracle.clock())
    with oracle.store.writing() as db:
        now = jobs.find(db, job.job_id) or job
        # A payment that was never seen yet is only on its way.
        is_missing = sight in {Sight.ABSENT, Sight.GONE} and now.state is not JobState.SUBMITTED
        since_s = now_s if now.payment_missing_s is None else now.payment_missing_s
        gone = tip_height if now.gone_height is None else now.gone_height
        changes = {
            "payment_missing_s": since_s if is_missing else None,
            "gone_height": gone if sight is Sight.GONE else None,
        }
        if (now.payment_missing_s, now.gone_height) != tuple(changes.values()):
            _tell(now, is_missing=is_missing, why=why)
            now = jobs.change(db, now, **changes)
    deep = tip_height - gone + 1
    return Standing(now, sight, sight is Sight.GONE and deep >= oracle.network.confirmations, why)


def _tell(job: JobRow, *, is_missing: bool, why: str) -> None:
    if is_missing and job.payment_missing_s is None:
        log.error("payment_missing job=%s state=%s why=%s", job.job_id, job.state.value, why)
    elif not is_missing and job.payment_missing_s is not None:
        log.warning("payment_back job=%s state=%s", job.job_id, job.state.value)
