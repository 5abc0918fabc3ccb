"""Deadlines that come near: which jobs are named, how urgent, told once, and until when."""

from __future__ import annotations

import pytest
from money_world import Node, Requester, World

from nunet_dms.oracle.alerts import Level, find, tell
from nunet_dms.oracle.config import DEFAULT_DEADLINE_MARGIN_S
from nunet_dms.protocol.report import Reason
from nunet_dms.protocol.submission import JobState

HOUR_S = 3600


def settling(world: World, node: Node, reason: Reason = Reason.SUCCEEDED) -> str:
    """Return a job whose settlement waits for a second signature."""
    node.beat()
    job_id = Requester(world).fund().order()
    world.step()
    node.accept(job_id)
    world.clock.now_s += 50
    node.report(job_id, reason)
    assert world.state(job_id) is JobState.SETTLING
    return job_id


def wait_until(world: World, job_id: str, left_s: int) -> None:
    """Let time pass until so much is left before a job's deadline."""
    slot = world.ledger.slot_at(world.clock())
    world.clock.now_s += world.job(job_id).deadline_slot - slot - left_s


@pytest.mark.parametrize(
    ("left_s", "level"),
    [
        (6 * HOUR_S + 1, None),
        (6 * HOUR_S, Level.NEAR),
        (HOUR_S + 1, Level.NEAR),
        (HOUR_S, Level.URGENT),
        (0, Level.URGENT),
        (-1, Level.PASSED),
        (-29 * 24 * HOUR_S, Level.PASSED),
        (-31 * 24 * HOUR_S, None),
    ],
)
def test_an_unsettled_share_is_named_by_how_near_its_deadline_is(
    world: World, node: Node, left_s: int, level: Level | None
) -> None:
    assert DEFAULT_DEADLINE_MARGIN_S == 24 * HOUR_S
    job_id = settling(world, node)
    wait_until(world, job_id, left_s)
    found = [
        (alert.job_id, alert.level, alert.slots_left, alert.amount) for alert in find(world.oracle)
    ]
    amount = world.job(job_id).provider_amount
    assert found == ([] if level is None else [(job_id, level, left_s, amount)])


def test_each_level_is_told_once_and_what_has_passed_is_past_helping(
    world: World, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = settling(world, node)
    coming = []
    for left_s in (5 * HOUR_S, 4 * HOUR_S, HOUR_S, HOUR_S // 2, -1, -2):
        wait_until(world, job_id, left_s)
        coming.append(tell(world.oracle))
        world.reopen()
    told = [each.message.split()[0] for each in caplog.records if "slots_left" in each.message]
    assert told == ["deadline_near", "deadline_urgent", "deadline_passed"]
    assert coming == [1, 1, 1, 1, 0, 0]


def test_what_pays_the_provider_nothing_and_what_is_settled_is_no_alert(
    world: World, node: Node
) -> None:
    refund = settling(world, node, Reason.NODE_FAULT)
    paid = settling(world, node)
    node.cosign(paid)
    world.step()
    assert world.state(paid) is JobState.SETTLED
    wait_until(world, refund, HOUR_S)
    assert find(world.oracle) == ()


def test_a_node_hears_of_its_unpaid_shares_with_each_heartbeat(world: World, node: Node) -> None:
    job_id = settling(world, node)
    settling(world, node, Reason.NODE_FAULT)
    (unsettled,) = node.beat().unsettled
    job = world.job(job_id)
    left_s = job.deadline_slot - world.ledger.slot_at(world.clock())
    assert (unsettled.job_id, unsettled.amount) == (job_id, job.provider_amount)
    assert unsettled.deadline_s == world.clock() + left_s
    node.cosign(job_id)
    world.step()
    assert node.beat().unsettled == ()
