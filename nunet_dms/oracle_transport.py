"""One HTTP exchange with an Oracle: limits of time and size, and every failure by its kind.

Redirects are not followed, and plain HTTP is spoken to this machine only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlsplit

import requests
from requests.structures import CaseInsensitiveDict

from nunet_dms.errors import MalformedError, OracleUnreachableError, RefusedError, UsageError
from nunet_dms.http_exchange import (
    CONNECT_TIMEOUT_S,
    NETWORK_ERRORS,
    READ_CHUNK_BYTES,
    HeaderAuth,
    Sessions,
    bounded_pieces,
    is_loopback,
    reason_of,
)
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import ErrorBody

READ_TIMEOUT_S = 30
"""Longest silence of an Oracle that owes an answer."""
JSON_MAX_BYTES = 8 * 1024 * 1024
"""Of one JSON answer: twice the longest text that strict.decode reads."""
ERROR_MAX_BYTES = 64 * 1024
"""Of the body of an error."""

RETRY_LATER = frozenset({408, 425, 429})
"""Statuses that say `not now` (RFC 6585, RFC 9110); every 5xx does as well."""


@dataclass(frozen=True, slots=True)
class Call:
    """What to ask, and how much of an answer is taken."""

    method: str
    path: str
    content: bytes | BinaryIO | None = None
    content_type: str = "application/json"
    timeout_s: float = READ_TIMEOUT_S
    limit: int = JSON_MAX_BYTES
    """Bytes of the answer's body."""
    piece_bytes: int = READ_CHUNK_BYTES
    """The body is given on in pieces of that size, each when it is there whole."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of 2xx: its headers, and its body as it comes in."""

    headers: Mapping[str, str]
    pieces: Iterator[bytes]


class HttpRefusedError(RefusedError):
    """A refusal as it came: some carry a header that tells what would be right."""

    def __init__(self, body: ErrorBody, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(body.code, body.message or body.code, where=body.where)
        self.status = status
        self.headers = headers


class Transport:
    """HTTP to one Oracle; threads may share it, each exchange has connections of its own.

    Raises UsageError for a URL that is neither https nor plain http to this machine.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url, is_here = _checked_url(base_url)
        self._sessions = Sessions(is_loopback=is_here)

    def close(self) -> None:
        """Close the connections that are not in use; a later call would open new ones."""
        self._sessions.close()

    @contextmanager
    def answered(self, call: Call, token: str) -> Iterator[Answer]:
        """Ask, and give an answer of 2xx whose body is still to be read.

        Raises HttpRefusedError for an Oracle's own error (4xx); OracleUnreachableError for all
        else, also from within `Answer.pieces`.
        """
        with self._sessions.lent() as session, self._sent(session, call, token) as response:
            self._check_status(response)
            pieces = bounded_pieces(
                response,
                self.unreachable,
                timeout_s=call.timeout_s,
                limit=call.limit,
                piece_bytes=call.piece_bytes,
            )
            yield Answer(response.headers, pieces)

    def unreachable(self, why: str) -> OracleUnreachableError:
        """Return the error that says so."""
        return OracleUnreachableError(
            f"cannot reach the Oracle at {self.base_url}: {why}",
            hint="check that it runs and that the address is right, then try again",
        )

    def _sent(self, session: requests.Session, call: Call, token: str) -> requests.Response:
        headers = {"Accept-Encoding": "identity"}
        if call.content is not None:
            headers["Content-Type"] = call.content_type
        try:
            return session.request(
                call.method,
                self.base_url + call.path,
                data=call.content,
                headers=headers,
                auth=HeaderAuth("Authorization", token and f"Bearer {token}"),
                timeout=(CONNECT_TIMEOUT_S, call.timeout_s),
                allow_redirects=False,
                stream=True,
            )
        except NETWORK_ERRORS as error:
            raise self.unreachable(reason_of(error)) from error

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            raise self.unreachable("it answers with a redirect, which is not followed")
        pieces = bounded_pieces(
            response, self.unreachable, timeout_s=READ_TIMEOUT_S, limit=ERROR_MAX_BYTES
        )
        try:
            body = strict.decode(ErrorBody, b"".join(pieces))
        except MalformedError as error:
            raise self.unreachable(
                f"it answers with status {status}, but not as an Oracle does"
            ) from error
        if status >= 500 or status in RETRY_LATER:
            raise self.unreachable(f"it says: {body.message or body.code}")
        raise HttpRefusedError(body, status, CaseInsensitiveDict(response.headers))


def _checked_url(text: str) -> tuple[str, bool]:
    """Return the URL without its last slash, and whether it leads to this machine."""
    try:
        parts = urlsplit(text.strip())
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise _wrong_url(text, str(error)) from error
    if not host or parts.query or parts.fragment or parts.username is not None:
        raise _wrong_url(text, "give scheme, host and port only")
    is_here = is_loopback(host)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
        raise _wrong_url(text, "it must be https, or http to this machine (127.0.0.1)")
    return parts.geturl().rstrip("/"), is_here


def _wrong_url(text: str, why: str) -> UsageError:
    return UsageError(f"cannot use the Oracle URL {text!r:.200}: {why}")
