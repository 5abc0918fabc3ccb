"""A small container image made of this machine's own Python: nothing is downloaded.

    interpreter --probe--> Interpreter --collect--> {path in the image: file here}
                                                          |
    reference <--load-- archive <--config, manifest-- layer tar

The image holds the interpreter, its standard library and the shared libraries that `ldd` names,
each under the path it has here, so that a pyenv build finds itself under its own prefix. The same
files give the same bytes: names sorted, times at zero, owner root. An image that the engine already
has is recognised by its layer and not sent again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from docker import DockerClient
from docker.errors import DockerException, ImageNotFound
from requests.exceptions import RequestException

from nunet_dms.errors import EngineUnreachableError, NunetError

REPOSITORY = "nunet-python"
JOB_UID = 10001  # the user that jobs run as; it needs a line in /etc/passwd

PROBE_TIMEOUT_S = 30  # starting an interpreter, or ldd over 80 small files, takes under 1 s
MAX_LAYER_BYTES = 256 * 1024 * 1024  # a Python is 25 to 60 MB; more means that we took too much
BLOCK_BYTES = 1024 * 1024  # read size while hashing

SKIPPED_FOLDERS = frozenset(
    (
        *("__pycache__", "dist-packages", "site-packages"),  # not the standard library's text
        *("test", "tests", "idle_test", "idlelib", "turtledemo", "tkinter", "pydoc_data"),
        *("ensurepip", "lib2to3"),
    )
)
SKIPPED_PREFIXES = (
    *("config-", "_test", "_ctypes_test", "_xxtest", "xxlimited"),  # to build and test Python
    *("_tkinter", "_curses", "readline", "nis", "_dbm", "_gdbm"),  # big libraries no job needs
)
SKIPPED_SUFFIXES = (".a", ".bat", ".exe", ".pyc")
UNNAMED_LIBRARIES = ("libgcc_s.so.1",)  # glibc opens it by name when a thread ends; ldd is silent

FOLDERS = {"tmp": 0o1777, "nunet": 0o755, "nunet/in": 0o755, "nunet/out": 0o755}
TEXTS = {
    "etc/passwd": f"root:x:0:0:root:/root:/bin/false\njob:x:{JOB_UID}:{JOB_UID}::/tmp:/bin/false\n",
    "etc/group": f"root:x:0:\njob:x:{JOB_UID}:\n",
}
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}  # uname's word -> Go's, which images use

PROBE = """
import os, sys
print(sys.base_prefix)
print(os.path.dirname(os.__file__))
print("python%d.%d" % sys.version_info[:2])
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python as it was installed; never a virtual environment."""

    executable: Path
    stdlib: Path


def build_python_image(client: DockerClient, python: Path | None = None) -> str:
    """Give the engine an image of `python` (default: the one running) and return its reference.

    The reference is `nunet-python@sha256:<image id>`. Raises `NunetError` when the files
    cannot be gathered, `EngineUnreachableError` when the engine does not take them. Docker Engine
    API v1.41, `POST /images/load`; archive as in the Docker Image Specification v1.2.
    """
    interpreter = probe(python or Path(sys.executable))
    files = collect(interpreter)
    with tempfile.TemporaryFile() as layer:
        write_layer(layer, files, interpreter.executable)
        layer_id = "sha256:" + hash_of(layer)
        config = image_config(layer_id, library_folders(files))
        tag = f"{REPOSITORY}:{hashlib.sha256(config).hexdigest()[:12]}"
        try:
            image_id = known_image(client, tag, layer_id) or load(client, tag, config, layer)
        except (DockerException, RequestException) as error:
            message = f"cannot load the Python image: {error}"
            raise EngineUnreachableError(message, hint="docker info") from error
    return f"{REPOSITORY}@{image_id}"


def probe(python: Path) -> Interpreter:
    """Ask `python` where it is really installed; a virtual environment answers with its base."""
    prefix, stdlib, name = output_of([str(python), "-I", "-c", PROBE]).splitlines()
    executable = Path(prefix, "bin", name)
    if not executable.is_file():
        executable = python.resolve()
    return Interpreter(executable, Path(stdlib))


def collect(interpreter: Interpreter) -> dict[str, Path]:
    """Map each path in the image (without the leading slash) to the file here that it copies."""
    sources = [interpreter.executable, *standard_library(interpreter.stdlib)]
    binaries = [path for path in sources if path.suffix == ".so" or path == interpreter.executable]
    libraries = shared_libraries(binaries)
    beside = [
        folder / name
        for folder in sorted({path.parent for path in libraries})
        for name in UNNAMED_LIBRARIES
        if (folder / name).is_file()
    ]
    return {os.path.normpath(path).lstrip("/"): path for path in (*sources, *libraries, *beside)}


def standard_library(stdlib: Path) -> Iterator[Path]:
    """Every file of the standard library that a job could import."""
    for folder, names, files in os.walk(stdlib):
        names[:] = [
            name
            for name in names
            if name not in SKIPPED_FOLDERS and not name.startswith(SKIPPED_PREFIXES)
        ]
        for name in files:
            path = Path(folder, name)
            skipped = name.startswith(SKIPPED_PREFIXES) or name.endswith(SKIPPED_SUFFIXES)
            if not skipped and path.is_file():  # Debian ships links that may lead nowhere
                yield path


def shared_libraries(binaries: Iterable[Path]) -> list[Path]:
    """The libraries that `binaries` load, the ELF loader among them, sorted."""
    listing = output_of(["ldd", *map(str, binaries)], accept=(0, 1))  # 1: one of them needs none
    return sorted(set(parse_ldd(listing)))


def parse_ldd(listing: str) -> Iterator[Path]:
    """Read ldd's lines: `name => /path (0x...)` for a library, `/path (0x...)` for the loader.

    Skips what has no file (linux-vdso), what is not found, and the headings of several files.
    """
    for line in listing.splitlines():
        place = line.partition("=>")[2] or line
        path = place.strip().rpartition(" (0x")[0]
        if line.startswith("\t") and path.startswith("/"):
            yield Path(path)


def library_folders(files: Mapping[str, Path]) -> list[str]:
    """Folders of the image that the ELF loader must search; each distribution has its own."""
    named = (Path("/", name) for name in files if ".so." in name)
    return sorted({str(path.parent) for path in named})


def write_layer(out: IO[bytes], files: Mapping[str, Path], executable: Path) -> None:
    """Write the root file system as a tar, byte for byte the same for the same files."""
    command = "usr/bin/python3" if "usr/bin/python3" not in files else ""
    folders = dict.fromkeys(parents([*files, *TEXTS, *FOLDERS, command]), 0o755) | FOLDERS
    size = sum(path.stat().st_size for path in files.values())
    if size > MAX_LAYER_BYTES:
        message = f"cannot build the Python image: {size} bytes of Python, limit {MAX_LAYER_BYTES}"
        raise NunetError(message)
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, mode in sorted(folders.items()):
            tar.addfile(member(name, mode=mode, kind=tarfile.DIRTYPE))
        for name, text in sorted(TEXTS.items()):
            tar.addfile(member(name, size=len(text)), io.BytesIO(text.encode()))
        for name, path in sorted(files.items()):
            runs = path.stat().st_mode & 0o100
            with path.open("rb") as content:
                size = os.fstat(content.fileno()).st_size
                tar.addfile(member(name, mode=0o755 if runs else 0o644, size=size), content)
        if command:
            link = member(command, kind=tarfile.SYMTYPE)
            link.linkname = os.path.normpath(executable)
            tar.addfile(link)


def parents(names: Iterable[str]) -> set[str]:
    """Every folder above one of `names`."""
    return {str(folder) for name in names for folder in Path(name).parents} - {"."}


def member(
    name: str, *, mode: int = 0o644, size: int = 0, kind: bytes = tarfile.REGTYPE
) -> tarfile.TarInfo:
    """A tar header owned by root and dated 1970, so that only the content counts."""
    header = tarfile.TarInfo(name)
    header.mode, header.size, header.type = mode, size, kind
    return header


def image_config(layer_id: str, folders: list[str]) -> bytes:
    """The image's configuration: where python3 and its libraries are, and what it is made of."""
    machine = platform.machine()
    moment = "1970-01-01T00:00:00Z"
    environment = [
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "LD_LIBRARY_PATH=" + ":".join(folders),
        "PYTHONUNBUFFERED=1",  # a job's lines reach its log as they are printed
        "PYTHONDONTWRITEBYTECODE=1",  # its root file system is read-only
    ]
    config = {
        "architecture": MACHINES.get(machine, machine),
        "os": "linux",
        "created": moment,
        "config": {"Env": environment, "Cmd": ["python3"], "WorkingDir": "/tmp"},  # noqa: S108 -- in the image
        "rootfs": {"type": "layers", "diff_ids": [layer_id]},
        "history": [{"created": moment, "created_by": "nunet-dms"}],
    }
    return json.dumps(config, sort_keys=True).encode()


