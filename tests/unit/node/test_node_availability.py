"""Whether new jobs are wanted: the owner's word, the hours, the battery, own use, the disk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nunet_dms.config import AvailabilityConfig
from nunet_dms.machine.load import CpuTime
from nunet_dms.node.availability import (
    BUSY_SAMPLES,
    CALM_SAMPLES,
    DISK_FLOOR_MB,
    SAMPLE_EVERY_S,
    Availability,
    OwnersUse,
    Surroundings,
)
from nunet_dms.node.pause import Pause, write_pause
from nunet_dms.node.rows import HoldCode

MONDAY_NOON_S = 1_799_668_800  # 2027-01-11, a Monday, in UTC
WELL = Surroundings(on_battery=False, cpu_time=None, disk_free_mb=50_000)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's clock face shows UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@dataclass
class Machine:
    """A machine that tests change, and a clock that only they move."""

    folder: Path
    seen: Surroundings = WELL
    jobs_cpu_s: float = 0.0
    now_s: float = 0.0
    used_s: float = 0.0

    def availability(self, **settings: object) -> Availability:
        config = replace(AvailabilityConfig(), **settings)  # type: ignore[arg-type]
        asked = Availability(config, self.pause_file)
        asked.saw(self.seen, self.jobs_cpu_s)
        return asked

    @property
    def pause_file(self) -> Path:
        return self.folder / "pause.json"

    def code(self, asked: Availability) -> HoldCode | None:
        hold = asked.hold(MONDAY_NOON_S + self.now_s)
        return hold and hold.code

    def run(self, asked: Availability, *, busy: float, jobs: float = 0.0) -> HoldCode | None:
        """Let one sample's time pass on one core, of which programs and jobs use a share."""
        self.now_s += SAMPLE_EVERY_S
        self.used_s += busy * SAMPLE_EVERY_S
        self.jobs_cpu_s += jobs * SAMPLE_EVERY_S
        cpu_time = CpuTime(busy_s=self.used_s + self.jobs_cpu_s, total_s=self.now_s)
        asked.saw(replace(self.seen, cpu_time=cpu_time), self.jobs_cpu_s)
        return self.code(asked)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_machine_that_nobody_holds_back_is_available(machine: Machine) -> None:
    assert machine.code(machine.availability()) is None


def test_a_pause_holds_until_its_end_and_names_it(machine: Machine) -> None:
    asked = machine.availability()
    write_pause(machine.pause_file, Pause(0, until_s=MONDAY_NOON_S + 7200))
    hold = asked.hold(MONDAY_NOON_S)
    assert hold is not None
    assert hold.code is HoldCode.PAUSED
    assert hold.note == "paused by its owner until Mon 14:00; to go on: nunet resume"
    assert asked.hold(MONDAY_NOON_S + 7200) is None


def test_offboarding_goes_before_everything_else(machine: Machine) -> None:
    write_pause(machine.pause_file, Pause(0, offboarding=True))
    machine.seen = replace(WELL, on_battery=True)
    assert machine.code(machine.availability(hours="never")) is HoldCode.OFFBOARDING


def test_outside_the_hours_no_jobs_are_taken_and_the_next_opening_is_told(
    machine: Machine,
) -> None:
    hold = machine.availability(hours="mon-fri 18:00-08:00").hold(MONDAY_NOON_S)
    assert hold is not None
    assert hold.code is HoldCode.OFF_HOURS
    assert hold.note == "outside the hours of [availability] hours until Mon 18:00"


def test_a_machine_that_never_opens_names_no_time(machine: Machine) -> None:
    hold = machine.availability(hours="never").hold(MONDAY_NOON_S)
    assert hold is not None
    assert hold.note == "outside the hours of [availability] hours"


@pytest.mark.parametrize(
    ("on_battery", "allowed", "code"),
    [(True, False, HoldCode.ON_BATTERY), (True, True, None), (False, False, None),
     (None, False, None)],
)  # fmt: skip
def test_on_battery_only_where_its_owner_says_so(
    machine: Machine, on_battery: bool | None, allowed: bool, code: HoldCode | None
) -> None:
    machine.seen = replace(WELL, on_battery=on_battery)
    assert machine.code(machine.availability(on_battery=allowed)) is code


