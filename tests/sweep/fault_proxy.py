"""A proxy before a real Oracle that spoils what passes through it, in the ways networks do.

Every spoiled request meets one fault, by a seeded chance. `cut` stands for a network that is gone,
`hang` for an Oracle that takes a connection and never answers, `half` for one that breaks off.
"""

from __future__ import annotations

import http.client
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

UPSTREAM_TIMEOUT_S = 60
SLOW_S = 4.0
"""Longer than a hurried worker waits for an answer."""
HOP_HEADERS = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})

FAULTS = (
    "500 before", "500 after", "answer dropped", "garbage", "slow", "half-closed", "sent twice"
)  # fmt: skip
"""What a spoiled request may meet; `after`: the Oracle has done what was asked."""
PASS, CUT, HANG, HALF = "pass", "cut", "hang", "half-closed"


@dataclass(frozen=True)
class Reply:
    """An answer of the Oracle's."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class FaultProxy:
    """Listens on loopback; `mode` is what happens to every request, PASS what chance decides."""

    def __init__(self, upstream: str, seed: int = 0, spoiled: float = 0.0) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "", parts.port or 0)
        self._chance = random.Random(seed)
        self._deck: list[str] = []
        self._spoiled = spoiled
        self._lock = threading.Lock()
        self.mode = PASS
        self.met: Counter[str] = Counter()
        """How often each fault was met, and how many requests passed unharmed."""
        self.closing = threading.Event()
        proxy = self

        class Handler(_Handler):
            def handle_any(self) -> None:
                proxy.handle(self)

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def serving(self) -> Iterator[FaultProxy]:
        """Serve from a thread."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield self
        finally:
            self.closing.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def handle(self, request: _Handler) -> None:
        """Take one request to its end, or to the fault that it meets."""
        body = request.rfile.read(int(request.headers.get("Content-Length", "0")))
        fault = self._fault()
        if fault in {CUT, HANG}:
            if fault == HANG:
                self.closing.wait(UPSTREAM_TIMEOUT_S)
            request.close_connection = True
            return
        if fault == "500 before":
            request.answer(Reply(500, (), b"{}"))
            return
        if fault == "sent twice":
            self._ask(request, body)
        reply = self._ask(request, body)
        self._give(request, reply, fault)

    def _give(self, request: _Handler, reply: Reply, fault: str) -> None:
        if fault == "slow":
            self.closing.wait(SLOW_S)
        if fault == "answer dropped":
            request.close_connection = True
        elif fault == "500 after":
            request.answer(Reply(500, (), b"{}"))
        elif fault == "garbage":
            with self._lock:
                junk = self._chance.randbytes(40)
            request.answer(Reply(200, (), junk))
        elif fault == HALF:
            request.answer(reply, announced=len(reply.body) + 10)
            request.close_connection = True
        else:
            request.answer(reply)

    def _fault(self) -> str:
        with self._lock:
            fault = self.mode
            if fault == PASS and self._chance.random() < self._spoiled:
                fault = self._next_fault()
            self.met[fault] += 1
            return fault

    def _next_fault(self) -> str:
        """Draw without putting back, so that seven spoiled requests meet every fault."""
        if not self._deck:
            self._deck = self._chance.sample(FAULTS, len(FAULTS))
        return self._deck.pop()

    def _ask(self, request: _Handler, body: bytes) -> Reply:
        """Hand the request on as it came."""
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in HOP_HEADERS
        }
        link = http.client.HTTPConnection(*self._upstream, timeout=UPSTREAM_TIMEOUT_S)
        try:
            link.request(request.command, request.path, body, headers)
            found = link.getresponse()
            kept = tuple(
                (name, value)
                for name, value in found.getheaders()
                if name.lower() not in HOP_HEADERS
            )
            return Reply(found.status, kept, found.read())
        finally:
            link.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: who asks hangs up when it is killed or has waited enough."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        """Be overridden."""
        raise NotImplementedError

    def answer(self, reply: Reply, announced: int | None = None) -> None:
        """Send an answer; `announced` is another length than the true one."""
        with suppress(OSError):  # who asked is gone
            self.send_response_only(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(announced or len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""

    def do_GET(self) -> None:
        self.handle_any()

    do_PUT = do_POST = do_GET  # noqa: N815
