"""What a sweep has killed and where, in short for a terminal and point by point for a file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from tests.sweep.account import Account, Death

AREAS = ("Journal", "DockerEngine", "OracleClient", "JobFolder")
FILES = "files"
"""Everything that is none of the areas: steps on the file system."""


@dataclass
class Row:
    """One point."""

    at_once: int = 0
    """Lives killed there that were followed by another at once."""
    later: int = 0
    lost: int = 0
    """Cases in which something was lost, counted twice or false."""


@dataclass
class Table:
    """Counts by point; cases with two deaths count at both."""

    rows: dict[str, Row] = field(default_factory=dict)
    cases: int = 0
    kills: int = 0
    wall_seconds: float = 0.0
    seed: str = ""

    def add(self, deaths: tuple[Death, ...], account: Account) -> None:
        """Count a case."""
        self.cases += 1
        self.kills += account.kills
        for death in deaths[: account.kills]:
            row = self.rows.setdefault(death.point, Row())
            row.at_once += not death.delay_s
            row.later += bool(death.delay_s)
            row.lost += bool(account.faults)

    def as_text(self) -> str:
        """Return it as JSON, for another process."""
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> Table:
        """Return what `as_text` gave."""
        known = json.loads(text)
        return cls(**known | {"rows": {point: Row(**row) for point, row in known["rows"].items()}})

    @classmethod
    def sum_of(cls, tables: Iterable[Table]) -> Table:
        """Return what was killed in all of them; the seed is that of the one which has one."""
        whole = cls()
        for each in tables:
            for point, row in each.rows.items():
                known = whole.rows.setdefault(point, Row())
                known.at_once += row.at_once
                known.later += row.later
                known.lost += row.lost
            whole.cases += each.cases
            whole.kills += each.kills
            whole.wall_seconds += each.wall_seconds
            whole.seed = whole.seed or each.seed
        return whole

    def short(self) -> tuple[str, ...]:
        """Return the sums by area."""
        lines = [f"{'killed in or around':20} points  restarted at once  later than the job  lost"]
        for area in (*AREAS, FILES):
            of = [row for point, row in self.rows.items() if _area(point) == area]
            once, later = sum(row.at_once for row in of), sum(row.later for row in of)
            lost = sum(row.lost for row in of)
            lines.append(f"{area:20} {len(of):6}  {once:17}  {later:18}  {lost:4}")
        lost = sum(row.lost for row in self.rows.values())
        lines.append(
            f"{len(self.rows)} points, {self.cases} pairs of jobs, {self.kills} workers killed, "
            f"{lost or 'nothing'} lost, {self.wall_seconds:.0f} s; pairs of deaths: {self.seed}"
        )
        return tuple(lines)

    def whole(self) -> tuple[str, ...]:
        """Return every point."""
        head = f"{'point':58} at once  later  lost"
        return (
            head,
            *(
                f"{point:58} {row.at_once:7}  {row.later:5}  {row.lost or 'nothing'}"
                for point, row in self.rows.items()
            ),
        )


def _area(point: str) -> str:
    return next((area for area in AREAS if f" {area}." in point), FILES)
