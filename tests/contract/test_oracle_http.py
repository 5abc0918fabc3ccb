"""Whatever an Oracle, or what stands in its place, answers: one of two errors, never another."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nunet_dms.cardano.cip8 import SignedMessage, verify_message
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.errors import (
    OracleUnreachableError,
    RefusedError,
    UsageError,
    VerificationError,
)
from nunet_dms.http_exchange import IDLE_SESSIONS_MAX
from nunet_dms.oracle_http import LOGIN_DOMAIN, NodeProof, OracleHttp, WalletProof
from nunet_dms.oracle_transport import ERROR_MAX_BYTES, JSON_MAX_BYTES
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import Done, Empty, Health
from nunet_dms.protocol.keys import SigningKey, is_signed_by, node_id_of
from nunet_dms.protocol.login import Challenge, ChallengeBody, Session
from nunet_dms.protocol.signing import Domain, seal

HEALTH = Health(status="ok", version="1", chain="devnet", height=7)
NODE_KEY = SigningKey(bytes(range(32)))
ORACLE_KEY = SigningKey(bytes(range(1, 33)))
NODE = NodeProof(NODE_KEY, node_id_of(NODE_KEY.public))


@dataclass(frozen=True)
class Heard:
    """A request as the server got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Script = Callable[[BaseHTTPRequestHandler, Heard], None]


@dataclass
class Server:
    """A little HTTP server that answers by a script and remembers what it was asked."""

    url: str
    heard: list[Heard] = field(default_factory=list)


@contextmanager
def serving(script: Script) -> Iterator[Server]:
    """Run a server on loopback for the length of the block."""
    found = Server("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            heard = Heard(self.command, self.path, dict(self.headers), self.rfile.read(length))
            found.heard.append(heard)
            script(self, heard)

        do_GET = do_PUT = do_POST = _handle  # noqa: N815 - names of http.server

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_arguments: object) -> None:
            """A client that hangs up is part of these tests."""

    server = Quiet(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def sends(
    content: bytes, status: int = 200, headers: dict[str, str] | None = None, length: int = -1
) -> Script:
    """Answer with these bytes; `length` stands for the Content-Length that is announced."""

    def script(handler: BaseHTTPRequestHandler, _heard: Heard) -> None:
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content) if length < 0 else length))
        handler.end_headers()
        handler.wfile.write(content)
        if length >= 0:
            handler.close_connection = True

    return script


def raw(content: bytes) -> Script:
    """Answer with bytes that need not be HTTP, then hang up."""

    def script(handler: BaseHTTPRequestHandler, _heard: Heard) -> None:
        handler.wfile.write(content)
        handler.wfile.flush()
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)

    return script


