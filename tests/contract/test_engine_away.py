"""Docker engines that are away, hang or talk nonsense, behind real Unix sockets."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import socket
import socketserver
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nunet_dms.errors import EngineUnreachableError
from nunet_dms.machine.engine import read_engine
from nunet_dms.node.engine.docker import DockerEngine
from nunet_dms.node.proof import prove_engine

NOBODY = 65534
VERSION = json.dumps({"Version": "28.2.2", "ApiVersion": "1.50", "MinAPIVersion": "1.24"}).encode()
Engine = Callable[[dict[str, bytes]], Path]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """docker-py drops its socket when it is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where DOCKER_HOST says that the daemon listens."""
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    return path


@pytest.fixture
def engine(address: Path) -> Iterator[Engine]:
    """Return a maker of daemons that answer by path, and never where no answer is given."""
    stop = threading.Event()

    def make(answers: dict[str, bytes]) -> Path:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while line := self.rfile.readline():
                    path = line.split()[1].decode()
                    while self.rfile.readline().strip():
                        pass
                    body = next((answers[end] for end in answers if path.endswith(end)), None)
                    if body is None:
                        stop.wait(60)
                        return
                    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
                    self.wfile.write(head.encode() + body)

        server = socketserver.ThreadingUnixStreamServer(str(address), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return address

    servers: list[socketserver.ThreadingUnixStreamServer] = []
    yield make
    stop.set()
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_engine_that_answers_is_read(engine: Engine) -> None:
    engine({"/version": VERSION, "/info": b'{"ServerVersion": "28.2.2", "Driver": "vfs"}'})
    facts = read_engine()
    assert (facts.answers, facts.problem, facts.version, facts.api_version) == (
        True, "", "28.2.2", "1.50",
    )  # fmt: skip
    assert facts.storage_driver == "vfs"


def test_no_daemon_is_a_fact_with_its_cure(address: Path) -> None:
    facts = read_engine()
    assert not facts.answers
    assert "nothing listens" in facts.problem or "not installed" in facts.problem


def test_a_socket_that_a_killed_daemon_left_is_a_fact(address: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(address))
    facts = read_engine()
    assert not facts.answers
    assert "nothing listens" in facts.problem or "not installed" in facts.problem


@pytest.mark.parametrize("answers", [{}, {"/version": VERSION}], ids=["at once", "at its facts"])
def test_a_daemon_that_hangs_is_given_up_in_time(engine: Engine, answers: dict[str, bytes]) -> None:
    engine(answers)
    began = time.monotonic()
    facts = read_engine(timeout_s=1)
    assert time.monotonic() - began < 10
    assert not facts.answers
    assert "no answer" in facts.problem
    assert "within 1 s" in facts.problem


def test_a_socket_that_we_may_not_use_names_the_group(engine: Engine) -> None:
    engine({"/version": VERSION}).chmod(0)
    with nobody():
        facts = read_engine()
    assert not facts.answers
    assert "usermod -aG docker" in facts.cure


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Be a user without rights for a while; root may use every socket."""
    us = os.geteuid()
    if us == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(us)


@pytest.mark.parametrize(
    "answers",
    [
        {"/version": b"<html>"},
        {"/version": b"[]"},
        {"/version": b'"1.41"'},
        {"/version": b"{}"},
        {"/version": b'{"ApiVersion": 1.41}'},
        {"/version": b'{"ApiVersion": "old"}'},
        {"/version": b'{"ApiVersion": "0.1"}'},
        {"/version": VERSION, "/info": b"null"},
        {"/version": VERSION, "/info": b"\xff\xfe"},
        {"/version": VERSION, "/info": b'{"ServerVersion": 7}'},
    ],
    ids=lambda answers: str(list(answers.values())[-1]),
)
def test_a_daemon_that_talks_nonsense_is_a_fact(engine: Engine, answers: dict[str, bytes]) -> None:
    engine(answers)
    facts = read_engine()
    assert not facts.answers
    assert "docker info" in facts.cure


@pytest.mark.parametrize("host", ["ftp://x", "tcp://127.0.0.1:1", "tcp://:x", "ssh://"])
def test_an_address_that_leads_nowhere_is_a_fact(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    facts = read_engine(timeout_s=1)
    assert not facts.answers
    assert facts.problem.startswith("cannot reach Docker")


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"Id": 7', b'{"State": 1}', b"<a>"])
def test_half_an_answer_is_silence_and_never_a_fact(engine: Engine, body: bytes) -> None:
    engine({"/version": VERSION, "/json": body, "/wait": b"{}"})
    with contextlib.closing(DockerEngine()) as docker_engine:
        with pytest.raises(EngineUnreachableError):
            docker_engine.facts("x")
        with pytest.raises(EngineUnreachableError):
            docker_engine.wait("x", 1)


def test_an_answer_that_breaks_off_is_silence(address: Path) -> None:
    """The connection is closed in the middle of a body."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(address))
        server.listen(10)

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        asked = connection.recv(65_536)
                        body = VERSION if b"/version" in asked else b'{"State": {"Status"'
                        length = len(body) + (0 if b"/version" in asked else 1000)
                        head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n"
                        connection.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)

        threading.Thread(target=answer, daemon=True).start()
        with contextlib.closing(DockerEngine()) as docker_engine:
            calls: tuple[Callable[[], object], ...] = (
                lambda: docker_engine.facts("x"), lambda: docker_engine.owned("x"),
                lambda: docker_engine.history("x"), docker_engine.keeps_running,
                lambda: docker_engine.find_image("x@sha256:0"), lambda: docker_engine.usage("x"),
            )  # fmt: skip
            for call in calls:
                with pytest.raises(EngineUnreachableError):
                    call()
        server.shutdown(socket.SHUT_RDWR)


def test_an_engine_that_is_away_cannot_be_proved(address: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachableError, match="cannot reach Docker"):
        prove_engine(tmp_path / "jobs")
    assert not (tmp_path / "jobs").exists()
