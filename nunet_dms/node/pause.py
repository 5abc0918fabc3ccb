"""The owner's word that no new jobs be taken: a small file that the worker looks at.

The commands write it and the worker reads it, so that it holds whether a worker runs or not, and
across restarts. It names an end, or none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from nunet_dms.statefile import read_state, write_state
from nunet_dms.wholefile import failing_to

LAST_SECOND_S = 253_402_300_799
"""The end of the year 9999, which no calendar goes beyond: a pause until then is without end."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Since when, until when (None: until resumed), and whether it is for leaving altogether."""

    since_s: int
    until_s: int | None = None
    offboarding: bool = False

    def holds(self, now_s: float) -> bool:
        """Say whether it is still in force."""
        return self.until_s is None or now_s < self.until_s


def write_pause(path: Path, pause: Pause) -> None:
    """Pause, or change the pause; raises NunetError where the file cannot be written."""
    write_state(path, pause)


def lift_pause(path: Path) -> bool:
    """Take jobs again; returns whether there was a pause.

    Raises NunetError where the file cannot be removed.
    """
    with failing_to("remove", path):
        try:
            path.unlink()
        except FileNotFoundError:
            return False
    return True


def read_pause(path: Path, now_s: float) -> Pause | None:
    """Return the pause that is in force, or None; raises OSError where the file cannot be read.

    One that was read and makes no sense pauses without end: the owner meant something by it.
    """
    try:
        pause = read_state(path, Pause)
    except ValueError:
        return Pause(since_s=0)
    if pause is None or not pause.holds(now_s):
        return None
    is_endless = pause.until_s is not None and pause.until_s > LAST_SECOND_S
    return replace(pause, until_s=None) if is_endless else pause