@pytest.mark.parametrize(
    ("free_mb", "code"),
    [(DISK_FLOOR_MB - 1, HoldCode.DISK_LOW), (DISK_FLOOR_MB, None), (None, None)],
)
def test_a_disk_that_is_nearly_full_takes_no_more(
    machine: Machine, free_mb: int | None, code: HoldCode | None
) -> None:
    machine.seen = replace(WELL, disk_free_mb=free_mb)
    assert machine.code(machine.availability()) is code


def test_the_owner_s_own_use_holds_and_is_let_go_only_after_a_while(machine: Machine) -> None:
    asked = machine.availability(pause_above_percent=50)
    machine.run(asked, busy=0.0)
    for _ in range(BUSY_SAMPLES - 1):
        assert machine.run(asked, busy=0.9) is None
    assert machine.run(asked, busy=0.9) is HoldCode.OWNER_BUSY
    for _ in range(CALM_SAMPLES - 1):
        assert machine.run(asked, busy=0.1) is HoldCode.OWNER_BUSY
    assert machine.run(asked, busy=0.1) is None


def test_what_our_jobs_use_is_not_the_owner_s(machine: Machine) -> None:
    asked = machine.availability(pause_above_percent=50)
    for _ in range(2 * BUSY_SAMPLES + 1):
        assert machine.run(asked, busy=0.05, jobs=0.9) is None


def test_the_hold_shows_the_figure_that_triggered_it(machine: Machine) -> None:
    asked = machine.availability(pause_above_percent=50)
    for _ in range(BUSY_SAMPLES + 1):
        machine.run(asked, busy=0.8)
    hold = asked.hold(MONDAY_NOON_S + machine.now_s)
    assert hold is not None
    assert hold.note.startswith("other programs use 80 % of the CPU, jobs are taken up to 50 %")
    machine.run(asked, busy=0.02)
    calming = asked.hold(MONDAY_NOON_S + machine.now_s)
    assert calming is not None
    assert calming.note == (
        "other programs used more than 50 % of the CPU, now it is 2 %;"
        " jobs are taken again after 120 s of that"
    )


def test_without_a_threshold_the_owner_s_use_does_not_matter(machine: Machine) -> None:
    asked = machine.availability()
    for _ in range(2 * BUSY_SAMPLES):
        assert machine.run(asked, busy=1.0) is None


def test_one_calm_moment_does_not_count_towards_the_end(machine: Machine) -> None:
    use = OwnersUse(50)
    for percent in (90, 90, 10, 10, 90):
        use.take(percent)
    assert use.is_busy
    for _ in range(CALM_SAMPLES - 1):
        use.take(10)
    assert use.is_busy
    use.take(10)
    assert not use.is_busy


def test_the_pause_is_looked_at_each_time(machine: Machine) -> None:
    asked = machine.availability()
    assert machine.code(asked) is None
    write_pause(machine.pause_file, Pause(0))
    assert machine.code(asked) is HoldCode.PAUSED


def test_a_pause_beyond_the_calendar_is_one_without_an_end(machine: Machine) -> None:
    write_pause(machine.pause_file, Pause(0, until_s=2**52))
    hold = machine.availability().hold(MONDAY_NOON_S)
    assert hold is not None
    assert hold.note == "paused by its owner; to go on: nunet resume"


def test_a_pause_file_that_cannot_be_read_just_now_changes_nothing(machine: Machine) -> None:
    """As when no file can be opened any more: nobody paused, and nobody resumed."""
    asked = machine.availability()
    machine.pause_file.mkdir()
    assert machine.code(asked) is None
    machine.pause_file.rmdir()
    write_pause(machine.pause_file, Pause(0))
    assert machine.code(asked) is HoldCode.PAUSED
    machine.pause_file.unlink()
    machine.pause_file.mkdir()
    assert machine.code(asked) is HoldCode.PAUSED
