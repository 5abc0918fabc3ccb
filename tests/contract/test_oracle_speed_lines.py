"""Measuring lines that are slow, stalled or cut, over real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest
from test_oracle_http import Heard, Script, sends, serving

from nunet_dms import oracle_speed
from nunet_dms.errors import OracleUnreachableError
from nunet_dms.oracle_http import OracleHttp
from nunet_dms.oracle_speed import measure
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import Taken

TICK_S = 0.01


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set when the test is over, so that no server waits any longer."""
    event = threading.Event()
    yield event
    event.set()


def slow(kbps: float, over: threading.Event) -> Script:
    """Let bytes pass at that rate only, each way."""

    def script(handler: BaseHTTPRequestHandler, heard: Heard) -> None:
        if heard.method == "PUT":
            over.wait(len(heard.body) * 8 / 1000 / kbps)
            sends(strict.encode(Taken(taken_bytes=len(heard.body))))(handler, heard)
            return
        left = int(heard.path.partition("=")[2])
        handler.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        handler.send_response(200)
        handler.send_header("Content-Length", str(left))
        handler.end_headers()
        began_s, sent = time.monotonic(), 0
        while left and not over.is_set():
            piece = min(left, int(kbps * 1000 / 8 * TICK_S))
            sent, left = sent + piece, left - piece
            over.wait(began_s + sent * 8 / 1000 / kbps - time.monotonic())
            handler.wfile.write(bytes(piece))

    return script


def trickling(over: threading.Event) -> Script:
    """Send one byte after the other: no read ever takes long, and there is no end."""

    def script(handler: BaseHTTPRequestHandler, _heard: Heard) -> None:
        while not over.wait(0.02):
            handler.wfile.write(b"H")
        handler.close_connection = True

    return script


@pytest.mark.parametrize(("kbps", "budget_s"), [(1000, 8.0), (300, 2.0)])
def test_a_slow_line_is_told_within_a_third_and_in_time(
    kbps: int, budget_s: float, over: threading.Event
) -> None:
    began_s = time.monotonic()
    with serving(slow(kbps, over)) as server, OracleHttp(server.url) as http:
        found = measure(http, budget_s=budget_s)
    assert time.monotonic() - began_s < budget_s + oracle_speed.OVERRUN_S
    assert found.down_kbps == pytest.approx(kbps, rel=0.3)
    assert found.up_kbps == pytest.approx(kbps, rel=0.3)


def test_a_line_on_which_nothing_comes_is_given_up_in_time(over: threading.Event) -> None:
    began_s = time.monotonic()
    with serving(lambda _handler, _heard: over.wait(20) and None) as server:
        with OracleHttp(server.url) as http:
            with pytest.raises(OracleUnreachableError, match="in time"):
                measure(http, budget_s=0.4)
            assert time.monotonic() - began_s < 0.4 + oracle_speed.OVERRUN_S
        over.set()


def test_an_answer_that_trickles_in_is_given_up_in_time(
    over: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oracle_speed, "OVERRUN_S", 0.2)
    before = set(threading.enumerate())
    with serving(trickling(over)) as server, OracleHttp(server.url) as http:
        began_s = time.monotonic()
        with pytest.raises(OracleUnreachableError, match="cannot measure the line"):
            measure(http, budget_s=0.4)
        assert time.monotonic() - began_s < 2
        over.set()
        for thread in set(threading.enumerate()) - before:
            if thread.name == "speed-test":
                thread.join(10)
                assert not thread.is_alive()


def test_an_oracle_that_is_not_there_is_told_as_by_any_call() -> None:
    with (
        OracleHttp("http://127.0.0.1:1") as http,
        pytest.raises(OracleUnreachableError, match="nothing listens there"),
    ):
        measure(http)