def endless(handler: BaseHTTPRequestHandler, _heard: Heard) -> None:
    """Send more than anybody asked for, in chunks, without an announced end."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    for _ in range(2 * JSON_MAX_BYTES // 0x10000):
        handler.wfile.write(chunk)


def silent(release: threading.Event) -> Script:
    """Never answer until the test is over."""
    return lambda _handler, _heard: release.wait(20) and None


def health(http: OracleHttp, timeout_s: float = 5) -> Health:
    """Make a call that needs no login."""
    return http.call("GET", "/v1/health", None, Health, public=True, timeout_s=timeout_s)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ODD_ANSWERS = {
    "status 500": sends(b"Internal Server Error", 500),
    "status 500 in our form": sends(b'{"code":"internal","message":"oops","where":""}', 500),
    "status 503": sends(b'{"code":"chain_unreachable","message":"x","where":""}', 503),
    "status 429": sends(b"slow down", 429),
    "redirect": sends(b"", 302, {"Location": "http://127.0.0.1:1/v1/health"}),
    "another site's 404": sends(b"<html>not found</html>", 404, {"Content-Type": "text/html"}),
    "a 404 of another API": sends(b'{"detail":"Not Found"}', 404),
    "empty": sends(b""),
    "no JSON": sends(b"\xff\xfe\x00garbage"),
    "other JSON": sends(b'{"status":"ok"}'),
    "unknown key": sends(strict.encode(HEALTH)[:-1] + b',"more":1}'),
    "deep JSON": sends(b"[" * 100_000),
    "cut off": sends(strict.encode(HEALTH)[:20], length=500),
    "cut off in a chunk": raw(CHUNKED + b'40\r\n{"sta'),
    "broken chunk": raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"
    ),
    "not HTTP": raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "no answer at all": raw(b""),
    "half a header": raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "wrong length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}"),
    "huge header": raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n{}"),
    "broken gzip": sends(b"\x1f\x8bnot gzip", headers={"Content-Encoding": "gzip"}),
    "endless": endless,
    "huge error": sends(b" " * (ERROR_MAX_BYTES + 1), 400),
}


@pytest.mark.parametrize("script", ODD_ANSWERS.values(), ids=ODD_ANSWERS)
def test_whatever_is_no_answer_of_an_oracle_is_one_that_may_come_later(script: Script) -> None:
    with serving(script) as server, OracleHttp(server.url) as http:
        with pytest.raises(OracleUnreachableError, match="cannot reach the Oracle"):
            health(http)
        assert len(server.heard) == 1, "redirects are not followed, nothing is sent twice"


def test_an_oracle_that_stays_silent_is_given_up() -> None:
    release = threading.Event()
    with serving(silent(release)) as server, OracleHttp(server.url) as http:
        try:
            with pytest.raises(OracleUnreachableError, match="in time"):
                health(http, timeout_s=0.2)
        finally:
            release.set()


def test_where_nothing_listens_the_message_says_so() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        OracleHttp(f"http://127.0.0.1:{port}") as http,
        pytest.raises(OracleUnreachableError, match="nothing listens there"),
    ):
        health(http)


def test_a_refusal_keeps_its_code_message_and_place() -> None:
    body = b'{"code":"no_capacity","message":"requested 9, available 1","where":"$.spec"}'
    with (
        serving(sends(body, 409)) as server,
        OracleHttp(server.url) as http,
        pytest.raises(RefusedError) as caught,
    ):
        health(http)
    assert (caught.value.code, str(caught.value), caught.value.where) == (
        "no_capacity",
        "requested 9, available 1",
        "$.spec",
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "http://192.0.2.1:9980",
        "http://127.0.0.1.example.org",
        "ftp://127.0.0.1",
        "127.0.0.1:9980",
        "https://",
        "https://user:password@example.org",
        "https://example.org/?a=1",
        "http://127.0.0.1:notaport",
        "http://[::1",
        "",
    ],
)
def test_an_oracle_is_https_or_on_this_machine(url: str) -> None:
    with pytest.raises(UsageError, match="cannot use the Oracle URL"):
        OracleHttp(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://example.org/x/"]
)
def test_these_urls_will_do(url: str) -> None:
    with OracleHttp(url) as http:
        assert http.base_url == url.rstrip("/")


def oracle_with_sessions(tokens: list[str], expires_s: int = 2_000_000_000) -> Script:
    """Log everybody in; the last token in the list is the one that counts."""
    issued = iter(tokens)

    def script(handler: BaseHTTPRequestHandler, heard: Heard) -> None:
        if heard.path == "/v1/challenges":
            subject = json.loads(heard.body)["subject"]
            body = ChallengeBody(subject=subject, nonce="0" * 32, expires_s=2_000_000_000)
            sealed = seal(body, Domain.CHALLENGE, ORACLE_KEY)
            answer: object = Challenge(challenge=strict.encode(sealed).decode())
        elif heard.path == "/v1/sessions":
            answer = Session(token=next(issued), expires_s=expires_s)
        elif heard.headers.get("Authorization") != f"Bearer {tokens[-1]}":
            body_401 = b'{"code":"not_authenticated","message":"log in","where":""}'
            sends(body_401, 401)(handler, heard)
            return
        else:
            answer = Done()
        sends(strict.encode(answer))(handler, heard)

    return script


SOCKETS_OF_A_TEST = 8
"""The listening one, and what pytest has open."""


def is_socket(entry: Path) -> bool:
    """Whether a file descriptor of this process is a socket; it may be gone by now."""
    try:
        return str(entry.readlink()).startswith("socket:")
    except OSError:
        return False


def paths(server: Server) -> list[str]:
    """Return what was asked, in order."""
    return [heard.path for heard in server.heard]


def test_a_session_is_opened_once_and_used_again() -> None:
    with (
        serving(oracle_with_sessions(["first"])) as server,
        OracleHttp(server.url, NODE, ticket_key=ORACLE_KEY.public, clock=lambda: 1e9) as http,
    ):
        for _ in range(3):
            assert http.call("POST", "/v1/x", Empty(), Done) == Done()
    assert paths(server) == ["/v1/challenges", "/v1/sessions", "/v1/x", "/v1/x", "/v1/x"]


def test_a_session_is_renewed_before_it_expires() -> None:
    now = [1000.0]
    script = oracle_with_sessions(["same", "same"], expires_s=5000)
    with serving(script) as server, OracleHttp(server.url, NODE, clock=lambda: now[0]) as http:
        for now[0] in (1000.0, 4900.0, 4941.0):
            http.call("GET", "/v1/x", None, Done)
    assert paths(server).count("/v1/sessions") == 2


def test_a_session_that_is_refused_is_renewed_once_and_the_upload_sent_again_whole() -> None:
    with (
        serving(oracle_with_sessions(["stale", "good"])) as server,
        OracleHttp(server.url, NODE, clock=lambda: 1e9) as http,
    ):
        content = io.BytesIO(b"skipped content")
        content.seek(8)
        assert http.put_bytes("/v1/blobs/x", content) == Done()
    assert [heard.body for heard in server.heard if heard.method == "PUT"] == [b"content"] * 2


def test_a_session_that_is_refused_twice_is_a_refusal() -> None:
    with (
        serving(oracle_with_sessions(["a", "b", "never issued"])) as server,
        OracleHttp(server.url, NODE, clock=lambda: 1e9) as http,
        pytest.raises(RefusedError) as caught,
    ):
        http.call("GET", "/v1/x", None, Done)
    assert caught.value.code == "not_authenticated"
    assert paths(server).count("/v1/x") == 2


def test_threads_that_come_and_go_leave_no_connections_behind() -> None:
    """A worker's calls each have a thread of their own, day and night."""
    with serving(sends(strict.encode(HEALTH))) as server, OracleHttp(server.url) as http:
        for _ in range(30):
            thread = threading.Thread(target=http.call, args=("GET", "/v1/x", None, Health))
            thread.start()
            thread.join()
        open_ends = sum(1 for each in Path("/proc/self/fd").iterdir() if is_socket(each))
        assert len(server.heard) == 30
        assert open_ends <= SOCKETS_OF_A_TEST + 2 * IDLE_SESSIONS_MAX  # both ends are ours here


