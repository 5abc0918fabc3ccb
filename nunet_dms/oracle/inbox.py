"""What a node is told when it polls: offers, cancels, settlements to sign, receipts."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from nunet_dms.errors import RefusedError
from nunet_dms.oracle import jobs, nodes
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.jobs import JobRow
from nunet_dms.oracle.offering import offer_of
from nunet_dms.oracle.settling import waiting
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import JOBS_MAX
from nunet_dms.protocol.node import Inbox, Offer, Poll
from nunet_dms.protocol.submission import JobState

AT_ONCE = 16
"""Offers, and settlements, in one answer (the protocol's limit)."""
OFFERS_MAX_BYTES = 2 * 1024 * 1024
"""Of the offers in one answer, as JSON; the first always fits (see `quoting.SPEC_MAX_BYTES`)."""


def read(oracle: Oracle, node_id: str, poll: Poll) -> Inbox:
    """Return the news for a node, less what it says it knows.

    Raises RefusedError `unknown_node` before the node has registered.
    """
    now_s = oracle.clock()
    with oracle.store.reading() as db:
        if nodes.find(db, node_id) is None:
            raise RefusedError("unknown_node", "cannot poll: register first")
        states = (JobState.OFFERED, JobState.RUNNING, JobState.SETTLING, JobState.SETTLED)
        found = jobs.node_jobs(db, node_id, states)
        offered = [
            job
            for job in _news(found, JobState.OFFERED, poll.known_offers)
            if (job.offer_expires_s or 0) > now_s and job.payment_missing_s is None
        ]
        running = _news(found, JobState.RUNNING, poll.known_cancels)
        cancelled = [job.job_id for job in running if job.cancel_requested]
        lost = [job.job_id for job in running if job.payment_lost and not job.cancel_requested]
        settling = [
            job
            for job in _news(found, JobState.SETTLING, poll.known_settlements)
            if not job.cosigned
        ]
        settled = [job.job_id for job in _news(found, JobState.SETTLED, poll.known_receipts)]
        return Inbox(
            offers=_offers(db, offered),
            cancels=tuple(cancelled[:JOBS_MAX]),
            lost_payments=tuple(lost[:JOBS_MAX]),
            settlements=tuple([waiting(db, job) for job in settling[:AT_ONCE]]),
            receipts=tuple(settled[:JOBS_MAX]),
        )


def _news(found: Iterable[JobRow], state: JobState, known: tuple[str, ...]) -> list[JobRow]:
    heard = frozenset(known)
    return [job for job in found if job.state is state and job.job_id not in heard]


def _offers(db: Connection, offered: list[JobRow]) -> tuple[Offer, ...]:
    offers: list[Offer] = []
    size = 0
    for job in offered[:AT_ONCE]:
        offer = offer_of(db, job)
        size += len(strict.encode(offer))
        if offers and size > OFFERS_MAX_BYTES:
            break
        offers.append(offer)
    return tuple(offers)
