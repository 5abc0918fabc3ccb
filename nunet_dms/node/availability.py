"""Whether new jobs are wanted just now: the owner's pause, hours, battery, own use; room on disk.

What is in hand goes on in every case. The first hold that applies is the one that is told.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from nunet_dms import schedule
from nunet_dms.config import AvailabilityConfig
from nunet_dms.machine.load import CpuTime, others_percent
from nunet_dms.node.pause import Pause, read_pause
from nunet_dms.node.rows import HoldCode

log = logging.getLogger(__name__)

SAMPLE_EVERY_S = 15.0
"""Between two looks at battery, CPU and disk."""
BUSY_SAMPLES = 2
"""Above the threshold in a row, before the owner is taken to be using the machine."""
CALM_SAMPLES = 8
"""At or below it in a row (two minutes), before jobs are taken again: no flapping."""
DISK_FLOOR_MB = 1024
"""Free where jobs live; below it a job's own limit could not be kept."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why no new jobs are wanted, as a code and in words."""

    code: HoldCode
    note: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the machine is doing; None could not be found out."""

    on_battery: bool | None
    cpu_time: CpuTime | None
    disk_free_mb: int | None


@dataclass(slots=True)
class OwnersUse:
    """Whether the owner uses the machine, with hysteresis: quick to notice, slow to forget."""

    threshold_percent: int
    is_busy: bool = False
    _streak: int = 0

    def take(self, percent: int) -> None:
        """Take one sample: the share of the CPU that other programs used since the last."""
        if (percent > self.threshold_percent) is self.is_busy:
            self._streak = 0
            return
        self._streak += 1
        if self._streak >= (CALM_SAMPLES if self.is_busy else BUSY_SAMPLES):
            self.is_busy, self._streak = not self.is_busy, 0


class Availability:
    """Asked at every step, which costs a look at the pause file; told now and then what is seen."""

    def __init__(self, settings: AvailabilityConfig, pause_file: Path) -> None:
        self._settings = settings
        self._hours = schedule.parse(settings.hours)
        self._pause_file = pause_file
        self._pause: Pause | None = None
        self._use = OwnersUse(settings.pause_above_percent)
        self._percent = 0
        self._seen = Surroundings(None, None, None)
        self._used: tuple[CpuTime, float] | None = None

    def saw(self, seen: Surroundings, jobs_cpu_s: float) -> None:
        """Take what the machine does now, and the CPU seconds that all jobs have used so far."""
        self._seen = seen
        if not self._settings.pause_above_percent or seen.cpu_time is None:
            return
        before, self._used = self._used, (seen.cpu_time, jobs_cpu_s)
        if before is not None:
            by_jobs_s = max(0.0, jobs_cpu_s - before[1])
            self._percent = others_percent(before[0], seen.cpu_time, by_jobs_s)
            self._use.take(self._percent)

    def hold(self, wall_s: float) -> Hold | None:
        """Return why no new jobs are wanted, or None when they are."""
        try:
            self._pause = read_pause(self._pause_file, wall_s)
        except OSError as error:  # no word of the owner's: what held before holds on
            log.warning("pause_unreadable: %s", error)
        if self._pause is not None and self._pause.holds(wall_s):
            return _paused(self._pause)
        local = local_time(wall_s)
        if not self._hours.is_open(local):
            opens = self._hours.next_change(local)
            until = "" if opens is None else f" until {opens:%a %H:%M}"
            return Hold(HoldCode.OFF_HOURS, f"outside the hours of [availability] hours{until}")
        return self._machine_hold()

    def _machine_hold(self) -> Hold | None:
        seen, settings = self._seen, self._settings
        if seen.on_battery and not settings.on_battery:
            return Hold(HoldCode.ON_BATTERY, "on battery, and [availability] on_battery is false")
        if self._use.is_busy:
            return Hold(HoldCode.OWNER_BUSY, self._busy_words(settings.pause_above_percent))
        if seen.disk_free_mb is not None and seen.disk_free_mb < DISK_FLOOR_MB:
            return Hold(
                HoldCode.DISK_LOW,
                f"{seen.disk_free_mb} MB of disk are free, {DISK_FLOOR_MB} MB are needed",
            )
        return None

    def _busy_words(self, most_percent: int) -> str:
        """Say what triggered the hold, or that it is about to end."""
        if self._percent > most_percent:
            return (
                f"other programs use {self._percent} % of the CPU, jobs are taken up to"
                f" {most_percent} % ([availability] pause_above_percent)"
            )
        calm_s = int(CALM_SAMPLES * SAMPLE_EVERY_S)
        return (
            f"other programs used more than {most_percent} % of the CPU, now it is"
            f" {self._percent} %; jobs are taken again after {calm_s} s of that"
        )


def local_time(wall_s: float) -> datetime:
    """Return Unix seconds as the time on this machine's clock face."""
    return datetime.fromtimestamp(wall_s, tz=timezone.utc).astimezone()


def _paused(pause: Pause) -> Hold:
    until = "" if pause.until_s is None else f" until {local_time(pause.until_s):%a %H:%M}"
    if pause.offboarding:
        return Hold(HoldCode.OFFBOARDING, "this machine is being offboarded")
    return Hold(HoldCode.PAUSED, f"paused by its owner{until}; to go on: nunet resume")
