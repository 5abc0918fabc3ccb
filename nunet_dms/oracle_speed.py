"""How fast the line to the Oracle is, measured against its own speed test.

A few bytes open the connection and tell the latency. Then come transfers, down and up, each larger
than the one before, until one takes long enough to be trusted. Lines by satellite are told slower
than they are: TCP takes many round trips to find out what a line can bear, and has no time for it.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotDoneError
from dataclasses import dataclass

from nunet_dms.errors import OracleUnreachableError
from nunet_dms.oracle_http import OracleHttp
from nunet_dms.protocol.api import SPEED_MAX_BYTES, Taken

BUDGET_S = 8.0
"""Of a whole measurement."""
OVERRUN_S = 1.5
"""What a transfer under way may take beyond it; with the budget less than the 10 s promised."""
FIRST_BYTES = 4 * 1024
"""Of the first transfer: 3 s at 10 kbit/s, slower than any line that could serve."""
TRUSTED_S = 0.5
"""A transfer that takes that long is not a matter of buffers and chance any more."""
GROWTH_MAX = 8
"""From one transfer to the next."""
PIECE_MIN_BYTES = 1024
PIECE_MAX_BYTES = 64 * 1024
PIECES = 16
"""A download is counted in about so many pieces, so that one cut at the deadline counts."""
LATENCY_SHARE_MAX = 0.75
"""Of the time of a transfer: a latency that was measured too long must not explain all of it."""
TIMEOUT_MIN_S = 0.1
CLOCK_STEP_S = 1e-6
"""No transfer counts as shorter."""

PATH = "/v1/speed"


@dataclass(frozen=True, slots=True)
class Speed:
    """What the line carries, in kbit/s (1000 bits each second); never 0."""

    down_kbps: int
    up_kbps: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """So many bytes in so many seconds."""

    size: int
    seconds: float


def measure(
    http: OracleHttp,
    *,
    monotonic_s: Callable[[], float] = time.monotonic,
    budget_s: float = BUDGET_S,
) -> Speed:
    """Return how fast the line is; takes `budget_s` and OVERRUN_S at most, whatever the line does.

    Raises OracleUnreachableError (also for a busy Oracle: it may work later) and RefusedError.
    """
    # In a thread, since no timeout holds for all: names, connections, answers that trickle in.
    outcome: Future[Speed] = Future()

    def work() -> None:
        try:
            outcome.set_result(_speed(http, monotonic_s, budget_s))
        except BaseException as error:  # noqa: BLE001 - the caller raises it, in `result`
            outcome.set_exception(error)

    threading.Thread(target=work, name="speed-test", daemon=True).start()
    try:
        return outcome.result(budget_s + OVERRUN_S)
    except NotDoneError:
        raise OracleUnreachableError(
            f"cannot measure the line to the Oracle at {http.base_url}: it does not answer in time",
            hint="check that the Oracle can be reached, then try again",
        ) from None


def _speed(http: OracleHttp, monotonic_s: Callable[[], float], budget_s: float) -> Speed:
    ends_s = monotonic_s() + budget_s
    line = _Line(http, monotonic_s, ends_s)
    line.download(1)  # opens the connection
    latency_s = line.download(1).seconds
    half = _Line(http, monotonic_s, (monotonic_s() + ends_s) / 2)
    return Speed(half.kbps(half.download, latency_s), line.kbps(line.upload, latency_s))


@dataclass(frozen=True, slots=True)
class _Line:
    """Transfers until `ends_s` of the clock."""

    http: OracleHttp
    monotonic_s: Callable[[], float]
    ends_s: float

    def kbps(self, transfer: Callable[[int], Transfer], latency_s: float) -> int:
        """Return the rate of the last of a row of growing transfers."""
        size = FIRST_BYTES
        while True:
            done = transfer(size)
            latency_s = min(latency_s, done.seconds)
            net_s = done.seconds - min(latency_s, done.seconds * LATENCY_SHARE_MAX)
            net_s = max(net_s, CLOCK_STEP_S)
            room_s = self._left_s() / 2 - latency_s  # half: the next may go slower than this one
            growth = int(min(GROWTH_MAX, 2 * TRUSTED_S / net_s, room_s / net_s))
            if growth < 2 or size == SPEED_MAX_BYTES or net_s >= TRUSTED_S:
                return max(1, round(done.size * 8 / 1000 / net_s))
            size = min(SPEED_MAX_BYTES, size * growth)

    def download(self, size: int) -> Transfer:
        """Download; what has come by the end of the time counts."""
        began_s, came = self.monotonic_s(), 0
        piece_bytes = min(PIECE_MAX_BYTES, max(PIECE_MIN_BYTES, size // PIECES))
        try:
            with self.http.reading(
                f"{PATH}?bytes={size}",
                limit=size,
                timeout_s=self._timeout_s(),
                piece_bytes=piece_bytes,
                public=True,
            ) as pieces:
                for piece in pieces:
                    came += len(piece)
                    if self._left_s() <= 0:
                        break
        except OracleUnreachableError:
            if not came or self._left_s() > 0:
                raise
        return Transfer(came, self.monotonic_s() - began_s)

    def upload(self, size: int) -> Transfer:
        """Upload; what the Oracle says that came counts."""
        content = secrets.token_bytes(size)
        began_s = self.monotonic_s()
        timeout_s = self._timeout_s()
        taken = self.http.put(PATH, content, Taken, timeout_s=timeout_s, public=True).taken_bytes
        return Transfer(taken, self.monotonic_s() - began_s)

    def _left_s(self) -> float:
        return self.ends_s - self.monotonic_s()

    def _timeout_s(self) -> float:
        return max(TIMEOUT_MIN_S, self._left_s())
