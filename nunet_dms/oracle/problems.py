"""Every error as the one shape that travels, and the HTTP status that goes with it."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from nunet_dms.errors import (
    CapacityError,
    MalformedError,
    NunetError,
    UnreachableError,
    VerificationError,
)
from nunet_dms.oracle.logs import LogOffsetError
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import LOG_LENGTH_HEADER, ErrorBody

TEXT_MAX_CHARS = 500
"""Of message and path, as in the protocol."""
CHALLENGE_HEADER = {"WWW-Authenticate": "Bearer"}

STATUS_OF_CODE: dict[str, int] = {
    "not_authenticated": 401,
    "bad_login": 401,
    "not_a_node": 403,
    "not_a_wallet": 403,
    "not_granted": 403,
    "other_node": 403,
    "unknown_job": 404,
    "unknown_quote": 404,
    "unknown_blob": 404,
    "unknown_node": 404,
    "no_receipt": 404,
    "no_settlement": 404,
    "no_verdict": 404,
    "no_faucet": 404,
    "too_slow": 408,
    "already_ended": 409,
    "already_used": 409,
    "files_gone": 410,
    "inputs_missing": 409,
    "jobs_open": 409,
    "log_offset": 409,
    "not_decided": 409,
    "not_offered": 409,
    "not_reported": 409,
    "not_running": 409,
    "not_settling": 409,
    "objected_already": 409,
    "other_verdict": 409,
    "price_above_limit": 409,
    "quote_expired": 409,
    "revised_already": 409,
    "stale_registration": 409,
    "too_many_quotes": 409,
    "window_closed": 409,
    "log_full": 413,
    "too_large": 413,
    "busy": 429,
}
"""The statuses of refusals; a code that does not stand here is a 422."""

_PLAIN_CODES = {404: "not_found", 405: "method_not_allowed"}

log = logging.getLogger(__name__)


def install(app: FastAPI) -> None:
    """Let the app answer every error in our shape."""
    app.add_exception_handler(NunetError, _answer_known)
    app.add_exception_handler(RequestValidationError, _answer_parameters)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_unknown)


def status_of(error: NunetError) -> int:
    """Return the HTTP status of an error of ours."""
    match error:
        case MalformedError():
            return 400
        case VerificationError():
            return STATUS_OF_CODE.get(error.code, 422)
        case CapacityError():
            return 409
        case UnreachableError():
            return 503
        case _:
            return 500


def body_of(error: NunetError) -> ErrorBody:
    """Return what the caller is told; of a mistake of ours nothing but that it is one."""
    match error:
        case VerificationError():
            return _body(error.code, str(error), error.where)
        case CapacityError():
            return _body("no_capacity", str(error))
        case UnreachableError():
            return _body("chain_unreachable", str(error))
        case _:
            return _body("internal", "cannot answer: something went wrong here")


def _body(code: str, message: str, where: str = "") -> ErrorBody:
    return ErrorBody(code=code, message=message[:TEXT_MAX_CHARS], where=where[:TEXT_MAX_CHARS])


def _answer(status: int, body: ErrorBody, headers: dict[str, str] | None = None) -> Response:
    return Response(
        strict.encode(body), status, media_type="application/json", headers=headers or {}
    )


async def _answer_known(request: Request, error: Exception) -> Response:
    if not isinstance(error, NunetError):
        return await _answer_unknown(request, error)
    status = status_of(error)
    if status == 500:
        log.error("call_failed path=%s", request.url.path, exc_info=error)
    headers: dict[str, str] = {}
    if isinstance(error, LogOffsetError):
        headers[LOG_LENGTH_HEADER] = str(error.length)
    if status == 401:
        headers |= CHALLENGE_HEADER
    return _answer(status, body_of(error), headers)


async def _answer_parameters(_request: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    where = ".".join(map(str, problems[0]["loc"])) if problems else ""
    why = str(problems[0]["msg"]) if problems else "a parameter is wrong"
    return _answer(400, _body("malformed", f"cannot read {where}: {why}", f"${where}"))


async def _answer_http(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = _PLAIN_CODES.get(status, "refused")
    return _answer(status, _body(code, f"cannot answer: {code.replace('_', ' ')}"))


async def _answer_unknown(request: Request, error: Exception) -> Response:
    log.error("call_failed path=%s", request.url.path, exc_info=error)
    return _answer(500, _body("internal", "cannot answer: something went wrong here"))
