"""Battery or mains, and how busy others keep the CPU."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from golden import tree
from hypothesis import given
from hypothesis import strategies as st

from nunet_dms.machine.load import CpuTime, others_percent, read_cpu_time
from nunet_dms.machine.power import on_battery

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
SUPPLIES = "sys/class/power_supply"


def supply(name: str, **fields: str) -> dict[str, str]:
    return {f"{SUPPLIES}/{name}/{field}": f"{value}\n" for field, value in fields.items()}


MAINS, NO_MAINS = supply("AC", type="Mains", online="1"), supply("AC", type="Mains", online="0")
CHARGER = supply("ucsi-source-psy-USBC000:001", type="USB", online="1")
DISCHARGING = supply("BAT0", type="Battery", status="Discharging")
FULL = supply("BAT0", type="Battery", status="Full")
RESTING = supply("BAT1", type="Battery", status="Not charging")
MOUSE = supply("hidpp_battery_0", type="Battery", scope="Device", status="Discharging")


@pytest.mark.parametrize(
    ("files", "battery"),
    [
        ({}, None),
        (MAINS, None),  # a desktop that names its plug
        (MOUSE, None),
        (MAINS | FULL, False),
        (MAINS | DISCHARGING, False),  # a charger that is too weak is a charger
        (NO_MAINS | DISCHARGING | RESTING | MOUSE, True),
        (NO_MAINS | RESTING, True),
        (NO_MAINS | CHARGER | FULL, False),
        (DISCHARGING, True),
        (FULL, False),
        (supply("BAT0", type="Battery"), False),
        (supply("pencil", type="Parrot"), None),
    ],
)
def test_the_machine_is_on_battery_when_no_charger_is_online(
    tmp_path: Path, files: dict[str, str], battery: bool | None
) -> None:
    assert on_battery(tree(tmp_path, files)) is battery


@pytest.mark.parametrize(
    ("line", "busy", "total"),
    [
        ("cpu  100 10 40 800 50 0 0 0 0 0", 150, 1000),
        ("cpu  100 10 40 800 50 5 5 90 60 5", 160, 1100),  # stolen time passed; guests count once
        ("cpu 1 2 3 4", 6, 10),  # Linux 2.4
    ],
)
def test_cpu_time_counts_work_and_leaves_out_waiting_and_stolen_time(
    tmp_path: Path, line: str, busy: int, total: int
) -> None:
    found = read_cpu_time(tree(tmp_path, {"proc/stat": f"{line}\ncpu0 1 1 1 1\nintr 5\n"}))
    assert found is not None
    assert found.busy_s == pytest.approx(busy * TICK_S)
    assert found.total_s == pytest.approx(total * TICK_S)


@pytest.mark.parametrize("text", ["", "cpu0 1 2 3 4\n", "cpu  1 2\n", "cpu  1 2 x 4 5\n", "intr 1"])
def test_cpu_time_that_is_not_told_is_none(tmp_path: Path, text: str) -> None:
    assert read_cpu_time(tree(tmp_path, {"proc/stat": text})) is None


@pytest.mark.parametrize(
    ("busy_s", "total_s", "jobs_cpu_s", "percent"),
    [
        (0, 40, 0, 0),
        (30, 40, 0, 75),
        (30, 40, 30, 0),
        (30, 40, 10, 50),
        (30, 40, 35, 0),  # the jobs' clock and the kernel's differ a little
        (50, 40, 0, 100),
        (-5, 40, 0, 0),  # iowait and idle may run backwards
        (10, 0, 0, 0),
        (10, -4, 0, 0),
    ],
)
def test_load_by_others_is_what_our_jobs_did_not_use(
    busy_s: float, total_s: float, jobs_cpu_s: float, percent: int
) -> None:
    before = CpuTime(1000, 5000)
    after = CpuTime(1000 + busy_s, 5000 + total_s)
    assert others_percent(before, after, jobs_cpu_s) == percent


@given(*[st.floats() for _ in range(5)])
def test_load_by_others_is_a_percentage_whatever_is_read(
    busy: float, total: float, later_busy: float, later_total: float, jobs: float
) -> None:
    before, after = CpuTime(busy, total), CpuTime(later_busy, later_total)
    assert 0 <= others_percent(before, after, jobs) <= 100