def known_image(client: DockerClient, tag: str, layer_id: str) -> str | None:
    """The id of the image under `tag` if it is made of exactly our layer."""
    try:
        image = client.images.get(tag)
    except ImageNotFound:
        return None
    return str(image.id) if image.attrs.get("RootFS", {}).get("Layers") == [layer_id] else None


def load(client: DockerClient, tag: str, config: bytes, layer: IO[bytes]) -> str:
    """Send the archive; return the id that the engine gave the image.

    The containerd store of newer engines names an image by its manifest and not by its
    configuration, so the id is asked for and never computed.
    """
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [tag], "Layers": ["layer.tar"]}]
    with tempfile.TemporaryFile() as archive:
        layer_size = layer.seek(0, os.SEEK_END)
        layer.seek(0)
        listing = json.dumps(manifest).encode()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.addfile(member(name, size=len(config)), io.BytesIO(config))
            tar.addfile(member("layer.tar", size=layer_size), layer)
            tar.addfile(member("manifest.json", size=len(listing)), io.BytesIO(listing))
        archive.seek(0)
        client.images.load(archive)
    return str(client.images.get(tag).id)


def hash_of(file: IO[bytes]) -> str:
    """Hex sha256 of a whole file, read in blocks."""
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


def output_of(command: list[str], accept: tuple[int, ...] = (0,)) -> str:
    """What a short command prints; raises `NunetError` when it is missing, fails or hangs."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(  # a list of our own making
            command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NunetError(f"cannot build the Python image: {name}: {error}") from error
    if done.returncode not in accept:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise NunetError(f"cannot build the Python image: {name}: {last}")
    return done.stdout
