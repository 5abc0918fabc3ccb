"""What every HTTP client of ours shares: connections lent out, bounded bodies, errors in words."""

from __future__ import annotations

import http.client
import ipaddress
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import requests
import urllib3
from requests.auth import AuthBase

from nunet_dms.errors import NunetError

CONNECT_TIMEOUT_S = 5
READ_CHUNK_BYTES = 64 * 1024
SLOWEST_BYTES_PER_S = 64 * 1024
"""An answer that comes slower than this over its whole length is given up."""
IDLE_SESSIONS_MAX = 4
"""Kept open for the next exchange: as many as one client has under way at a time."""

NETWORK_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,  # urllib3 and idna raise it bare for broken headers and host names
)

Failure = Callable[[str], NunetError]
"""Makes the caller's own error of a reason in words."""


class Sessions:
    """Connections, lent to one exchange at a time: requests does not promise to share them safely.

    They are lent, not kept for each thread: a worker's threads live for one call.
    """

    def __init__(self, *, is_loopback: bool) -> None:
        self._is_loopback = is_loopback
        self._lock = threading.Lock()
        self._idle: list[requests.Session] = []

    @contextmanager
    def lent(self) -> Iterator[requests.Session]:
        """Lend a session to one exchange."""
        with self._lock:
            session = self._idle.pop() if self._idle else None
        if session is None:
            session = requests.Session()
            # A proxy serves the world, not this machine.
            session.trust_env = not self._is_loopback
        try:
            yield session
        finally:
            with self._lock:
                is_kept = len(self._idle) < IDLE_SESSIONS_MAX
                if is_kept:
                    self._idle.append(session)
            if not is_kept:
                session.close()

    def close(self) -> None:
        """Close the connections that are not in use; a later exchange would open new ones."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            session.close()


class HeaderAuth(AuthBase):
    """One header, or none; always given, since requests would else look into ~/.netrc."""

    def __init__(self, name: str = "", value: str = "") -> None:
        self._name, self._value = name, value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the header on a request."""
        if self._value:
            request.headers[self._name] = self._value
        return request


def bounded_pieces(
    response: requests.Response,
    fail: Failure,
    *,
    timeout_s: float,
    limit: int,
    piece_bytes: int = READ_CHUNK_BYTES,
) -> Iterator[bytes]:
    """Yield the body as it comes; raises `fail` when it is too long, too slow, or breaks off."""
    ends = time.monotonic() + timeout_s + limit / SLOWEST_BYTES_PER_S
    pieces = response.iter_content(piece_bytes)
    size = 0
    while piece := _next(pieces, fail):
        size += len(piece)
        if size > limit:
            raise fail(f"its answer is longer than {limit} bytes")
        if time.monotonic() > ends:
            raise fail("its answer comes too slowly")
        yield piece
    announced = response.headers.get("Content-Length", "")
    # urllib3 1.26, which requests still allows, takes a body cut short for a whole one.
    is_exact = announced.isdigit() and "Content-Encoding" not in response.headers
    if is_exact and announced != str(size):
        raise fail("its answer breaks off")


def reason_of(error: BaseException) -> str:
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


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine, by its name or its address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _next(pieces: Iterator[bytes], fail: Failure) -> bytes:
    try:
        return next(pieces, b"")
    except NETWORK_ERRORS as error:
        raise fail(reason_of(error)) from error
