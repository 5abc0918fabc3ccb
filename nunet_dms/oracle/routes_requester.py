"""The calls of requesters, and those that they share with nodes; see protocol/api.py."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from nunet_dms.oracle import (
    admitting,
    checkpoints,
    disputing,
    files,
    quoting,
    receipts,
    reporting,
    settling,
    views,
)
from nunet_dms.oracle.blobs import Upload
from nunet_dms.oracle.bodies import (
    MANIFEST_MAX_BYTES,
    answer,
    answered,
    caller_of,
    oracle_of,
    pieces,
    read_json,
    wallet_of,
)
from nunet_dms.oracle.notifier import wait_for
from nunet_dms.oracle.openapi import BYTES, raw_body, shapes
from nunet_dms.oracle.routes_node import Offset
from nunet_dms.protocol.api import (
    LOG_COMPLETE_HEADER,
    LOG_LENGTH_HEADER,
    LOG_OFFSET_HEADER,
    POLL_WAIT_MAX_S,
    Done,
    Empty,
)
from nunet_dms.protocol.dispute import Decision, SignedObjection
from nunet_dms.protocol.job import Manifest
from nunet_dms.protocol.node import Cosignature, MissingBlobs, Settlement
from nunet_dms.protocol.quote import Quote
from nunet_dms.protocol.signing import Sealed
from nunet_dms.protocol.submission import JobList, JobSubmission, JobView, QuoteRequest

WRITTEN_AT_ONCE_BYTES = 1024 * 1024
"""Of an upload; small pieces of the network would each cost a change of threads."""

Sha256 = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
WaitSeconds = Annotated[int, Query(ge=0, le=POLL_WAIT_MAX_S)]

router = APIRouter(tags=["requester"])


@router.post("/v1/quotes", openapi_extra=shapes(QuoteRequest, Quote))
async def quote(request: Request) -> Response:
    """Ask what a job costs, and hold a place for it."""
    caller = await wallet_of(request)
    body = await read_json(request, QuoteRequest, MANIFEST_MAX_BYTES)
    return await answered(quoting.make_quote, oracle_of(request), caller, body)


@router.post("/v1/quotes/{quote_id}/inputs", openapi_extra=shapes(Manifest, MissingBlobs))
async def inputs(request: Request, quote_id: str) -> Response:
    """Name a quoted job's inputs and learn which contents to upload."""
    caller = await wallet_of(request)
    body = await read_json(request, Manifest, MANIFEST_MAX_BYTES)
    return await answered(admitting.announce_inputs, oracle_of(request), caller, quote_id, body)


@router.put("/v1/blobs/{sha256}", openapi_extra=raw_body(Done))
async def put_blob(request: Request, sha256: Sha256) -> Response:
    """Upload a content that a manifest of the caller's names."""
    caller = await caller_of(request)
    oracle = oracle_of(request)
    upload = await run_in_threadpool(files.begin_upload, oracle, caller.subject, sha256)
    with upload:
        await _receive(request, upload)
        await run_in_threadpool(files.end_upload, oracle, upload, caller.subject, sha256)
    return answer(Done())


@router.get("/v1/blobs/{sha256}", openapi_extra=shapes(None, None))
async def get_blob(request: Request, sha256: Sha256) -> Response:
    """Download a content of one of the caller's jobs."""
    caller = await caller_of(request)
    path = await run_in_threadpool(files.readable, oracle_of(request), caller.subject, sha256)
    return FileResponse(path, media_type=BYTES)


@router.post("/v1/jobs", openapi_extra=shapes(JobSubmission, JobView))
async def submit(request: Request) -> Response:
    """Submit a quoted job: the signed request and the signed payment."""
    caller = await wallet_of(request)
    body = await read_json(request, JobSubmission)
    oracle = oracle_of(request)
    job = await run_in_threadpool(admitting.submit, oracle, caller, body)
    return await answered(views.job_view, oracle, caller, job.job_id)


@router.get("/v1/jobs", openapi_extra=shapes(None, JobList))
async def job_list(request: Request) -> Response:
    """List the caller's jobs, newest first."""
    return await answered(views.job_list, oracle_of(request), await wallet_of(request))


@router.get("/v1/jobs/{job_id}", openapi_extra=shapes(None, JobView))
async def job(request: Request, job_id: str) -> Response:
    """Look at one of the caller's jobs."""
    return await answered(views.job_view, oracle_of(request), await wallet_of(request), job_id)


