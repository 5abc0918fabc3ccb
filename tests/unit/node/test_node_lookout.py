"""The worker's eye on its machine: what it may sell, what changed, when the Oracle must hear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nunet_dms.config import AvailabilityConfig, CapacityConfig
from nunet_dms.machine.fingerprint import Fingerprint, on_the_wire
from nunet_dms.machine.memory import MemoryFacts
from nunet_dms.node.availability import SAMPLE_EVERY_S, Availability, Surroundings
from nunet_dms.node.clock import Clock
from nunet_dms.node.journal import Journal
from nunet_dms.node.lookout import LOOK_EVERY_S, PATIENCE_S, Lookout, Looks
from nunet_dms.node.pause import Pause, write_pause
from nunet_dms.node.rows import Capacity, HoldCode, MachineRow
from nunet_dms.protocol import strict
from tests.unit.machine_world import fingerprint

OFFERED = CapacityConfig(cpu_mhz=4000, ram_mb=4000, disk_mb=1000, core_mhz=2500)


class Time:
    """Moves only where a test moves it."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def look(journal: Journal, time: Time, tmp_path: Path) -> Callable[[], Lookout]:
    """Make a lookout as a worker that starts does."""

    def made() -> Lookout:
        availability = Availability(AvailabilityConfig(), tmp_path / "pause.json")
        looks = Looks(fingerprint, lambda: Surroundings(None, None, None))
        return Lookout(journal, Clock(time, time), availability, OFFERED, looks)

    return made


def with_ram(ram_mb: int) -> Fingerprint:
    return replace(fingerprint(), memory=MemoryFacts(ram_mb, ram_mb))


def test_the_first_look_is_due_at_once_and_is_news(look: Callable[[], Lookout]) -> None:
    lookout = look()
    assert lookout.is_due()
    assert lookout.took(fingerprint())
    assert lookout.machine == on_the_wire(fingerprint())


def test_the_next_look_is_due_after_ten_minutes(look: Callable[[], Lookout], time: Time) -> None:
    lookout = look()
    lookout.took(fingerprint())
    time.now_s = LOOK_EVERY_S - 1
    assert not lookout.is_due()
    time.now_s = LOOK_EVERY_S
    assert lookout.is_due()


def test_a_first_look_that_hangs_is_not_waited_for_long(
    look: Callable[[], Lookout], time: Time
) -> None:
    lookout = look()
    assert lookout.is_worth_waiting_for
    time.now_s = PATIENCE_S
    assert not lookout.is_worth_waiting_for
    assert lookout.took(fingerprint())  # and is news when it comes after all


def test_a_look_that_finds_the_same_is_no_news(
    look: Callable[[], Lookout], journal: Journal
) -> None:
    lookout = look()
    lookout.took(fingerprint())
    assert not lookout.took(fingerprint())
    assert journal.machine_notes() == ()


def test_memory_that_is_gone_is_news_is_noted_and_is_sold_no_more(
    look: Callable[[], Lookout], journal: Journal
) -> None:
    lookout = look()
    lookout.took(with_ram(8000))
    assert lookout.capacity == Capacity(4000, 4000, 1000)
    assert lookout.note == ""
    assert lookout.took(with_ram(4000))
    assert lookout.capacity == Capacity(4000, 3600, 1000)
    assert lookout.note == "the machine has become smaller, sold is ram_mb 3600 of 4000"
    assert [note.text for note in journal.machine_notes()] == ["RAM shrank from 8000 to 4000 MB"]


def test_small_steps_add_up_to_a_change(look: Callable[[], Lookout]) -> None:
    lookout = look()
    lookout.took(with_ram(8000))
    assert [lookout.took(with_ram(ram_mb)) for ram_mb in (7920, 7850, 7800)] == [
        False, False, True,
    ]  # fmt: skip
    assert lookout.machine is not None
    assert lookout.machine.ram_mb == 7800


def test_what_the_machine_does_is_seen_every_few_seconds(
    look: Callable[[], Lookout], time: Time
) -> None:
    lookout = look()
    assert lookout.is_sample_due()
    lookout.sampled(Surroundings(None, None, 10))
    assert not lookout.is_sample_due()
    assert lookout.look()
    assert lookout.hold is not None
    assert lookout.hold.code is HoldCode.DISK_LOW
    time.now_s = SAMPLE_EVERY_S
    assert lookout.is_sample_due()


def test_what_changed_while_no_worker_ran_is_noted(
    look: Callable[[], Lookout], journal: Journal
) -> None:
    look().took(with_ram(8000))
    look().took(with_ram(6000))
    assert [note.text for note in journal.machine_notes()] == ["RAM shrank from 8000 to 6000 MB"]


def test_the_journal_holds_what_went_to_the_oracle(
    look: Callable[[], Lookout], journal: Journal
) -> None:
    look().took(fingerprint())
    wire = on_the_wire(fingerprint())
    assert journal.machine() == MachineRow(wire.taken_s, strict.encode(wire))


def test_facts_that_another_version_wrote_do_not_hinder_a_start(
    look: Callable[[], Lookout], journal: Journal
) -> None:
    journal.write_machine(MachineRow(1, b'{"mood": "good"}'), ())
    assert look().took(fingerprint())
    assert journal.machine_notes() == ()


def test_a_hold_is_told_when_it_changes(look: Callable[[], Lookout], tmp_path: Path) -> None:
    lookout = look()
    assert not lookout.look()
    write_pause(tmp_path / "pause.json", Pause(0))
    assert lookout.look()
    assert lookout.hold is not None
    assert lookout.hold.code is HoldCode.PAUSED
    assert not lookout.look()
    (tmp_path / "pause.json").unlink()
    assert lookout.look()
    assert lookout.hold is None
