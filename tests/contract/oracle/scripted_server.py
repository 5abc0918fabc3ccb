"""A server that plays a backend: it answers what a test tells it to, however wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Say:
    """One answer; `cut` announces more than there is, `hang` says nothing until the end."""

    body: object = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    hang: bool = False

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Heard:
    """One request as it came."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]


Script = Callable[[Heard], Say]


@dataclass
class Played:
    """Where the server answers, what it was asked, and what it says from now on."""

    url: str
    script: Script
    heard: list[Heard] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def playing(script: Script) -> Iterator[Played]:
    """Serve on loopback for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            heard = Heard(
                self.command,
                self.path,
                self.rfile.read(length),
                {name.lower(): value for name, value in self.headers.items()},
            )
            played.heard.append(heard)
            say = played.script(heard)
            if say.hang:
                played.over.wait(60)
                self.close_connection = True
                return
            self.send_response(say.status)
            for name, value in say.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(say.content) + (7 if say.cut else 0)))
            self.end_headers()
            self.wfile.write(say.content)
            self.close_connection = say.cut

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    played = Played(f"http://127.0.0.1:{server.server_address[1]}", script)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield played
    finally:
        played.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
