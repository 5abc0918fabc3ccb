"""How long a quote holds its place."""

from __future__ import annotations

import pytest
from money_world import SPEC, Requester, World

from nunet_dms.oracle import quoting
from nunet_dms.protocol.submission import QUOTE_HOLD_MAX_S, JobState, QuoteRequest


@pytest.mark.usefixtures("node")
def test_a_quote_that_is_held_for_longer_leaves_the_settlement_the_same_time(
    world: World, requester: Requester
) -> None:
    usual = requester.quote()
    asked = QuoteRequest(spec=SPEC, requester=requester.address.bech32, hold_s=QUOTE_HOLD_MAX_S)
    held = quoting.make_quote(world.oracle, requester.address.bech32, asked)
    more_s = QUOTE_HOLD_MAX_S - quoting.QUOTE_LIFE_S
    assert held.expires_s - usual.expires_s == more_s
    assert held.request.deadline_slot - usual.request.deadline_slot == more_s
    record = requester.signed(held)
    world.clock.now_s += QUOTE_HOLD_MAX_S - 1
    job_id = requester.submit(record)
    world.step()
    assert world.state(job_id) is JobState.OFFERED
