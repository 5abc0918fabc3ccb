"""One chain backend's HTTP: its rate limit, its repetitions, and every failure in words.

A call is tried up to four times within 20 s (`pace`), with a wait that doubles and as much again
by chance, or as long as the backend asks for. What ends it: an answer below 500 that is not 408,
425 or 429; the fourth attempt; the time. A backend that was given up is then left alone for 5 s,
or for as long as it asked: whoever calls meanwhile hears at once that it does not answer, so that
one turn with many jobs does not wait for each of them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import requests

from nunet_dms.cardano.chain.answers import Part, parse
from nunet_dms.cardano.chain.pace import (
    REST_MAX_S,
    REST_S,
    Bucket,
    Limit,
    Patience,
    Timing,
)
from nunet_dms.errors import UnreachableError
from nunet_dms.http_exchange import (
    CONNECT_TIMEOUT_S,
    NETWORK_ERRORS,
    HeaderAuth,
    Sessions,
    bounded_pieces,
    is_loopback,
    reason_of,
)

ANSWER_MAX_BYTES = 4 * 1024 * 1024
"""1,000 unspent outputs with their tokens have about 1 MB."""
RETRY_LATER = frozenset({408, 425, 429})
"""Statuses that say `not now` (RFC 6585, RFC 9110, RFC 8470); every 5xx does as well."""
CLOSED = {
    401: "it does not accept the key",
    402: "its daily quota is used up",
    403: "it does not accept the key",
    418: "it has banned this address for asking too often",
}
"""Statuses after which asking again at once only makes it worse."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a backend answers, and the header that it wants."""

    name: str
    """What people call it: koios, blockfrost, ogmios."""
    url: str
    """Without a slash at its end."""
    key_header: str = ""
    key: str = field(default="", repr=False)
    words: Mapping[int, str] = field(default_factory=dict)
    """What some of its statuses mean, in words, where the number alone says too little."""


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent along."""

    content: bytes
    kind: str = "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its status, its body, and what errors call it."""

    status: int
    body: bytes
    source: str

    def json(self) -> Part:
        """Return the body as JSON; raises UnreachableError."""
        return parse(self.body, self.source)

    def refusal_text(self) -> str:
        """Return the body of an error as text."""
        return self.body.decode("utf-8", "replace")


class ChainHttp:
    """A client of one backend; threads may share it."""

    def __init__(self, endpoint: Endpoint, limit: Limit, timing: Timing) -> None:
        self.endpoint = endpoint
        self._timing = timing
        self._bucket = Bucket(limit, timing)
        self._sessions = Sessions(is_loopback=is_loopback(urlsplit(endpoint.url).hostname or ""))
        self._lock = threading.Lock()
        self._rests_until_s = 0.0
        self._why = ""

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._sessions.close()

    def get(self, path: str, *, allowed: frozenset[int] = frozenset()) -> Reply:
        """GET a path; statuses other than 200 are errors unless `allowed`."""
        return self._call("GET", path, None, allowed)

    def post(self, path: str, body: Body, *, allowed: frozenset[int] = frozenset()) -> Reply:
        """POST to a path; statuses other than 200 and 202 are errors unless `allowed`."""
        return self._call("POST", path, body, allowed)

    def unreachable(self, why: str) -> UnreachableError:
        """Return the error that says so."""
        name, url = self.endpoint.name, self.endpoint.url
        return UnreachableError(
            f"cannot reach the chain by {name} at {url}: {why}",
            hint="see [chain] in oracle.toml; to look again: nunet oracle check",
        )

    def _call(self, method: str, path: str, body: Body | None, allowed: frozenset[int]) -> Reply:
        self._refuse_while_resting()
        patience = Patience(self._timing)
        while True:
            if not self._bucket.take():
                raise self.unreachable("too many calls wait for their turn")
            asked_s = 0.0
            try:
                reply, asked_s = self._exchange(method, path, body)
            except UnreachableError as error:
                failure = error
            else:
                if not _is_later(reply.status):
                    return self._judged(reply, allowed, path)
                failure = self.unreachable(f"{path} answers with status {reply.status}")
            log.info("chain_retry backend=%s path=%s why=%s", self.endpoint.name, path, failure)
            if not patience.again(asked_s):
                raise self._resting(failure, asked_s)

    def _exchange(self, method: str, path: str, body: Body | None) -> tuple[Reply, float]:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if body is not None:
            headers["Content-Type"] = body.kind
        timeout_s = self._timing.read_timeout_s
        try:
            with (
                self._sessions.lent() as session,
                session.request(
                    method,
                    self.endpoint.url + path,
                    data=None if body is None else body.content,
                    headers=headers,
                    auth=HeaderAuth(self.endpoint.key_header, self.endpoint.key),
                    timeout=(CONNECT_TIMEOUT_S, timeout_s),
                    allow_redirects=False,
                    stream=True,
                ) as answer,
            ):
                pieces = bounded_pieces(
                    answer, self.unreachable, timeout_s=timeout_s, limit=ANSWER_MAX_BYTES
                )
                content = b"".join(pieces)
        except NETWORK_ERRORS as error:
            raise self.unreachable(reason_of(error)) from error
        source = f"{self.endpoint.name} {path.partition('?')[0]}"
        return Reply(answer.status_code, content, source), _asked_s(answer)

    def _judged(self, reply: Reply, allowed: frozenset[int], path: str) -> Reply:
        if reply.status in (200, 202) or reply.status in allowed:
            return reply
        if reply.status in CLOSED:
            raise self._resting(self.unreachable(CLOSED[reply.status]), REST_MAX_S)
        if 300 <= reply.status < 400:
            raise self.unreachable("it answers with a redirect, which is not followed")
        meaning = self.endpoint.words.get(reply.status, "")
        raise self.unreachable(
            f"{path} answers with status {reply.status}" + (f": {meaning}" if meaning else "")
        )

    def _resting(self, failure: UnreachableError, asked_s: float) -> UnreachableError:
        rest_s = min(max(REST_S, asked_s), REST_MAX_S)
        with self._lock:
            self._rests_until_s = self._timing.monotonic() + rest_s
            self._why = str(failure)
        log.warning("chain_unreachable backend=%s why=%s", self.endpoint.name, failure)
        return failure

    def _refuse_while_resting(self) -> None:
        with self._lock:
            left_s, why = self._rests_until_s - self._timing.monotonic(), self._why
        if left_s > 0:
            raise UnreachableError(f"{why}; it is asked again in {left_s:.0f} s")


def _is_later(status: int) -> bool:
    return status >= 500 or status in RETRY_LATER


def _asked_s(answer: requests.Response) -> float:
    """Return what Retry-After asks for in seconds; its other form, a date, is not used here."""
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0.0
