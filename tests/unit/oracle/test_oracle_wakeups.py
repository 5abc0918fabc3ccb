"""Long polls are woken by name, from any thread, and by the end."""

from __future__ import annotations

import asyncio

import pytest

from nunet_dms.oracle.notifier import Notifier, wait_for

pytestmark = pytest.mark.enable_socket  # an event loop wakes itself through a pair of them


def test_only_the_named_waiter_wakes() -> None:
    async def story() -> tuple[bool, bool]:
        notifier = Notifier()
        notifier.start()
        with notifier.waiting("a") as first, notifier.waiting("b") as second:
            assert notifier.waiters == 2
            await asyncio.to_thread(notifier.wake, "a", "c")
            return await wait_for(first, 10), await wait_for(second, 0)

    assert asyncio.run(story()) == (True, False)


def test_a_wait_ends_by_itself_and_leaves_nothing() -> None:
    async def story() -> tuple[bool, int]:
        notifier = Notifier()
        with notifier.waiting("a") as event:
            woken = await wait_for(event, 0.01)
        return woken, notifier.waiters

    assert asyncio.run(story()) == (False, 0)


def test_closing_wakes_everybody_and_lets_nobody_wait() -> None:
    async def story() -> list[bool]:
        notifier = Notifier()
        with notifier.waiting("a") as before:
            notifier.close()
            with notifier.waiting("b") as after:
                return [await wait_for(before, 10), await wait_for(after, 10), notifier.closed]

    assert asyncio.run(story()) == [True, True, True]


def test_waking_without_a_server_is_harmless() -> None:
    notifier = Notifier()
    notifier.wake("a")
    assert notifier.waiters == 0