def test_nothing_is_signed_for_an_oracle_that_is_not_the_pinned_one() -> None:
    """It could hand on another Oracle's challenge and log in there in our name."""
    pinned = SigningKey.generate().public
    with (
        serving(oracle_with_sessions(["token"])) as server,
        OracleHttp(server.url, NODE, ticket_key=pinned, clock=lambda: 1e9) as http,
        pytest.raises(VerificationError) as caught,
    ):
        http.call("GET", "/v1/x", None, Done)
    assert caught.value.code == "foreign_key"
    assert paths(server) == ["/v1/challenges"]


def test_node_and_wallet_sign_the_challenge_under_the_login_domain() -> None:
    login = NODE.login("challenge")
    assert is_signed_by(NODE_KEY.public, LOGIN_DOMAIN + b"challenge", login.signature)
    key = PaymentKey.from_seed(bytes(32))
    answer = WalletProof(key, key.address(0)).login("challenge")
    message = SignedMessage(bytes.fromhex(answer.cose_sign1), bytes.fromhex(answer.cose_key))
    assert verify_message(message, key.address(0)) == LOGIN_DOMAIN + b"challenge"


def test_a_log_goes_on_where_the_oracle_says_that_it_ends() -> None:
    refusal = b'{"code":"log_offset","message":"the log has 42 bytes","where":""}'
    with (
        serving(sends(refusal, 409, {"nunet-log-length": "42"})) as server,
        OracleHttp(server.url) as http,
    ):
        assert http.put_log("ab", 7, b"chunk") == 42
    assert (server.heard[0].path, server.heard[0].body) == ("/v1/jobs/ab/log?offset=7", b"chunk")


@pytest.mark.parametrize("header", [{}, {"Nunet-Log-Length": "-1"}, {"Nunet-Log-Length": "x"}])
def test_a_log_offset_without_a_length_is_a_refusal(header: dict[str, str]) -> None:
    refusal = b'{"code":"log_offset","message":"no","where":""}'
    with (
        serving(sends(refusal, 409, header)) as server,
        OracleHttp(server.url) as http,
        pytest.raises(RefusedError, match="no"),
    ):
        http.put_log("ab", 7, b"chunk")


def test_raw_bytes_come_with_their_headers() -> None:
    script = sends(b"log\x00\xff", headers={"Nunet-Log-Complete": "true"})
    to = io.BytesIO()
    with serving(script) as server, OracleHttp(server.url) as http:
        headers = http.get_bytes("/v1/jobs/ab/log", to=to, limit=5)
    assert (to.getvalue(), headers["nunet-log-complete"]) == (b"log\x00\xff", "true")


def test_raw_bytes_beyond_their_limit_are_refused_before_they_are_written() -> None:
    to = io.BytesIO()
    with (
        serving(sends(b"123456")) as server,
        OracleHttp(server.url) as http,
        pytest.raises(OracleUnreachableError, match="longer than 5 bytes"),
    ):
        http.get_bytes("/v1/blobs/ab", to=to, limit=5)
    assert to.getvalue() == b""


def test_a_full_disk_is_not_the_oracles_fault() -> None:
    class Full(io.BytesIO):
        def write(self, _data: object) -> int:
            raise OSError(28, "No space left on device")

        def writelines(self, lines: object) -> None:
            for line in lines:  # type: ignore[attr-defined]
                self.write(line)

    with (
        serving(sends(b"123456")) as server,
        OracleHttp(server.url) as http,
        pytest.raises(OSError, match="No space left"),
    ):
        http.get_bytes("/v1/blobs/ab", to=Full(), limit=10)


def test_secrets_in_netrc_stay_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(sends(strict.encode(HEALTH))) as server, OracleHttp(server.url) as http:
        assert health(http) == HEALTH
    assert "Authorization" not in server.heard[0].headers
