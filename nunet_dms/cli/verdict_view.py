"""The requirements beside what was found, for people and for scripts."""

from __future__ import annotations

from dataclasses import dataclass

from nunet_dms.cli.render import Table
from nunet_dms.machine.requirements import NAMES, Figure, Level, Verdict, show, wanted

UNITS = {Figure.CPU_MHZ: "MHz", Figure.DOWN_KBPS: "kbit/s"}
DECIMAL_MB = "MB of 10^6 bytes"
WORDS = {
    Level.FINE: "fine",
    Level.BELOW_RECOMMENDED: "below recommended",
    Level.BELOW_MINIMUM: "too little",
    Level.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True)
class RowFacts:
    """One requirement for scripts; numbers in `unit`."""

    figure: str
    unit: str
    found: int | None
    minimum: int
    recommended: int
    level: str


@dataclass(frozen=True, slots=True)
class VerdictFacts:
    """The verdict on one profile for scripts: fine, warned or refused, and why."""

    profile: str
    verdict: str
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]
    rows: tuple[RowFacts, ...]


def verdict_facts(verdict: Verdict) -> VerdictFacts:
    """Return a verdict for scripts."""
    rows = tuple(
        RowFacts(
            figure=row.requirement.figure.value,
            unit=UNITS.get(row.requirement.figure, DECIMAL_MB),
            found=row.found,
            minimum=row.requirement.minimum,
            recommended=row.requirement.recommended,
            level=row.level.value,
        )
        for row in verdict.rows
    )
    return VerdictFacts(
        verdict.profile.value, verdict.word, verdict.refusals, verdict.warnings, rows
    )


def verdict_parts(verdict: Verdict) -> tuple[str | Table, ...]:
    """Return a verdict for people: a line, and a table of every requirement."""
    rows = tuple(
        (
            NAMES[row.requirement.figure],
            show(row.requirement.figure, row.found),
            show(row.requirement.figure, row.requirement.minimum),
            wanted(row.requirement),
            WORDS[row.level],
        )
        for row in verdict.rows
    )
    line = f"{verdict.profile.value.upper()} jobs: {verdict.word}"
    table = Table(("requirement", "found", "minimum", "recommended", "verdict"), rows)
    return (f"{line}: {verdict.obstacle}" if verdict.obstacle else line, table)
