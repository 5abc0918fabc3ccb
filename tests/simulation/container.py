"""A container of the simulation: what its engine knows of it, and what really happened in it."""

from __future__ import annotations

from dataclasses import dataclass, field

from nunet_dms.node.engine.types import ContainerSpec, EngineEvent, LogRecord

KILLED, TERMINATED, OUT_OF_MEMORY_CODE, BY_HOST = 137, 143, 137, 255
"""Exit codes."""
STATE = "state"
"""The file in a checkpoint folder."""


@dataclass(frozen=True)
class Program:
    """What is in a job's image, and does when it runs."""

    run_s: float
    exit_code: int = 0
    oom: bool = False
    lines: tuple[tuple[float, bytes], ...] = ()
    """What it writes, and how long after its start."""
    heeds_term: bool = True
    fills_disk: bool = False
    starts: bool = True
    time_limit_s: int = 60
    poison: str = ""
    """The call to the engine at which this job kills the worker, each time."""
    saves: tuple[float, ...] = ()
    """How long after its start it writes to its checkpoint folder; told to end, once more."""
    image: str = "here"
    """`here`, `pulled` or `missing`."""


@dataclass
class Truth:
    """What really happened in a container, in seconds of virtual time."""

    starts: int = 0
    started_s: float | None = None
    ended_s: float | None = None
    by: str = ""
    """Who ended it: itself, oom, deadline, stop, engine, hand, host or remove."""
    written: bytes = b""
    began_with: bytes | None = None
    """What lay in its checkpoint folder at its start."""
    saved: list[bytes] = field(default_factory=list)
    """What was in its checkpoint folder, in order, that included."""

    @property
    def ran_s(self) -> float:
        """How long it ran, as far as it has ended."""
        if self.started_s is None or self.ended_s is None:
            return 0.0
        return self.ended_s - self.started_s


@dataclass
class Container:
    """One container: what the engine knows, and the truth."""

    container_id: str
    spec: ContainerSpec
    job_id: str
    program: Program
    status: str = "created"
    started_ms: int | None = None
    finished_ms: int | None = None
    exit_code: int = 0
    oom: bool = False
    records: list[LogRecord] = field(default_factory=list)
    """That the engine still has."""
    thrown_away: int = 0
    """Records before those."""
    unread: list[LogRecord] = field(default_factory=list)
    """In the pipe while the daemon is down."""
    events: list[EngineEvent] = field(default_factory=list)
    truth: Truth = field(default_factory=Truth)

    def find_saved(self) -> None:
        """Look at its start for what another attempt left for it."""
        state = None if self.spec.checkpoint is None else self.spec.checkpoint / STATE
        if state is not None and state.exists():
            self.truth.began_with = state.read_bytes()
            self.truth.saved.append(self.truth.began_with)

    def save(self) -> None:
        """Put another state into the checkpoint folder: no two are of the same length."""
        assert self.spec.checkpoint is not None
        state = self.job_id.encode() + b"." * len(self.truth.saved)
        fresh = self.spec.checkpoint / "fresh"
        fresh.write_bytes(state)
        fresh.replace(self.spec.checkpoint / STATE)
        self.truth.saved.append(state)
