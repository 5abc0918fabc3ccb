"""What a requester asks to be run: the job spec and the manifest of its files."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from nunet_dms.errors import MalformedError
from nunet_dms.protocol import strict
from nunet_dms.protocol.bounds import (
    FILES_MAX,
    CpuMhz,
    DiskMb,
    FilePath,
    Hex16,
    Hex32,
    Length,
    Pattern,
    RamMb,
    Range,
)
from nunet_dms.protocol.platform import Platform

BLOB_MAX_BYTES = 2 * 1024**3
"""Of one file of a job; larger data travels in parts."""
CHECKPOINT_NUMBER_MAX = 1_000_000
"""Of one job's checkpoints, counted from 1: one every 10 s for 30 days are 259,200."""
MB = 1024 * 1024
"""Bytes: megabytes of RAM and disk are counted as Docker and the kernel count them."""
INPUT_FOLDER = "/nunet/in"
"""Where a job finds its inputs, read-only."""

ImageRef = Annotated[
    str,
    Pattern(
        r"[a-z0-9]+([._:/-]{1,2}[a-z0-9_]+){0,40}@sha256:[0-9a-f]{64}",
        "an image by digest, name@sha256:<64 hex>",
    ),
]
JobPath = Annotated[str, Pattern(r"(/[A-Za-z0-9._-]{1,100}){1,10}", "an absolute folder")]
EnvName = Pattern(r"[A-Za-z_][A-Za-z0-9_]{0,100}", "a name of letters, digits and _")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file: its path below the job's folder, its size in bytes, its content's SHA-256."""

    path: FilePath
    size: Annotated[int, Range(0, BLOB_MAX_BYTES)]
    sha256: Hex32


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A job's files as content-addressed blobs; never an archive."""

    files: Annotated[tuple[FileEntry, ...], Length(0, FILES_MAX)] = ()

    @property
    def total_bytes(self) -> int:
        """Sum of the sizes."""
        return sum(file.size for file in self.files)

    @property
    def digest(self) -> str:
        """blake2b-256 of the canonical bytes, as hex."""
        return strict.digest(strict.encode(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the job is promised, and held to."""

    cpu_mhz: CpuMhz
    ram_mb: RamMb
    disk_mb: DiskMb = 64
    gpus: Annotated[int, Range(0, 64)] = 0
    vram_mb: Annotated[int, Range(0, 10_000_000)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """The checkpoint of an earlier job from which this one goes on."""

    job_id: Hex16
    number: Annotated[int, Range(1, CHECKPOINT_NUMBER_MAX)]
    checkpoint: Hex32
    """Digest of the sealed CheckpointManifest: what the earlier node signed."""
    platform: Platform
    files: Manifest
    """What lies in the checkpoint folder when the job starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A folder whose content is saved while the job runs.

    Saved are its regular files; links, pipes and empty folders are not. A program that writes each
    file under another name and then renames it always leaves a whole one behind.
    """

    folder: JobPath
    interval_s: Annotated[int, Range(10, 86_400)]
    resume: Resume | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A job: an image by digest, a command, its resources, its files."""

    image: ImageRef
    command: Annotated[tuple[Annotated[str, Length(0, 8192)], ...], Length(0, 256)] = ()
    env: Annotated[dict[str, Annotated[str, Length(0, 8192)]], Length(0, 200)] = field(
        default_factory=dict
    )
    resources: Resources
    time_limit_s: Annotated[int, Range(1, 30 * 86_400)]
    inputs: Manifest = field(default_factory=Manifest)
    outputs: JobPath = "/nunet/out"
    network: Literal["none", "egress"] = "none"
    checkpoint: Checkpoint | None = None
    kind: Literal["batch", "service"] = "batch"

    def __post_init__(self) -> None:
        """Check what spans several keys; raises MalformedError."""
        for name in self.env:
            if (problem := EnvName.problem(name)) is not None:
                raise MalformedError(f"environment variable {problem}", where="$.env")
            if name.startswith("NUNET_"):
                raise MalformedError(f"{name} is set by the node itself", where="$.env")
        _check_folder("outputs", self.outputs)
        check_tree(self.inputs, "$.inputs")
        if self.checkpoint is not None:
            _check_checkpoint(self.checkpoint, self.outputs)

    @property
    def resume(self) -> Resume | None:
        """The checkpoint of an earlier job from which this one goes on."""
        return None if self.checkpoint is None else self.checkpoint.resume

    @property
    def digest(self) -> str:
        """The job-spec hash: blake2b-256 of the canonical bytes, as hex."""
        return strict.digest(strict.encode(self))


def _check_folder(name: str, folder: str) -> None:
    for taken in (INPUT_FOLDER, "/proc", "/sys", "/dev"):
        if _is_within(folder, taken):
            raise MalformedError(f"{name} may not lie in {taken}", where=f"$.{name}")
    if "/.." in folder or "/./" in f"{folder}/":
        raise MalformedError(f"{name} must not hold '.' or '..'", where=f"$.{name}")


def _check_checkpoint(checkpoint: Checkpoint, outputs: str) -> None:
    """Refuse a checkpoint folder that is not one of its own."""
    name, folder = "checkpoint.folder", checkpoint.folder
    _check_folder(name, folder)
    for other in (outputs, INPUT_FOLDER):
        if _is_within(folder, other) or _is_within(other, folder):
            raise MalformedError(
                f"{name} and {other} may not lie in one another", where=f"$.{name}"
            )
    if folder == "/tmp":  # noqa: S108 - the container's own, which is memory
        raise MalformedError(f"{name} may not be {folder}", where=f"$.{name}")
    if checkpoint.resume is not None:
        check_tree(checkpoint.resume.files, "$.checkpoint.resume.files")


def _is_within(folder: str, other: str) -> bool:
    return f"{folder}/".startswith(f"{other}/")


def check_tree(manifest: Manifest, where: str) -> None:
    """Raise MalformedError where a path stands twice, or is both a file and a folder."""
    paths = {entry.path for entry in manifest.files}
    if len(paths) != len(manifest.files):
        raise MalformedError("a path stands twice in the manifest", where=where)
    for path in paths:
        parts = path.split("/")
        if any("/".join(parts[:depth]) in paths for depth in range(1, len(parts))):
            raise MalformedError(f"{path!r} lies below a file", where=where)