@router.get("/v1/jobs/{job_id}/log", openapi_extra=shapes(None, None))
async def log(
    request: Request, job_id: str, offset: Offset = 0, wait_s: WaitSeconds = 0
) -> Response:
    """Read a log from an offset on, waiting up to `wait_s` for more while there is none."""
    caller, oracle = await wallet_of(request), oracle_of(request)
    ends = asyncio.get_running_loop().time() + wait_s
    while True:
        with oracle.notifier.waiting(job_id) as woken:
            row, part, complete = await run_in_threadpool(
                views.log_part, oracle, caller, job_id, offset
            )
            left = ends - asyncio.get_running_loop().time()
            if part or complete or left <= 0 or oracle.notifier.closed:
                break
            await wait_for(woken, left)
    headers = {
        LOG_OFFSET_HEADER: str(offset),
        LOG_LENGTH_HEADER: str(row.log_bytes),
        LOG_COMPLETE_HEADER: "true" if complete else "false",
    }
    return Response(part, media_type=BYTES, headers=headers)


@router.get("/v1/jobs/{job_id}/results", openapi_extra=shapes(None, Manifest))
async def results(request: Request, job_id: str) -> Response:
    """Return the manifest of a reported job's results."""
    caller = await wallet_of(request)
    return await answered(reporting.results_of, oracle_of(request), caller, job_id)


@router.get("/v1/jobs/{job_id}/checkpoint", openapi_extra=shapes(None, Sealed))
async def checkpoint(request: Request, job_id: str) -> Response:
    """Return a job's last whole checkpoint, as its node sealed it."""
    caller = await wallet_of(request)
    return await answered(checkpoints.last_of, oracle_of(request), caller, job_id)


@router.post("/v1/jobs/{job_id}/cancel", openapi_extra=shapes(Empty, JobView))
async def cancel(request: Request, job_id: str) -> Response:
    """Cancel a job that has not ended."""
    caller, oracle = await wallet_of(request), oracle_of(request)
    await read_json(request, Empty)
    await run_in_threadpool(reporting.cancel, oracle, caller, job_id)
    await run_in_threadpool(settling.begin, oracle, job_id)
    return await answered(views.job_view, oracle, caller, job_id)


@router.get("/v1/jobs/{job_id}/settlement", openapi_extra=shapes(None, Settlement))
async def settlement(request: Request, job_id: str) -> Response:
    """Return the settlement that waits for a second signature."""
    caller = await caller_of(request)
    return await answered(settling.settlement_of, oracle_of(request), caller, job_id)


@router.post("/v1/jobs/{job_id}/settlement", openapi_extra=shapes(Cosignature, Done))
async def cosign(request: Request, job_id: str) -> Response:
    """Give the second signature under a settlement."""
    caller = await caller_of(request)
    body = await read_json(request, Cosignature)
    return await answered(settling.cosign, oracle_of(request), caller, job_id, body)


@router.get("/v1/jobs/{job_id}/verdict", openapi_extra=shapes(None, Decision))
async def verdict(request: Request, job_id: str) -> Response:
    """Return the verdict on a job, and what was said against it."""
    caller = await caller_of(request)
    return await answered(disputing.decision_of, oracle_of(request), caller, job_id)


@router.post("/v1/jobs/{job_id}/objection", openapi_extra=shapes(SignedObjection, Done))
async def object_to(request: Request, job_id: str) -> Response:
    """Object to the present verdict on a job, while its window is open."""
    caller = await caller_of(request)
    body = await read_json(request, SignedObjection)
    return await answered(disputing.object_to, oracle_of(request), caller, job_id, body)


@router.get("/v1/jobs/{job_id}/receipt", openapi_extra=shapes(None, Sealed))
async def receipt(request: Request, job_id: str) -> Response:
    """Return a settled job's receipt."""
    caller = await caller_of(request)
    return await answered(receipts.receipt_of, oracle_of(request), caller, job_id)


async def _receive(request: Request, upload: Upload) -> None:
    held = bytearray()
    async for piece in pieces(request):
        held += piece
        if len(held) >= WRITTEN_AT_ONCE_BYTES:
            await run_in_threadpool(upload.write, bytes(held))
            held.clear()
    await run_in_threadpool(upload.write, bytes(held))
