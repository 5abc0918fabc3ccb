"""A paid job as the Oracle of the simulation has it, and all that came of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from nunet_dms.protocol.job import Manifest, Resume
from nunet_dms.protocol.node import Inbox, Poll, Settlement
from nunet_dms.protocol.report import Reason, Report
from tests.simulation.papers import Paper


@dataclass(frozen=True)
class Saved:
    """A whole checkpoint."""

    resume: Resume
    """What another attempt is told of it."""
    files: dict[str, bytes]
    """Content by path."""


@dataclass
class OracleJob:
    """A paid job at the Oracle."""

    paper: Paper
    state: str = "offered"
    """offered, running, reported, settling, settled."""
    reason: Reason | None = None
    why: str = ""
    started_s: float | None = None
    lease_expires_s: float = 0.0
    cancel_requested: bool = False
    log: bytes = b""
    announced: Manifest = field(default_factory=Manifest)
    saved: list[Saved] = field(default_factory=list)
    """Every checkpoint that was whole, each in the place of the one before."""
    report: Report | None = None
    report_digest: str = ""
    bodies: set[str] = field(default_factory=set)
    """Of every report that ever came under this job's key."""
    accepted_reports: int = 0
    reported_s: float = 0.0
    log_complete: bool = False
    ran_ms: int = 0
    settlement: Settlement | None = None
    cosigned: bool = False
    acked: bool = False
    paid: list[tuple[int, int]] = field(default_factory=list)
    """To provider and requester, each time that the ledger paid."""
    told_lost_s: float | None = None
    """When the node first heard that its lease is lost."""

    @property
    def job_id(self) -> str:
        return self.paper.job_id

    @property
    def price(self) -> int:
        return self.paper.request.price

    @property
    def is_over(self) -> bool:
        """Whether the Oracle waits for nothing more of the node."""
        return self.state == "settled" and self.acked


def news_for(jobs: Collection[OracleJob], poll: Poll) -> Inbox:
    """Return what its node does not know yet."""
    return Inbox(
        offers=tuple(
            job.paper.offer
            for job in jobs
            if job.state == "offered" and job.job_id not in poll.known_offers
        ),
        cancels=tuple(
            job.job_id
            for job in jobs
            if job.state == "running"
            and job.cancel_requested
            and job.job_id not in poll.known_cancels
        ),
        settlements=tuple(
            job.settlement
            for job in jobs
            if job.state == "settling"
            and job.settlement is not None
            and not job.cosigned
            and job.job_id not in poll.known_settlements
        ),
        receipts=tuple(
            job.job_id
            for job in jobs
            if job.state == "settled" and not job.acked and job.job_id not in poll.known_receipts
        ),
    )
