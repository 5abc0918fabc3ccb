"""Read a job.toml: the job spec, and where on this machine its input files lie.

The keys are those of protocol.job.JobSpec, but for `inputs`, which lists files and folders
relative to the job.toml; the job finds them under the same paths below /nunet/in.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nunet_dms.errors import ConfigError, MalformedError
from nunet_dms.protocol import strict
from nunet_dms.protocol.bounds import FILES_MAX, RelativePath
from nunet_dms.protocol.job import BLOB_MAX_BYTES, Checkpoint, JobSpec, Resources

JOB_FILE_MAX_BYTES = 1024 * 1024
"""Of a job.toml; a long one has 2 KB."""
READ_CHUNK_BYTES = 1024 * 1024

TABLES: dict[str, type] = {"resources": Resources, "checkpoint": Checkpoint}
"""Keys of a job.toml that are tables with keys of their own."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input: its path in the job, and where its content lies here."""

    path: str
    source: Path
    size: int
    sha256: str

    def open(self) -> BinaryIO:
        """Open the content; raises ConfigError if it is gone since it was hashed."""
        try:
            return self.source.open("rb")
        except OSError as error:
            raise ConfigError(f"cannot read {self.source}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class JobFile:
    """A job ready to be quoted, and the files to upload."""

    spec: JobSpec
    inputs: tuple[InputFile, ...]


def read_job(path: Path, *, image: str = "") -> JobFile:
    """Read a job.toml and hash its inputs; `image` stands in for the file's own.

    Raises ConfigError naming the file and the key: unknown keys, values out of bounds, inputs
    that are absent, symbolic links, neither file nor folder, or outside the job.toml's folder.
    """
    tree = _toml(path)
    _check_keys(tree, path)
    if image:
        tree["image"] = image
    inputs = _inputs(tree.get("inputs", []), path)
    entries = [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in inputs]
    try:
        spec = strict.structure(JobSpec, tree | {"inputs": {"files": entries}}, at="job")
    except MalformedError as error:
        raise ConfigError(f"cannot use {path}: {error}") from error
    return JobFile(spec, inputs)


def _toml(path: Path) -> dict[str, Any]:
    import tomlkit  # noqa: PLC0415 - tomllib is there from Python 3.11 on only
    from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415 - as above

    try:
        with path.open("rb") as file:
            content = file.read(JOB_FILE_MAX_BYTES + 1)
        if len(content) > JOB_FILE_MAX_BYTES:
            raise ConfigError(f"cannot use {path}: it is longer than {JOB_FILE_MAX_BYTES} bytes")
        return tomlkit.parse(content.decode("utf-8")).unwrap()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (TOMLKitError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read {path}: it is not TOML: {error}") from error


def _check_keys(tree: dict[str, Any], path: Path) -> None:
    """Name the nearest known key for each unknown one; the values are judged later."""
    _check_names(tree, JobSpec, "", path)
    if isinstance(saved := tree.get("checkpoint"), dict) and "resume" in saved:
        raise ConfigError(
            f"cannot use {path}: checkpoint.resume is not written by hand",
            hint="to go on from a checkpoint: nunet request resume JOB",
        )
    for name, kind in TABLES.items():
        if isinstance(table := tree.get(name), dict):
            _check_names(table, kind, f"{name}.", path)


def _check_names(table: dict[str, Any], kind: type, prefix: str, path: Path) -> None:
    known = [field.name for field in dataclasses.fields(kind)]
    for name in table:
        if name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {prefix}{near[0]}?" if near else f"known keys: {', '.join(known)}"
        raise ConfigError(f"cannot use {path}: unknown key {prefix}{name}", hint=hint)


def _inputs(listed: object, job_file: Path) -> tuple[InputFile, ...]:
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise ConfigError(f"cannot use {job_file}: inputs must be a list of paths")
    folder = job_file.parent
    found: list[InputFile] = []
    for name in listed:
        for path in _files_below(folder, _plain(name, job_file)):
            found.append(_hashed(folder, path))
            if len(found) > FILES_MAX:
                raise ConfigError(f"cannot use {job_file}: more than {FILES_MAX} input files")
    return tuple(found)


def _plain(name: str, job_file: Path) -> str:
    """Return a listed path without `./` in front and `/` behind; it must stay in the folder."""
    plain = name.removeprefix("./").rstrip("/")
    if (problem := RelativePath().problem(plain)) is not None:
        raise ConfigError(
            f"cannot use {job_file}: input {name!r:.200} {problem}",
            hint="inputs lie beside the job.toml or in folders below it",
        )
    parts = plain.split("/")
    for depth in range(1, len(parts)):
        if (job_file.parent / "/".join(parts[:depth])).is_symlink():
            raise _unusable(job_file.parent, "/".join(parts[:depth]), "it is a symbolic link")
    return plain


def _files_below(folder: Path, path: str) -> Iterator[str]:
    """Yield the path itself, or every file below it in the order of their names."""
    try:
        if (problem := RelativePath().problem(path)) is not None:
            raise _unusable(folder, path, f"its path {problem}")
        mode = (folder / path).lstat().st_mode
        if not stat.S_ISDIR(mode):
            yield path
            return
        names = sorted(entry.name for entry in (folder / path).iterdir())
    except UnicodeEncodeError as error:
        raise _unusable(folder, path, "its name is not UTF-8") from error
    except OSError as error:
        raise _unusable(folder, path, str(error.strerror)) from error
    for name in names:
        yield from _files_below(folder, f"{path}/{name}")


def _hashed(folder: Path, path: str) -> InputFile:
    source = folder / path
    digest, size = hashlib.sha256(), 0
    try:
        # Not blocking, so that a pipe in a file's place cannot hang us.
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _unusable(folder, path, "it is neither a file nor a folder")
            while chunk := file.read(READ_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
                if size > BLOB_MAX_BYTES:
                    raise _unusable(folder, path, f"it is larger than {BLOB_MAX_BYTES} bytes")
    except OSError as error:
        why = "it is a symbolic link" if source.is_symlink() else error.strerror
        raise _unusable(folder, path, str(why)) from error
    return InputFile(path, source, size, digest.hexdigest())


def _unusable(folder: Path, path: str, why: str) -> ConfigError:
    return ConfigError(f"cannot use input {folder / path}: {why}")
