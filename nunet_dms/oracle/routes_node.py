"""The calls of nodes; see protocol/api.py."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from nunet_dms.oracle import (
    checkpoints,
    inbox,
    offering,
    receipts,
    registering,
    reporting,
    settling,
)
from nunet_dms.oracle.bodies import (
    MANIFEST_MAX_BYTES,
    answer,
    answered,
    node_of,
    oracle_of,
    read_json,
    read_raw,
)
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.notifier import wait_for
from nunet_dms.oracle.openapi import raw_body, shapes
from nunet_dms.protocol.api import LOG_CHUNK_MAX_BYTES, Done, Empty
from nunet_dms.protocol.bounds import MAX_SAFE
from nunet_dms.protocol.job import Manifest
from nunet_dms.protocol.node import (
    Acceptance,
    Heartbeat,
    HeartbeatReply,
    Inbox,
    Lease,
    LogLength,
    MissingBlobs,
    Poll,
    Refusal,
)
from nunet_dms.protocol.report import Report
from nunet_dms.protocol.signing import Sealed

router = APIRouter(tags=["node"])

NO_NEWS = Inbox()
Offset = Annotated[int, Query(ge=0, le=MAX_SAFE, description="bytes")]


@router.put("/v1/nodes/{node_id}", openapi_extra=shapes(Sealed, Done))
async def register(request: Request, node_id: str) -> Response:
    """Register a node, or tell what changed: a sealed NodeRegistration."""
    caller = await node_of(request, node_id)
    sealed = await read_json(request, Sealed)
    return await answered(registering.register, oracle_of(request), caller, sealed)


@router.post("/v1/nodes/{node_id}/heartbeat", openapi_extra=shapes(Heartbeat, HeartbeatReply))
async def heartbeat(request: Request, node_id: str) -> Response:
    """Say what still runs, which renews its leases."""
    caller = await node_of(request, node_id)
    beat = await read_json(request, Heartbeat)
    return await answered(registering.heartbeat, oracle_of(request), caller, beat)


@router.post("/v1/nodes/{node_id}/poll", openapi_extra=shapes(Poll, Inbox))
async def poll(request: Request, node_id: str) -> Response:
    """Ask for news, waiting up to `wait_s` for some."""
    caller = await node_of(request, node_id)
    asked = await read_json(request, Poll)
    return answer(await _news(oracle_of(request), caller, asked))


@router.post("/v1/jobs/{job_id}/accept", openapi_extra=shapes(Acceptance, Lease))
async def accept(request: Request, job_id: str) -> Response:
    """Take an offered job."""
    caller = await node_of(request)
    body = await read_json(request, Acceptance)
    return await answered(offering.accept, oracle_of(request), caller, job_id, body)


@router.post("/v1/jobs/{job_id}/refuse", openapi_extra=shapes(Refusal, Done))
async def refuse(request: Request, job_id: str) -> Response:
    """Do not take an offered job; its payment goes back."""
    caller = await node_of(request)
    body = await read_json(request, Refusal)
    oracle = oracle_of(request)
    done = await run_in_threadpool(offering.refuse, oracle, caller, job_id, body)
    await run_in_threadpool(settling.begin, oracle, job_id)
    return answer(done)


@router.put("/v1/jobs/{job_id}/log", openapi_extra=raw_body(LogLength))
async def append_log(request: Request, job_id: str, offset: Offset) -> Response:
    """Append to a running job's log, at its end."""
    caller = await node_of(request)
    data = await read_raw(request, LOG_CHUNK_MAX_BYTES)
    oracle = oracle_of(request)
    return await answered(reporting.append_log, oracle, caller, job_id, offset, data)


@router.put("/v1/jobs/{job_id}/checkpoint", openapi_extra=shapes(Sealed, MissingBlobs))
async def take_checkpoint(request: Request, job_id: str) -> Response:
    """Save a running job: a sealed CheckpointManifest, whole once it comes with nothing missing."""
    caller = await node_of(request)
    sealed = await read_json(request, Sealed, MANIFEST_MAX_BYTES)
    return await answered(checkpoints.take, oracle_of(request), caller, job_id, sealed)


@router.post("/v1/jobs/{job_id}/results", openapi_extra=shapes(Manifest, MissingBlobs))
async def announce_results(request: Request, job_id: str) -> Response:
    """Name a job's results and learn which contents to upload."""
    caller = await node_of(request)
    body = await read_json(request, Manifest, MANIFEST_MAX_BYTES)
    return await answered(reporting.announce_results, oracle_of(request), caller, job_id, body)


@router.post("/v1/jobs/{job_id}/report", openapi_extra=shapes((Sealed, Report), Done))
async def report(request: Request, job_id: str) -> Response:
    """Deliver the sealed Report that ends a job; the same again changes nothing."""
    caller = await node_of(request)
    sealed = await read_json(request, Sealed)
    oracle = oracle_of(request)
    done = await run_in_threadpool(reporting.take_report, oracle, caller, job_id, sealed)
    await run_in_threadpool(settling.begin, oracle, job_id)
    return answer(done)


@router.post("/v1/jobs/{job_id}/receipt/ack", openapi_extra=shapes(Empty, Done))
async def ack_receipt(request: Request, job_id: str) -> Response:
    """Say that the receipt is stored."""
    caller = await node_of(request)
    await read_json(request, Empty)
    return await answered(receipts.ack_receipt, oracle_of(request), caller, job_id)


async def _news(oracle: Oracle, node_id: str, asked: Poll) -> Inbox:
    """Read the inbox, and wait for a wake-up while it is empty."""
    ends = asyncio.get_running_loop().time() + asked.wait_s
    while True:
        with oracle.notifier.waiting(node_id) as woken:
            found = await run_in_threadpool(inbox.read, oracle, node_id, asked)
            left = ends - asyncio.get_running_loop().time()
            if found != NO_NEWS or left <= 0 or oracle.notifier.closed:
                return found
            await wait_for(woken, left)
