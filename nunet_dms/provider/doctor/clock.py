"""Whether something keeps this machine's clock right, as the kernel knows it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

SYNCHRONISED_BELOW_US = 16_000_000
"""Largest error of a clock that is kept right. The kernel raises its estimate as long as nothing
sets the clock, up to this (NTP_PHASE_LIMIT); systemd's `timedatectl` goes by the same figure."""


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """Whether the clock is kept right; None where the kernel does not tell, as in a container."""

    is_synchronised: bool | None


class _Timex(ctypes.Structure):
    """The head of struct timex (adjtimex(2)), and room for the rest of it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_byte * 512),
    )


def largest_error_us() -> int | None:
    """Ask adjtimex(2), changing nothing, by how much the clock may be wrong; microseconds.

    None where the call is not to be had or not allowed. Whoever keeps the clock right (chrony,
    ntpd, systemd-timesyncd) tells the kernel, so that none of them need be known here.
    """
    call = getattr(ctypes.CDLL(None), "adjtimex", None)
    answer = _Timex()
    if call is None or call(ctypes.byref(answer)) < 0:
        return None
    return int(answer.maxerror)


def read_clock(ask: Callable[[], int | None] = largest_error_us) -> ClockFacts:
    """Return whether the clock is kept right; raises nothing."""
    error_us = ask()
    return ClockFacts(None if error_us is None else error_us < SYNCHRONISED_BELOW_US)
