"""What a machine must have to join, as a table, and the verdict on one machine.

CPU is counted as it is offered and sold: the machine's total, its cores times the rate that each
sustains. A laptop of 8 cores at 1.8 GHz has 14.4 GHz to share and may join; held against the
clock of one core it would be refused, and most servers would never reach what is recommended.
Sizes are decimal, as on a label. RAM means what is installed: 5 % less is enough, since firmware,
graphics and kernel keep a part of it that no program sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

WSL_PERCENT = 125
"""Under WSL every figure is a quarter higher: Windows beside it takes its share."""

SEEN_PERCENT_OF_RAM = 95
"""Of installed memory, counted in decimal GB: a board of 4 GiB with built-in graphics shows 3.9."""

MIB = 1024 * 1024
MEGABYTE = 1_000_000


class Profile(str, Enum):
    """What a machine may be used for."""

    CPU = "cpu"
    GPU = "gpu"


class Figure(str, Enum):
    """What is measured."""

    CPU_MHZ = "cpu_mhz"
    RAM = "ram"
    VRAM = "vram"
    DISK = "disk"
    DOWN_KBPS = "down_kbps"


class Level(str, Enum):
    """How a machine stands to a requirement; UNKNOWN refuses nobody."""

    FINE = "fine"
    BELOW_RECOMMENDED = "below_recommended"
    UNKNOWN = "unknown"
    BELOW_MINIMUM = "below_minimum"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row: MHz of all cores, decimal MB, or kbit/s; recommended is from .. to, where given."""

    profile: Profile
    figure: Figure
    minimum: int
    recommended: int
    recommended_to: int | None = None


REQUIREMENTS = (
    Requirement(Profile.CPU, Figure.CPU_MHZ, 2_000, 3_500),
    Requirement(Profile.CPU, Figure.RAM, 4_000, 8_000, 16_000),
    Requirement(Profile.CPU, Figure.DISK, 10_000, 20_000),
    Requirement(Profile.CPU, Figure.DOWN_KBPS, 4_000, 10_000),
    Requirement(Profile.GPU, Figure.CPU_MHZ, 3_000, 4_000),
    Requirement(Profile.GPU, Figure.RAM, 8_000, 16_000, 32_000),
    Requirement(Profile.GPU, Figure.VRAM, 4_000, 8_000, 12_000),
    Requirement(Profile.GPU, Figure.DISK, 50_000, 100_000),
    Requirement(Profile.GPU, Figure.DOWN_KBPS, 50_000, 100_000),
)

NAMES = {
    Figure.CPU_MHZ: "CPU",
    Figure.RAM: "RAM",
    Figure.VRAM: "GPU memory",
    Figure.DISK: "free disk",
    Figure.DOWN_KBPS: "download",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was found, in our own units (MHz, MiB, kbit/s); None could not be found out."""

    total_mhz: int | None
    ram_mb: int | None
    disk_free_mb: int | None
    down_kbps: int | None
    vram_mb: int | None = None
    """Of the largest NVIDIA GPU that works; None without one."""
    gpu_obstacle: str = ""
    """Why ML on a GPU is out of the question here, whatever the figures say; empty if it is not."""
    is_wsl: bool = False

    def of(self, figure: Figure) -> int | None:
        """Return one figure in the table's unit: sizes become decimal MB."""
        match figure:
            case Figure.CPU_MHZ:
                return self.total_mhz
            case Figure.DOWN_KBPS:
                return self.down_kbps
            case Figure.RAM:
                return _decimal_mb(self.ram_mb)
            case Figure.DISK:
                return _decimal_mb(self.disk_free_mb)
            case Figure.VRAM:
                return _decimal_mb(self.vram_mb)


@dataclass(frozen=True, slots=True)
class Judged:
    """One requirement, as it applies here, beside what was found."""

    requirement: Requirement
    found: int | None
    level: Level

    def __str__(self) -> str:
        """Say it in words: what was found and what is needed."""
        row = self.requirement
        name, found = NAMES[row.figure], show(row.figure, self.found)
        if self.level is Level.UNKNOWN:
            return f"{name} could not be found out; at least {show(row.figure, row.minimum)} needed"
        if self.level is Level.BELOW_MINIMUM:
            return f"{name} is {found}, at least {show(row.figure, row.minimum)} is needed"
        return f"{name} is {found}, {wanted(row)} is recommended"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a machine may be used for a profile, row by row."""

    profile: Profile
    rows: tuple[Judged, ...]
    obstacle: str = ""
    """What refuses it beside the figures; empty if nothing does."""

    def at(self, *levels: Level) -> tuple[Judged, ...]:
        """Return the rows that stand at one of these levels."""
        return tuple(row for row in self.rows if row.level in levels)

    @property
    def refusals(self) -> tuple[str, ...]:
        """Everything that keeps the machine out, in words; empty if it may join."""
        return (
            *((self.obstacle,) if self.obstacle else ()),
            *map(str, self.at(Level.BELOW_MINIMUM)),
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is below the recommendation or could not be found out, in words."""
        return tuple(map(str, self.at(Level.BELOW_RECOMMENDED, Level.UNKNOWN)))

    @property
    def word(self) -> str:
        """One word for a script: refused, warned or fine."""
        return "refused" if self.refusals else "warned" if self.warnings else "fine"


def judge(figures: Figures, profile: Profile) -> Verdict:
    """Hold what was found against every row of a profile."""
    rows = tuple(
        _judged(_as_it_applies(row, figures), figures.of(row.figure))
        for row in REQUIREMENTS
        if row.profile is profile
    )
    return Verdict(profile, rows, figures.gpu_obstacle if profile is Profile.GPU else "")


def show(figure: Figure, value: int | None) -> str:
    """Write a figure in the table's unit as people say it: 2 GHz, 4 GB, 4 Mbps."""
    if value is None:
        return "unknown"
    unit = {Figure.CPU_MHZ: "GHz", Figure.DOWN_KBPS: "Mbps"}.get(figure, "GB")
    return f"{value / 1000:.5g} {unit}" if value < 10_000_000 else f"{value // 1000} {unit}"


def wanted(row: Requirement) -> str:
    """Write what is recommended, with its upper end where it has one."""
    if row.recommended_to is None:
        return show(row.figure, row.recommended)
    low = show(row.figure, row.recommended).partition(" ")[0]
    return f"{low}-{show(row.figure, row.recommended_to)}"


def _as_it_applies(row: Requirement, figures: Figures) -> Requirement:
    if not figures.is_wsl:
        return row
    low, recommended, to = (
        None if value is None else -(-value * WSL_PERCENT // 100)
        for value in (row.minimum, row.recommended, row.recommended_to)
    )
    return Requirement(row.profile, row.figure, low or 0, recommended or 0, to)


def _judged(row: Requirement, found: int | None) -> Judged:
    if found is None:
        level = Level.UNKNOWN
    elif not _is_enough(row.figure, found, row.minimum):
        level = Level.BELOW_MINIMUM
    elif not _is_enough(row.figure, found, row.recommended):
        level = Level.BELOW_RECOMMENDED
    else:
        level = Level.FINE
    return Judged(row, found, level)


def _is_enough(figure: Figure, found: int, needed: int) -> bool:
    percent = SEEN_PERCENT_OF_RAM if figure is Figure.RAM else 100
    return found * 100 >= needed * percent


def _decimal_mb(mebibytes: int | None) -> int | None:
    return None if mebibytes is None else mebibytes * MIB // MEGABYTE
