"""One HTTP exchange with an Oracle: limits of time and size, and every failure by its kind.

Redirects are not followed, and plain HTTP is spoken to this machine only.
"""

from __future__ import annotations

import http.client
import ipaddress
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlsplit

import requests
import urllib3
from requests.auth import AuthBase
from requests.structures import CaseInsensitiveDict

from nunet_dms.errors import MalformedError, OracleUnreachableError, RefusedError, UsageError
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import ErrorBody

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
"""Longest silence of an Oracle that owes an answer."""
JSON_MAX_BYTES = 8 * 1024 * 1024
"""Of one JSON answer: twice the longest text that strict.decode reads."""
ERROR_MAX_BYTES = 64 * 1024
"""Of the body of an error."""
SLOWEST_BYTES_PER_S = 64 * 1024
"""An answer that comes slower than this over its whole length is given up."""
READ_CHUNK_BYTES = 64 * 1024
IDLE_SESSIONS_MAX = 4
"""Kept open for the next exchange: the long poll's, the heartbeat's, a log's and a report's."""

RETRY_LATER = frozenset({408, 425, 429})
"""Statuses that say `not now` (RFC 6585, RFC 9110); every 5xx does as well."""

NETWORK_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,  # urllib3 and idna raise it bare for broken headers and host names
)


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
        self.base_url, self._is_loopback = _checked_url(base_url)
        self._lock = threading.Lock()
        self._idle: list[requests.Session] = []

    def close(self) -> None:
        """Close the connections that are not in use; a later call would open new ones."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            session.close()

    @contextmanager
    def answered(self, call: Call, token: str) -> Iterator[Answer]:
        """Ask, and give an answer of 2xx whose body is still to be read.

        Raises HttpRefusedError for an Oracle's own error (4xx); OracleUnreachableError for all
        else, also from within `Answer.pieces`.
        """
        with self._session() as session, self._sent(session, call, token) as response:
            self._check_status(response)
            pieces = self._pieces(response, call.timeout_s, call.limit, call.piece_bytes)
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
                auth=_Bearer(token),
                timeout=(CONNECT_TIMEOUT_S, call.timeout_s),
                allow_redirects=False,
                stream=True,
            )
        except NETWORK_ERRORS as error:
            raise self.unreachable(_reason(error)) from error

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            raise self.unreachable("it answers with a redirect, which is not followed")
        pieces = self._pieces(response, READ_TIMEOUT_S, ERROR_MAX_BYTES)
        try:
            body = strict.decode(ErrorBody, b"".join(pieces))
        except MalformedError as error:
            raise self.unreachable(
                f"it answers with status {status}, but not as an Oracle does"
            ) from error
        if status >= 500 or status in RETRY_LATER:
            raise self.unreachable(f"it says: {body.message or body.code}")
        raise HttpRefusedError(body, status, CaseInsensitiveDict(response.headers))

    def _pieces(
        self,
        response: requests.Response,
        timeout_s: float,
        limit: int,
        piece_bytes: int = READ_CHUNK_BYTES,
    ) -> Iterator[bytes]:
        ends = time.monotonic() + timeout_s + limit / SLOWEST_BYTES_PER_S
        pieces = response.iter_content(piece_bytes)
        size = 0
        while piece := self._next(pieces):
            size += len(piece)
            if size > limit:
                raise self.unreachable(f"its answer is longer than {limit} bytes")
            if time.monotonic() > ends:
                raise self.unreachable("its answer comes too slowly")
            yield piece
        announced = response.headers.get("Content-Length", "")
        # urllib3 1.26, which requests still allows, takes a body cut short for a whole one.
        is_exact = announced.isdigit() and "Content-Encoding" not in response.headers
        if is_exact and announced != str(size):
            raise self.unreachable("its answer breaks off")

    def _next(self, pieces: Iterator[bytes]) -> bytes:
        try:
            return next(pieces, b"")
        except NETWORK_ERRORS as error:
            raise self.unreachable(_reason(error)) from error

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        """Lend connections to one exchange: requests does not promise to share them safely.

        They are lent, not kept for each thread: a worker's threads live for one call.
        """
        with self._lock:
            session = self._idle.pop() if self._idle else None
        if session is None:
            session = requests.Session()
            session.trust_env = not self._is_loopback  # a proxy serves the world, not this machine
        try:
            yield session
        finally:
            with self._lock:
                is_kept = len(self._idle) < IDLE_SESSIONS_MAX
                if is_kept:
                    self._idle.append(session)
            if not is_kept:
                session.close()


class _Bearer(AuthBase):
    """The session in its header; always given, since requests would else look into ~/.netrc."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _reason(error: BaseException) -> str:
    """Say in a few words what happened; the libraries' own texts are walls of reprs."""
    text = str(error)
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate or its TLS is not accepted"
    if isinstance(error, requests.exceptions.Timeout) or "timed out" in text:
        return "it does not answer in time"
    if "refused" in text:
        return "nothing listens there"
    if "resolve" in text:
        return "its host name is not known"
    return f"the connection fails ({type(error).__name__})"


def _checked_url(text: str) -> tuple[str, bool]:
    """Return the URL without its last slash, and whether it leads to this machine."""
    try:
        parts = urlsplit(text.strip())
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise _wrong_url(text, str(error)) from error
    if not host or parts.query or parts.fragment or parts.username is not None:
        raise _wrong_url(text, "give scheme, host and port only")
    is_loopback = _is_loopback(host)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback):
        raise _wrong_url(text, "it must be https, or http to this machine (127.0.0.1)")
    return parts.geturl().rstrip("/"), is_loopback


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _wrong_url(text: str, why: str) -> UsageError:
    return UsageError(f"cannot use the Oracle URL {text!r:.200}: {why}")
