"""Receipts of a real Oracle, verified as either side does it offline."""

from __future__ import annotations

from dataclasses import replace

import pytest
from oracle_world import Node, Requester, World

from nunet_dms.cardano.receipt import LinkState, verify_receipt
from nunet_dms.protocol.api import Done
from nunet_dms.protocol.node import Refusal
from nunet_dms.protocol.report import Reason
from nunet_dms.protocol.submission import JobState, JobView


def settle(world: World, node: Node) -> None:
    (settlement,) = node.poll().settlements
    node.cosign(settlement)
    world.step()


def states(world: World, node: Node, job: JobView) -> dict[str, LinkState]:
    """Return what comes of each link of a settled job's receipt."""
    sealed = node.receipt(job.job_id)
    found = verify_receipt(sealed, world.oracle.keys.ticket.public)
    assert found.first_broken is None, found.first_broken
    assert found == verify_receipt(sealed)
    return {link.link: link.state for link in found.links}


def absent(found: dict[str, LinkState]) -> set[str]:
    return {link for link, state in found.items() if state is LinkState.ABSENT}


@pytest.mark.parametrize("reason", list(Reason))
def test_the_receipt_of_a_reported_job_holds(
    world: World, node: Node, requester: Requester, reason: Reason
) -> None:
    job = requester.order()
    world.step()
    ticket_id = node.take(job.job_id)
    world.clock.now_s += 30
    node.send_report(node.report(job.job_id, ticket_id, reason=reason))
    settle(world, node)
    assert requester.job(job.job_id).state is JobState.SETTLED
    assert absent(states(world, node, job)) == {"first_verdict", "objections"}


@pytest.mark.parametrize(
    ("story", "missing"),
    [
        ("cancelled before the offer", {"ticket", "report"}),
        ("cancelled when offered", {"report"}),
        ("refused", {"report"}),
        ("expired", {"report"}),
        ("lost", {"report"}),
    ],
)
def test_the_receipt_of_a_job_that_never_ran_holds(
    world: World, node: Node, requester: Requester, story: str, missing: set[str]
) -> None:
    job = requester.order()
    if story == "cancelled before the offer":
        requester.cancel(job.job_id)
    world.step()
    if story == "cancelled when offered":
        requester.cancel(job.job_id)
    elif story == "refused":
        (offer,) = node.poll().offers
        refusal = Refusal(ticket_id=node.ticket_id(offer), code="no_capacity", message="full")
        node.http.call("POST", f"/v1/jobs/{job.job_id}/refuse", refusal, Done)
    elif story == "expired":
        world.step(601)
    elif story == "lost":
        node.take(job.job_id)
        world.step(601)
    world.step()
    settle(world, node)
    assert absent(states(world, node, job)) == missing | {"first_verdict", "objections"}


def test_a_real_receipt_is_broken_by_a_single_character(
    world: World, node: Node, requester: Requester
) -> None:
    job = requester.order()
    world.step()
    ticket_id = node.take(job.job_id)
    node.send_report(node.report(job.job_id, ticket_id, ran_ms=0))
    settle(world, node)
    sealed = node.receipt(job.job_id)
    key = world.oracle.keys.ticket.public
    for place in range(0, len(sealed.payload), 97):
        old = sealed.payload[place]
        new = "0" if old != "0" else "1"
        changed = replace(
            sealed, payload=sealed.payload[:place] + new + sealed.payload[place + 1 :]
        )
        assert verify_receipt(changed, key).first_broken is not None, place
