"""What the runner may ask of a container engine, and what it answers.

A container's end is data; only an engine that does not answer raises, and then what it runs is
*unknown*, not failed. Order of calls for one job: find or pull its image, create, start, then
records and wait side by side (each in a thread of its own), facts and history, remove. `stop` and
`facts` may come at any time from any thread. Every call may be repeated; `create` with a name that
exists answers the container that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nunet_dms.protocol.report import Reason


@dataclass(frozen=True, slots=True)
class Failure:
    """A job cannot go on, and why; not an exception, for it is no fault of ours."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """Everything that decides how a job's container is made; nothing else does."""

    name: str
    labels: tuple[tuple[str, str], ...]
    image_id: str
    command: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    nano_cpus: int
    ram_mb: int
    disk_mb: int
    user: str
    inputs: Path
    outputs: Path
    output_folder: str
    deadline: Path | None = None
    """The program that ends the job from inside should no worker live then (engine/deadline.py)."""
    checkpoint: Path | None = None
    checkpoint_folder: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the engine says of a container, as recorded; times are Unix milliseconds."""

    container_id: str
    status: str
    started_ms: int | None
    finished_ms: int | None
    exit_code: int
    oom_killed: bool
    error: str

    @property
    def is_alive(self) -> bool:
        """Whether it runs; also one that somebody paused."""
        return self.status in {"running", "paused", "restarting"}

    @property
    def has_ended(self) -> bool:
        """Whether it ran and ended; a container that was never started has not."""
        return self.status in {"exited", "dead"} and self.started_ms is not None


@dataclass(frozen=True, slots=True)
class Owned:
    """A container that carries our labels."""

    container_id: str
    name: str
    job_id: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a running container has used so far."""

    cpu_ms: int
    ram_peak_mb: int


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One piece of a container's output as the engine stored it: a line, or a part of one."""

    at_ns: int
    """Unix nanoseconds; that of its beginning for every part of a line, so that it may go back."""
    data: bytes
    after_gap: bool = False
    """Whether the engine may have thrown records away before this one that nobody had read."""
    stream: int = 1
    """1 is stdout, 2 stderr. Within one the records of one time follow one another."""
    more: bool = False
    """Whether the next record is here already: who writes them to a disk may wait for it."""


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How much of an image has come; a total of 0 is not known yet."""

    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """One line of an engine's own history of a container (Docker API, `GET /events`)."""

    at_ms: int
    action: str
    """start, kill, stop, die, oom, destroy and others, as the engine names them."""
    signal: int | None
    """Of a `kill`, where the engine tells it."""


@dataclass(frozen=True, slots=True)
class History:
    """What an engine remembers of a container."""

    events: tuple[EngineEvent, ...]
    is_whole: bool
    """Whether it reaches back to the container's start: not after a restart of the engine."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image on this machine."""

    image_id: str
    size_bytes: int
    in_use: bool
    """Whether any container, whoever's, is made of it."""
    references: tuple[str, ...] = ()
    """By which it is known here: `name:tag` and `name@sha256:...`."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A volume or a network that carries our labels."""

    kind: str
    """`volume` or `network`."""
    name: str
    job_id: str


class Engine(Protocol):
    """A container engine; every method may raise EngineUnreachableError.

    A container is named by its name or its id, alike.
    """

    def ping(self) -> None:
        """Return if the engine answers."""

    def keeps_running(self) -> bool:
        """Whether containers outlive a restart of the engine (Docker's live-restore)."""

    def find_image(self, reference: str) -> str | None:
        """Return the id of the image `name@sha256:...` if it is here; never pulls."""

    def pull_image(self, reference: str, heard: Callable[[PullProgress], None]) -> str | Failure:
        """Fetch an image and return its id; `heard` is told of progress, and may raise to stop it.

        A registry that answers no is a Failure; one that is silent raises UnreachableError.
        """

    def create(self, spec: ContainerSpec) -> str | Failure:
        """Return the id of a new container, or of ours that already has the name."""

    def start(self, container_id: str) -> Failure | None:
        """Start a container that never ran; does nothing to one that runs or has run."""

    def facts(self, name: str) -> Facts | None:
        """Return what is known of the container with this name, None when there is none."""

    def wait(self, name: str, timeout_s: int) -> bool:
        """Return True once a started container has ended, False after `timeout_s`."""

    def stop(self, name: str, grace_s: int) -> None:
        """Ask a container to end, and kill it after `grace_s`; fine if it is gone."""

    def history(self, name: str) -> History:
        """Return what the engine remembers of a container, oldest first."""

    def remove(self, name: str) -> None:
        """Remove a container and what it alone uses; fine if it is gone."""

    def records(self, name: str, since_ns: int) -> Iterator[LogRecord]:
        """Yield stdout and stderr from the first record kept at or after `since_ns` (Unix time).

        Goes on until the container has ended and all that it wrote was given; a container that is
        gone has no records.
        """

    def usage(self, name: str) -> Usage | None:
        """Return what a running container has used, None when it does not run."""

    def owned(self, node_id: str) -> tuple[Owned, ...]:
        """Return every container that carries this node's label, running or not."""

    def labelled(self, node_id: str) -> tuple[Labelled, ...]:
        """Return every volume and network that carries this node's label."""

    def remove_labelled(self, thing: Labelled) -> bool:
        """Remove a volume or network; False if something uses it, or it is gone."""

    def images(self) -> tuple[StoredImage, ...]:
        """Return every image on this machine, whoever's."""

    def remove_image(self, image_id: str) -> bool:
        """Remove an image that has one reference, by digest; False if it is in use or gone."""

    def data_root(self) -> Path:
        """Return where the engine keeps its images, as the engine's own machine names it."""
