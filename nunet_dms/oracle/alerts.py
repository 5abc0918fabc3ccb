"""Deadlines that come near while money of the job is not settled.

After its deadline a requester may take the whole price back alone. What a provider has earned is
then lost; so whoever keeps the Oracle hears of it before.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import IntEnum

from nunet_dms.oracle import jobs
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.jobs import JobRow
from nunet_dms.oracle.states import AT_THE_NODE
from nunet_dms.protocol.submission import JobState

NEAR_PART = 4
"""A deadline is near when less than this part of the configured margin is left: of 24 h, 6 h."""
URGENT_PART = 24
"""The same for urgent: 1 h."""
PASSED_SLOTS = 30 * 86_400
"""A job whose deadline has passed unsettled is named for that long."""
ALERTS_MAX = 1000

UNSETTLED = AT_THE_NODE | {JobState.REPORTED, JobState.DECIDED, JobState.SETTLING}
"""States in which the escrow has money that a provider may have earned."""

log = logging.getLogger(__name__)


class Level(IntEnum):
    """How near a deadline is; stored by value, and told once each time that it rises."""

    NONE = 0
    NEAR = 1
    URGENT = 2
    PASSED = 3


@dataclass(frozen=True, slots=True)
class Alert:
    """One job whose deadline is near, or has passed, with its money in the escrow."""

    job_id: str
    node_id: str
    state: str
    level: Level
    amount: int
    """Base units that the provider stands to lose: its share, or the price before a verdict."""
    slots_left: int
    """Until the requester may take everything back alone; below 0 when it may."""


def find(oracle: Oracle) -> tuple[Alert, ...]:
    """Return every alert there is now, the nearest deadline first."""
    slot = oracle.chain.slot_at(oracle.clock())
    low, high = slot - PASSED_SLOTS, slot + oracle.config.deadline_margin_s // NEAR_PART
    with oracle.store.reading() as db:
        found = jobs.near_deadline(db, UNSETTLED, (low, high), ALERTS_MAX)
    return tuple([_alert(oracle, job, slot) for job in found if job.provider_amount != 0])


def tell(oracle: Oracle) -> int:
    """Log each alert once as its level rises; returns how many deadlines are still to come."""
    found = find(oracle)
    for alert in found:
        _tell(oracle, alert)
    return sum(alert.level is not Level.PASSED for alert in found)


def _alert(oracle: Oracle, job: JobRow, slot: int) -> Alert:
    left = job.deadline_slot - slot
    if left < 0:
        level = Level.PASSED
    elif left <= oracle.config.deadline_margin_s // URGENT_PART:
        level = Level.URGENT
    else:
        level = Level.NEAR
    amount = job.price if job.provider_amount is None else job.provider_amount
    return Alert(job.job_id, job.node_id, job.state.value, level, amount, left)


def _tell(oracle: Oracle, alert: Alert) -> None:
    with oracle.store.writing() as db:
        job = jobs.find(db, alert.job_id)
        if job is None or job.alert_level >= alert.level:
            return
        jobs.change(db, job, alert_level=int(alert.level))
    log.error(
        "deadline_%s job=%s node=%s state=%s amount=%d slots_left=%d",
        alert.level.name.lower(),
        alert.job_id,
        alert.node_id,
        alert.state,
        alert.amount,
        alert.slots_left,
    )
