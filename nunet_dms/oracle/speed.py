"""The speed test: bytes for whoever asks; few transfers at once, and each for seconds only.

No session is needed, since a machine measures its line before it is onboarded.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from nunet_dms.errors import RefusedError
from nunet_dms.oracle.openapi import BYTES
from nunet_dms.protocol.api import Taken

AT_ONCE_MAX = 4
"""Transfers in the whole Oracle: more would measure one another, and fill the line of the jobs."""
TRANSFER_MAX_S = 15
"""Of one transfer; a whole measurement of a node takes 10 s at most."""
PIECE_BYTES = 64 * 1024

log = logging.getLogger(__name__)


def places() -> BoundedSemaphore:
    """Return the places of one Oracle."""
    return BoundedSemaphore(AT_ONCE_MAX)


class SpeedAnswer(StreamingResponse):
    """So many bytes that no compression makes shorter; takes its place when it is sent.

    Raises RefusedError `busy` before a byte is sent.
    """

    def __init__(self, size: int, free: BoundedSemaphore) -> None:
        headers = {"Content-Length": str(size), "Cache-Control": "no-store"}
        super().__init__(_random_pieces(size), media_type=BYTES, headers=headers)
        self._free = free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the bytes; a reader that is too slow is hung up on."""
        with _place(self._free):
            try:
                await asyncio.wait_for(super().__call__(scope, receive, send), TRANSFER_MAX_S)
            except asyncio.TimeoutError:  # the server hangs up: the answer is not whole
                log.info("speed_test_cut after_s=%d", TRANSFER_MAX_S)


async def take(body: AsyncIterator[bytes], free: BoundedSemaphore) -> Taken:
    """Read and drop a body; raises RefusedError `busy`, `too_slow`, and what reading it raises."""
    with _place(free):
        try:
            return await asyncio.wait_for(_size(body), TRANSFER_MAX_S)
        except asyncio.TimeoutError:
            raise RefusedError(
                "too_slow", f"cannot measure: the upload takes over {TRANSFER_MAX_S} s"
            ) from None


async def _size(body: AsyncIterator[bytes]) -> Taken:
    return Taken(taken_bytes=sum([len(piece) async for piece in body]))


@contextmanager
def _place(free: BoundedSemaphore) -> Iterator[None]:
    if not free.acquire(blocking=False):
        raise RefusedError(
            "busy", f"cannot measure: {AT_ONCE_MAX} others measure their lines, try again later"
        )
    try:
        yield
    finally:
        free.release()


async def _random_pieces(size: int) -> AsyncIterator[bytes]:
    while size > 0:
        piece = secrets.token_bytes(min(size, PIECE_BYTES))
        yield piece
        size -= len(piece)
