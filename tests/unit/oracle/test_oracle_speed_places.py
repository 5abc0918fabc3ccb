"""Places of the speed test: a few in all, each client one, and what counts as one client."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from nunet_dms.errors import RefusedError
from nunet_dms.oracle import speed
from nunet_dms.oracle.speed import AT_ONCE_MAX, Places, client_of

pytestmark = pytest.mark.enable_socket  # an event loop wakes itself through a pair of them


def test_beyond_a_few_clients_the_next_one_is_refused_at_once() -> None:
    async def story() -> int:
        places = Places()
        async with AsyncExitStack() as held:
            for number in range(AT_ONCE_MAX):
                await held.enter_async_context(places.one(str(number)))
            with pytest.raises(RefusedError, match="4 others measure"):
                await held.enter_async_context(places.one("late"))
        return places.free

    assert asyncio.run(story()) == AT_ONCE_MAX


def test_a_client_waits_for_its_own_transfer_to_end() -> None:
    async def story() -> tuple[int, int]:
        places = Places()
        async with AsyncExitStack() as held:
            await held.enter_async_context(places.one("a"))
            again = asyncio.ensure_future(held.enter_async_context(places.one("a")))
            await asyncio.sleep(0)
            waiting = places.free
            await held.pop_all().aclose()
            await again
            return waiting, places.free

    assert asyncio.run(story()) == (AT_ONCE_MAX - 1, AT_ONCE_MAX - 1)


def test_a_transfer_that_does_not_end_is_waited_for_briefly_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(speed, "TURN_WAIT_S", 0.01)

    async def story() -> Places:
        places = Places()
        async with places.one("a"):
            with pytest.raises(RefusedError, match="from your address"):
                async with places.one("a"):
                    pass
        return places

    places = asyncio.run(story())
    assert (places.free, len(places._turns)) == (AT_ONCE_MAX, 0)


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_a_client_is_an_address_or_a_network_of_ipv6(host: str, client: str) -> None:
    assert client_of({"client": (host, 1)}) == client


def test_who_has_no_address_is_a_client_too() -> None:
    assert client_of({"client": None}) == client_of({}) == ""
