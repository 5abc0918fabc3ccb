"""How fast the line to the Oracle was when it was last measured, kept between commands."""

from __future__ import annotations

from pathlib import Path

from nunet_dms.machine.network import SpeedFacts
from nunet_dms.statefile import read_state, write_state


def write_speed(path: Path, speed: SpeedFacts) -> None:
    """Keep a measurement; raises NunetError where the file cannot be written."""
    write_state(path, speed)


def read_speed(path: Path) -> SpeedFacts | None:
    """Return the last measurement; None if there is none that can be understood."""
    try:
        return read_state(path, SpeedFacts)
    except (OSError, ValueError):
        return None
