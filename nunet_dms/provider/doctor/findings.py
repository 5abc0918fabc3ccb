"""What a check says: how bad it is, what was found, why it matters, what to type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from nunet_dms.errors import ExitCode


class Severity(IntEnum):
    """How bad a finding is; in the order of the worst."""

    OK = 0
    NOTE = 1
    """Worth knowing; nothing is wrong."""
    WARNING = 2
    """The machine works, but worse than it could, or not for long."""
    ERROR = 3
    """The machine does not work before this is mended."""

    @property
    def word(self) -> str:
        """The name for people and scripts."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a check answers; `why` and `cure` may be empty when nothing is to be done."""

    severity: Severity
    found: str
    why: str = ""
    cure: str = ""
    exit_code: ExitCode = ExitCode.FINE


@dataclass(frozen=True, slots=True)
class Finding:
    """An answer, and the id of the check that gave it."""

    id: str
    severity: Severity
    found: str
    why: str
    cure: str
    exit_code: ExitCode


def fine(found: str) -> Answer:
    """Say that all is well, and what was looked at."""
    return Answer(Severity.OK, found)


def note(found: str, why: str, cure: str = "") -> Answer:
    """Say what is worth knowing."""
    return Answer(Severity.NOTE, found, why, cure)


def warning(found: str, why: str, cure: str) -> Answer:
    """Say what works worse than it could."""
    return Answer(Severity.WARNING, found, why, cure, ExitCode.DEGRADED)


def error(found: str, why: str, cure: str, exit_code: ExitCode) -> Answer:
    """Say what keeps the machine from working."""
    return Answer(Severity.ERROR, found, why, cure, exit_code)


def worst(findings: Iterable[Finding]) -> Severity:
    """Return the worst severity; OK for none."""
    return max((each.severity for each in findings), default=Severity.OK)


def worst_exit_code(findings: tuple[Finding, ...]) -> ExitCode:
    """Return the code of the first error, which is the one to mend first; else that of a warning.

    Notes are no reason to fail.
    """
    level = worst(findings)
    return next((each.exit_code for each in findings if each.severity is level), ExitCode.FINE)


def summary(findings: tuple[Finding, ...]) -> str:
    """Count the findings, the worst first: `1 error, 2 warnings, 20 fine`."""
    counts = Counter(each.severity for each in findings)
    parts = [
        f"{count} {name}{'s' if count > 1 else ''}"
        for severity, name in (
            (Severity.ERROR, "error"),
            (Severity.WARNING, "warning"),
            (Severity.NOTE, "note"),
        )
        if (count := counts[severity])
    ]
    return ", ".join([*parts, f"{counts[Severity.OK]} fine"])
