"""The speed test of a real Oracle: who gets how many bytes, and what it refuses."""

from __future__ import annotations

import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest
import requests
from oracle_world import World, refused

from nunet_dms.errors import OracleUnreachableError
from nunet_dms.oracle import speed
from nunet_dms.oracle_http import OracleHttp
from nunet_dms.oracle_speed import measure
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import SPEED_MAX_BYTES, ErrorBody, Taken

TIMEOUT_S = 20


@pytest.fixture
def stranger(world: World) -> OracleHttp:
    """Somebody without a session."""
    return world.client(None)


def download(http: OracleHttp, size: int) -> bytes:
    with http.reading(f"/v1/speed?bytes={size}", limit=size) as pieces:
        return b"".join(pieces)


def upload(http: OracleHttp, content: bytes) -> int:
    return http.put("/v1/speed", content, Taken).taken_bytes


def slow_reader(world: World, address: str) -> socket.socket:
    """Ask for more than fits into any buffer, from this address, and read only how it begins."""
    server = (urlsplit(world.url).hostname, urlsplit(world.url).port)
    line = socket.create_connection(server, source_address=(address, 0))
    line.sendall(f"GET /v1/speed?bytes={SPEED_MAX_BYTES} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert line.recv(12) == b"HTTP/1.1 200"
    return line


@contextmanager
def taken(world: World, places: int) -> Iterator[None]:
    """Hold so many places of the Oracle, each by a transfer from an address of its own."""
    with ExitStack() as stack:
        for number in range(places):
            stack.enter_context(slow_reader(world, f"127.0.0.{number + 2}"))
        yield


def is_free(world: World) -> bool:
    """Whether every place is free."""
    return world.oracle.speed_places.free == speed.AT_ONCE_MAX


def wait_until_free(world: World) -> None:
    step = threading.Event()
    for _ in range(1000):
        if is_free(world):
            return
        step.wait(0.01)
    raise AssertionError("a place is still held")


def test_a_line_is_measured_without_a_session(world: World, stranger: OracleHttp) -> None:
    found = measure(stranger, budget_s=2)
    assert found.down_kbps > 1000
    assert found.up_kbps > 1000
    wait_until_free(world)


@pytest.mark.parametrize("size", [1, 65_537, 1_000_000])
def test_as_many_bytes_come_as_were_asked_for_and_cannot_be_compressed(
    stranger: OracleHttp, size: int
) -> None:
    found = download(stranger, size)
    assert len(found) == size
    assert len(zlib.compress(found)) >= size


@pytest.mark.parametrize("size", [0, 1, 1_000_000, SPEED_MAX_BYTES])
def test_an_upload_is_told_by_its_size_and_leaves_nothing(
    world: World, stranger: OracleHttp, size: int
) -> None:
    rows = world.rows()
    assert upload(stranger, bytes(size)) == size
    assert (world.rows(), world.blob_files()) == (rows, [])


@pytest.mark.parametrize("size", ["0", "-1", str(SPEED_MAX_BYTES + 1), "many", ""])
def test_a_download_out_of_bounds_is_refused(world: World, stranger: OracleHttp, size: str) -> None:
    with (
        refused(world, "malformed"),
        stranger.reading(f"/v1/speed?bytes={size}", limit=SPEED_MAX_BYTES),
    ):
        pass


def test_an_upload_over_the_bound_is_refused(world: World, stranger: OracleHttp) -> None:
    with refused(world, "too_large"):
        upload(stranger, bytes(SPEED_MAX_BYTES + 1))
    wait_until_free(world)


def test_beyond_a_few_at_once_the_oracle_is_busy_and_only_for_now(
    world: World, stranger: OracleHttp
) -> None:
    with taken(world, speed.AT_ONCE_MAX - 1):
        assert len(download(stranger, 5)) == 5
        assert upload(stranger, b"12345") == 5
    wait_until_free(world)
    with taken(world, speed.AT_ONCE_MAX):
        for method in ("GET", "PUT"):
            answer = requests.request(method, f"{world.url}/v1/speed?bytes=5", timeout=TIMEOUT_S)
            code = strict.decode(ErrorBody, answer.content).code
            assert (answer.status_code, code) == (429, "busy")
        with pytest.raises(OracleUnreachableError, match="try again later"):
            measure(stranger)
    wait_until_free(world)
    assert len(download(stranger, 5)) == 5


def test_one_address_holds_one_place_and_the_others_stay_free(
    world: World, stranger: OracleHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "TURN_WAIT_S", 0.1)
    with slow_reader(world, "127.0.0.1"):
        for _ in range(speed.AT_ONCE_MAX):
            with pytest.raises(OracleUnreachableError, match="from your address is under way"):
                measure(stranger)
        with slow_reader(world, "127.0.0.2"):
            assert world.oracle.speed_places.free == speed.AT_ONCE_MAX - 2
    wait_until_free(world)


def test_who_hangs_up_may_come_again_at_once(world: World, stranger: OracleHttp) -> None:
    for _ in range(20):
        slow_reader(world, "127.0.0.1").close()
        assert upload(stranger, b"12345") == 5


def test_who_reads_nothing_gives_its_place_back_in_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "TRANSFER_MAX_S", 0.2)
    with slow_reader(world, "127.0.0.1"):
        assert not is_free(world)
        wait_until_free(world)


def test_who_sends_nothing_is_told_that_it_takes_too_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "TRANSFER_MAX_S", 0.2)
    with socket.create_connection((urlsplit(world.url).hostname, urlsplit(world.url).port)) as line:
        line.sendall(b"PUT /v1/speed HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n12345")
        assert line.recv(12) == b"HTTP/1.1 408"
    wait_until_free(world)


def test_who_hangs_up_gives_its_place_back(world: World, stranger: OracleHttp) -> None:
    path = f"/v1/speed?bytes={SPEED_MAX_BYTES}"
    with stranger.reading(path, limit=SPEED_MAX_BYTES, piece_bytes=1024) as pieces:
        assert len(next(pieces)) == 1024
    wait_until_free(world)
    assert len(download(stranger, 5)) == 5
