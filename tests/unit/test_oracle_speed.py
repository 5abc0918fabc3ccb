"""What a measurement makes of lines of any rate and latency; only the line moves the clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from nunet_dms.errors import OracleUnreachableError, RefusedError
from nunet_dms.oracle_speed import BUDGET_S, OVERRUN_S, Speed, measure
from nunet_dms.protocol.api import SPEED_MAX_BYTES, Taken

AWAY = OracleUnreachableError("cannot reach the Oracle: it does not answer in time")


class Line:
    """Stands for an OracleHttp over a line of this rate and latency, and for the clock."""

    base_url = "http://127.0.0.1:1"

    def __init__(self, down_kbps: float, up_kbps: float, latency_s: float = 0.0) -> None:
        self.down_kbps, self.up_kbps, self.latency_s = down_kbps, up_kbps, latency_s
        self.now_s = 1000.0
        self.sizes: list[int] = []
        self.open_s = 3 * latency_s

    def clock(self) -> float:
        return self.now_s

    @contextmanager
    def reading(
        self, path: str, *, limit: int, timeout_s: float, piece_bytes: int, public: bool
    ) -> Iterator[Iterator[bytes]]:
        assert (path, public) == (f"/v1/speed?bytes={limit}", True)
        self._ask(limit)
        yield self._pieces(limit, piece_bytes, timeout_s)

    def put(
        self, path: str, content: bytes, answer: type[Taken], *, timeout_s: float, public: bool
    ) -> Taken:
        assert (path, answer, public) == ("/v1/speed", Taken, True)
        self._ask(len(content))
        self._pass(len(content) * 8 / 1000 / self.up_kbps, timeout_s)
        return Taken(taken_bytes=len(content))

    def _ask(self, size: int) -> None:
        self.sizes.append(size)
        self.now_s += self.latency_s + self.open_s
        self.open_s = 0.0

    def _pieces(self, size: int, piece_bytes: int, timeout_s: float) -> Iterator[bytes]:
        while size:
            piece = bytes(min(size, piece_bytes))
            self._pass(len(piece) * 8 / 1000 / self.down_kbps, timeout_s)
            yield piece
            size -= len(piece)

    def _pass(self, seconds: float, timeout_s: float) -> None:
        self.now_s += min(seconds, timeout_s)
        if seconds > timeout_s:
            raise AWAY


def measured(line: Line, budget_s: float = BUDGET_S) -> Speed:
    return measure(line, monotonic_s=line.clock, budget_s=budget_s)  # type: ignore[arg-type]


@pytest.mark.parametrize("latency_s", [0.0001, 0.05, 0.15])
@pytest.mark.parametrize("kbps", [20, 300, 1000, 4000, 50_000, 1_000_000])
def test_a_line_is_told_as_fast_as_it_is_and_in_time(kbps: int, latency_s: float) -> None:
    line = Line(kbps, kbps / 2, latency_s)
    found = measured(line)
    assert found.down_kbps == pytest.approx(kbps, rel=0.1)
    assert found.up_kbps == pytest.approx(kbps / 2, rel=0.1)
    assert line.now_s - 1000 <= BUDGET_S
    assert max(line.sizes) <= SPEED_MAX_BYTES


@pytest.mark.parametrize("kbps", [20, 4000, 100_000])
def test_a_line_by_satellite_is_never_told_faster_than_it_is(kbps: int) -> None:
    line = Line(kbps, kbps, 0.6)
    found = measured(line)
    assert 0 < found.down_kbps <= kbps * 1.01
    assert 0 < found.up_kbps <= kbps * 1.01
    assert line.now_s - 1000 <= BUDGET_S + OVERRUN_S


def test_a_download_that_the_deadline_cuts_counts_with_what_has_come() -> None:
    line = Line(6, 1000)  # 4 KiB take 5.5 s, and there are 4
    assert measured(line).down_kbps == 6
    assert line.now_s - 1000 <= BUDGET_S


def test_a_fast_line_is_not_asked_for_more_than_it_needs() -> None:
    line = Line(1000, 1000)
    measured(line)
    assert sum(line.sizes) < 2 * 150_000  # about a second each way
    assert line.now_s - 1000 < 3


def test_an_upload_that_never_ends_is_an_oracle_that_cannot_be_reached() -> None:
    line = Line(1000, 1)
    with pytest.raises(OracleUnreachableError, match="does not answer in time"):
        measured(line)
    assert line.now_s - 1000 <= BUDGET_S + OVERRUN_S


def test_no_figure_is_ever_zero() -> None:
    assert measured(Line(0.4, 100), budget_s=60).down_kbps == 1


def test_a_refusal_comes_through() -> None:
    class Refusing(Line):
        def _ask(self, _size: int) -> None:
            raise RefusedError("not_found", "cannot answer: not found")

    with pytest.raises(RefusedError, match="not found"):
        measured(Refusing(1, 1))


def test_a_mistake_of_ours_is_not_hidden_in_the_thread() -> None:
    class Broken(Line):
        def _ask(self, _size: int) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        measured(Broken(1, 1))
