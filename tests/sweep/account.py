"""Where a worker is to die in a case, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Death:
    """Where a life of the worker is to end, and how long after that the next begins."""

    point: str
    pass_number: int = 1
    delay_s: float = 0.0

    def __str__(self) -> str:
        """Return it as a table shows it."""
        late = f", restarted after {self.delay_s:g} s" if self.delay_s else ""
        return f"{self.point} (pass {self.pass_number}{late})"


@dataclass
class Account:
    """What came of a case."""

    kills: int = 0
    passed: list[str] = field(default_factory=list)
    """Points that its first life passed."""
    faults: list[str] = field(default_factory=list)
    """What was lost, counted twice or false; empty when nothing was."""
