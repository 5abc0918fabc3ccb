"""What this node has earned and is not paid yet: told in each job's story, and as time runs out."""

from __future__ import annotations

from datetime import datetime, timezone

from nunet_dms.node.journal import Journal
from nunet_dms.protocol.node import HeartbeatReply, Unsettled

DEADLINE_NEAR_S = 6 * 3600
"""Before a requester may take everything back alone, the owner is told so long."""
VERDICT = "verdict"
"""The word in a job's story."""


class UnsettledShares:
    """Hears of verdicts with each heartbeat; `note` is what the owner should know."""

    def __init__(self, journal: Journal) -> None:
        self.note = ""
        self._journal = journal
        self._told: tuple[Unsettled, ...] = ()

    def take(self, reply: HeartbeatReply) -> None:
        """Take what the Oracle says is not paid out."""
        for each in set(reply.unsettled) - set(self._told):
            self._tell(each)
        self._told = reply.unsettled
        near = [
            each for each in reply.unsettled if each.deadline_s - reply.time_s <= DEADLINE_NEAR_S
        ]
        self.note = "; ".join(_warning(each, reply.time_s) for each in near)

    def _tell(self, found: Unsettled) -> None:
        """Write it into the job's story, unless it stands there from before a restart."""
        line = _line(found)
        story = self._journal.events(found.job_id)
        if story and not any((each.what, each.detail) == (VERDICT, line) for each in story):
            self._journal.note(found.job_id, VERDICT, line)


def _line(found: Unsettled) -> str:
    ends = datetime.fromtimestamp(found.window_ends_s, tz=timezone.utc)
    objections = "".join(f"; objection by the {party}" for party in found.objections)
    return f"pays {found.amount} base units; objections until {ends:%Y-%m-%d %H:%M} UTC{objections}"


def _warning(found: Unsettled, now_s: int) -> str:
    left_s = found.deadline_s - now_s
    when = f"in {left_s // 60} min" if left_s > 0 else "now"
    return (
        f"job {found.job_id[:8]}: {found.amount} base units are not paid out, and {when} its "
        "requester may take them back"
    )
