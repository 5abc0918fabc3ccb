"""How long an Oracle that does not answer is asked again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from nunet_dms.errors import OracleUnreachableError

T = TypeVar("T")

RETRY_FIRST_S = 0.5
RETRY_MOST_S = 15.0


def patiently(
    action: Callable[[], T],
    patience_s: float,
    clock: Callable[[], float],
    wait: Callable[[float], object],
) -> T:
    """Try until the Oracle answers: pauses double from RETRY_FIRST_S to RETRY_MOST_S."""
    gives_up, pause = clock() + patience_s, RETRY_FIRST_S
    while True:
        try:
            return action()
        except OracleUnreachableError:
            if clock() + pause > gives_up:
                raise
        wait(pause)
        pause = min(2 * pause, RETRY_MOST_S)
