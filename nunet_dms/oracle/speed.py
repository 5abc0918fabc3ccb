"""The speed test: bytes for whoever asks; few transfers at once, and each for seconds only.

No session is needed, since a machine measures its line before it is onboarded.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv6Address, IPv6Network, ip_address
from itertools import cycle
from weakref import WeakValueDictionary

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from nunet_dms.errors import RefusedError
from nunet_dms.oracle.openapi import BYTES
from nunet_dms.protocol.api import Taken

AT_ONCE_MAX = 4
"""Transfers in the whole Oracle: more would measure one another, and fill the line of the jobs."""
TRANSFER_MAX_S = 15
"""Of one transfer; a whole measurement of a node takes 10 s at most."""
TURN_WAIT_S = 2.0
"""For a client's own former transfer to end here: it may have hung up a moment ago."""
IPV6_CUSTOMER_BITS = 64
"""Of an IPv6 address: what follows is a customer's own to choose (RFC 6177)."""
PIECE_BYTES = 64 * 1024
PIECES = tuple(secrets.token_bytes(PIECE_BYTES) for _ in range(16))
"""Sent again and again: far enough apart that the usual compression does not see it."""

log = logging.getLogger(__name__)


class Places:
    """Who may transfer just now: a few in all, each client once; for one event loop."""

    def __init__(self) -> None:
        self.free = AT_ONCE_MAX
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def one(self, client: str) -> AsyncIterator[None]:
        """Have a place for a client; raises RefusedError `busy`."""
        turn = self._turns.setdefault(client, asyncio.Lock())
        try:
            await asyncio.wait_for(turn.acquire(), TURN_WAIT_S)
        except asyncio.TimeoutError:
            raise _busy("another measurement from your address is under way") from None
        try:
            if not self.free:
                raise _busy(f"{AT_ONCE_MAX} others measure their lines")
            self.free -= 1
            try:
                yield
            finally:
                self.free += 1
        finally:
            turn.release()


def client_of(scope: Scope) -> str:
    """Return what stands for one client: its address, or the IPv6 network that one customer has.

    A proxy on this machine, or in $FORWARDED_ALLOW_IPS, tells uvicorn whom it speaks for.
    """
    host = (scope.get("client") or ("",))[0]
    try:
        address = ip_address(host)
    except ValueError:  # a Unix socket's peer has none
        return str(host)
    if not isinstance(address, IPv6Address):
        return str(address)
    network = IPv6Network((int(address), IPV6_CUSTOMER_BITS), strict=False)
    return str(address.ipv4_mapped or network)


class SpeedAnswer(StreamingResponse):
    """So many bytes that no compression makes shorter; takes its place when it is sent.

    Raises RefusedError `busy` before a byte is sent.
    """

    def __init__(self, size: int, places: Places) -> None:
        headers = {"Content-Length": str(size), "Cache-Control": "no-store, no-transform"}
        super().__init__(_random_pieces(size), media_type=BYTES, headers=headers)
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the bytes; a reader that is too slow is hung up on."""
        async with self._places.one(client_of(scope)):
            try:
                await asyncio.wait_for(super().__call__(scope, receive, send), TRANSFER_MAX_S)
            except asyncio.TimeoutError:  # the server hangs up: the answer is not whole
                log.info("speed_test_cut after_s=%d", TRANSFER_MAX_S)


async def take(body: AsyncIterator[bytes], places: Places, client: str) -> Taken:
    """Read and drop a body; raises RefusedError `busy`, `too_slow`, and what reading it raises."""
    async with places.one(client):
        try:
            return await asyncio.wait_for(_size(body), TRANSFER_MAX_S)
        except asyncio.TimeoutError:
            raise RefusedError(
                "too_slow", f"cannot measure: the upload takes over {TRANSFER_MAX_S} s"
            ) from None


async def _size(body: AsyncIterator[bytes]) -> Taken:
    return Taken(taken_bytes=sum([len(piece) async for piece in body]))


def _busy(why: str) -> RefusedError:
    return RefusedError("busy", f"cannot measure: {why}, try again later")


async def _random_pieces(size: int) -> AsyncIterator[bytes]:
    pieces = cycle(PIECES)
    while size > 0:
        piece = next(pieces)[:size]
        yield piece
        size -= len(piece)
