"""Times as people here read them."""

from __future__ import annotations

from datetime import datetime, timezone


def clock_time(unix_s: float) -> str:
    """Return a time in this machine's zone, with its offset from UTC."""
    at = datetime.fromtimestamp(unix_s, tz=timezone.utc).astimezone()
    return at.strftime("%Y-%m-%d %H:%M:%S %z")
