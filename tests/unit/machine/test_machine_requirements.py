"""The requirements' table: every row, both bounds, and what refuses a machine beside figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nunet_dms.machine.requirements import (
    REQUIREMENTS,
    Figure,
    Figures,
    Level,
    Profile,
    Requirement,
    judge,
    show,
    wanted,
)

PLENTY = Figures(
    total_mhz=64_000, ram_mb=64_000, disk_free_mb=500_000, down_kbps=900_000, vram_mb=24_000
)
FIELD = {
    Figure.CPU_MHZ: "total_mhz",
    Figure.RAM: "ram_mb",
    Figure.VRAM: "vram_mb",
    Figure.DISK: "disk_free_mb",
    Figure.DOWN_KBPS: "down_kbps",
}
ROWS = pytest.mark.parametrize("row", REQUIREMENTS, ids=lambda row: f"{row.profile}-{row.figure}")


def having(row: Requirement, value: int | None, *, is_wsl: bool = False) -> Figures:
    """A machine with plenty of all but one thing, of which it has `value` in the table's unit."""
    sizes = (Figure.RAM, Figure.VRAM, Figure.DISK)
    if value is not None and row.figure in sizes:
        value = -(-value * 1_000_000 // 2**20)  # the least MiB that hold so many decimal MB
    return replace(PLENTY, is_wsl=is_wsl, **{FIELD[row.figure]: value})  # type: ignore[arg-type]


def enough(row: Requirement, needed: int) -> int:
    """The least that counts as so much: of RAM, a part is never seen."""
    return needed * 95 // 100 if row.figure is Figure.RAM else needed


def level(row: Requirement, figures: Figures) -> Level:
    found = judge(figures, row.profile).rows
    return next(each.level for each in found if each.requirement.figure is row.figure)


def test_the_table_is_the_document_s() -> None:
    rows = {(r.profile.value, r.figure.value): (r.minimum, r.recommended) for r in REQUIREMENTS}
    assert rows == {
        ("cpu", "cpu_mhz"): (2_000, 3_500),
        ("cpu", "ram"): (4_000, 8_000),
        ("cpu", "disk"): (10_000, 20_000),
        ("cpu", "down_kbps"): (4_000, 10_000),
        ("gpu", "cpu_mhz"): (3_000, 4_000),
        ("gpu", "ram"): (8_000, 16_000),
        ("gpu", "vram"): (4_000, 8_000),
        ("gpu", "disk"): (50_000, 100_000),
        ("gpu", "down_kbps"): (50_000, 100_000),
    }


@ROWS
def test_the_minimum_itself_is_enough_and_a_little_less_is_not(row: Requirement) -> None:
    assert level(row, having(row, enough(row, row.minimum))) is Level.BELOW_RECOMMENDED
    assert level(row, having(row, enough(row, row.minimum) - 2)) is Level.BELOW_MINIMUM


@ROWS
def test_the_recommendation_itself_is_fine_and_a_little_less_warns(row: Requirement) -> None:
    assert level(row, having(row, enough(row, row.recommended))) is Level.FINE
    assert level(row, having(row, enough(row, row.recommended) - 2)) is Level.BELOW_RECOMMENDED


@ROWS
def test_under_wsl_every_figure_is_a_quarter_higher(row: Requirement) -> None:
    at_least, advised = (enough(row, n * 5 // 4) for n in (row.minimum, row.recommended))
    assert level(row, having(row, at_least - 2, is_wsl=True)) is Level.BELOW_MINIMUM
    assert level(row, having(row, at_least, is_wsl=True)) is Level.BELOW_RECOMMENDED
    assert level(row, having(row, advised, is_wsl=True)) is Level.FINE


@ROWS
def test_what_could_not_be_found_out_warns_and_refuses_nobody(row: Requirement) -> None:
    verdict = judge(having(row, None), row.profile)
    assert verdict.refusals == ()
    assert verdict.word == "warned"
    assert any("could not be found out" in line for line in verdict.warnings)


@ROWS
def test_a_refusal_names_the_figure_and_the_need(row: Requirement) -> None:
    verdict = judge(having(row, row.minimum // 2), row.profile)
    assert verdict.word == "refused"
    assert len(verdict.refusals) == 1
    assert show(row.figure, row.minimum) in verdict.refusals[0]
    assert "is needed" in verdict.refusals[0]


@pytest.mark.parametrize(("ram_mb", "is_enough"), [(3_793, True), (3_700, True), (3_584, False)])
def test_a_machine_of_four_gigabytes_has_them_though_a_part_is_never_seen(
    ram_mb: int, is_enough: bool
) -> None:
    """A Raspberry Pi 4 of 4 GB shows 3793 MiB; a virtual machine of 3.5 GiB is none of 4 GB."""
    verdict = judge(replace(PLENTY, ram_mb=ram_mb), Profile.CPU)
    assert (verdict.refusals == ()) is is_enough


def test_cpu_is_the_total_of_all_cores() -> None:
    eight_slow_cores = replace(PLENTY, total_mhz=8 * 1_200)
    assert judge(eight_slow_cores, Profile.CPU).word == "fine"
    one_fast_core_less = replace(PLENTY, total_mhz=1_900)
    assert judge(one_fast_core_less, Profile.CPU).refusals == (
        "CPU is 1.9 GHz, at least 2 GHz is needed",
    )


def test_an_obstacle_refuses_gpu_jobs_and_no_others() -> None:
    figures = replace(PLENTY, gpu_obstacle="not in a virtual machine")
    assert judge(figures, Profile.GPU).refusals == ("not in a virtual machine",)
    assert judge(figures, Profile.GPU).word == "refused"
    assert judge(figures, Profile.CPU).word == "fine"


@pytest.mark.parametrize(
    ("figure", "value", "text"),
    [
        (Figure.CPU_MHZ, 2_000, "2 GHz"),
        (Figure.RAM, 25_276, "25.276 GB"),
        (Figure.DISK, 49_999, "49.999 GB"),
        (Figure.DISK, 12_345_678, "12345 GB"),
        (Figure.DOWN_KBPS, 4_000, "4 Mbps"),
        (Figure.VRAM, None, "unknown"),
    ],
)
def test_figures_are_written_as_people_say_them(
    figure: Figure, value: int | None, text: str
) -> None:
    assert show(figure, value) == text


def test_a_recommendation_with_two_ends_shows_both() -> None:
    texts = {(row.profile, row.figure): wanted(row) for row in REQUIREMENTS}
    assert texts[Profile.CPU, Figure.RAM] == "8-16 GB"
    assert texts[Profile.GPU, Figure.VRAM] == "8-12 GB"
    assert texts[Profile.CPU, Figure.DISK] == "20 GB"
