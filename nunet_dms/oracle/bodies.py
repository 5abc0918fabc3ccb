"""Read what came, within limits and strictly; write answers as canonical JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from nunet_dms.errors import RefusedError
from nunet_dms.oracle import auth
from nunet_dms.oracle.auth import Caller
from nunet_dms.oracle.composition import Oracle
from nunet_dms.protocol import strict

JSON_MAX_BYTES = 1024 * 1024
"""Of a body without a manifest."""
MANIFEST_MAX_BYTES = strict.TEXT_MAX_BYTES
"""Of a body that may hold a manifest of the most files."""
DRAINED_MAX_BYTES = 64 * 1024 * 1024
"""Of a body that is too large, read and dropped so that its sender can read why; then we hang up"""

T = TypeVar("T")
A = TypeVar("A")


def oracle_of(request: Request) -> Oracle:
    """Return the Oracle that the app serves."""
    oracle = request.app.state.oracle
    assert isinstance(oracle, Oracle)  # noqa: S101 - set in make_app, for the type checker
    return oracle


async def caller_of(request: Request) -> Caller:
    """Return who calls; raises RefusedError `not_authenticated`."""
    header = request.headers.get("authorization", "")
    return await run_in_threadpool(auth.caller, oracle_of(request), header)


async def node_of(request: Request, node_id: str | None = None) -> str:
    """Return the calling node's id; raises RefusedError unless it is `node_id`, where given."""
    found = auth.node_of(await caller_of(request))
    if node_id is not None and found != node_id:
        raise RefusedError("other_node", "cannot do this: the session is of another node")
    return found


async def wallet_of(request: Request) -> str:
    """Return the calling requester's address."""
    return auth.wallet_of(await caller_of(request))


async def read_raw(request: Request, limit: int) -> bytes:
    """Return the body; raises RefusedError `too_large`."""
    return b"".join([piece async for piece in within(request, limit)])


async def within(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the body as it comes; one over `limit` is refused, `too_large`, when it has ended."""
    size = 0
    async for piece in pieces(request):
        size += len(piece)
        if size <= limit:
            yield piece
        elif size > DRAINED_MAX_BYTES:
            break
    if size > limit:
        raise RefusedError("too_large", f"cannot read the body: it has over {limit} bytes")


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """Yield the body as it comes; raises RefusedError `cut_off` when the sender goes away."""
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect as error:
        raise RefusedError("cut_off", "cannot read the body: it breaks off") from error


async def read_json(request: Request, kind: type[T], limit: int = JSON_MAX_BYTES) -> T:
    """Return the body as a `kind`; raises RefusedError `too_large` and MalformedError."""
    raw = await read_raw(request, limit)
    return await run_in_threadpool(strict.decode, kind, raw)


async def answered(work: Callable[..., A], *args: object) -> Response:
    """Run `work` in a thread and answer with what it returns."""
    return answer(await run_in_threadpool(work, *args))


def answer(value: object) -> Response:
    """Return a value as canonical JSON."""
    return Response(strict.encode(value), media_type="application/json")
