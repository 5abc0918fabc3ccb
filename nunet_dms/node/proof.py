"""A test container proves the engine: made as a job's is, it looks at its limits from inside.

    python image --create, start--> probe --one line of JSON--> judge --> Proof
         profile.create_arguments, as for every job        proof_checks.py

Everything it makes is named `nunet-proof-<unix seconds>-<random>` and removed at the end. What a
killed proof leaves is found by label and name, and removed by the next one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import docker

from nunet_dms.errors import EngineUnreachableError, NunetError
from nunet_dms.machine.docker_errors import DOCKER_ERRORS
from nunet_dms.node.clock import Clock
from nunet_dms.node.engine.docker import CALL_TIMEOUT_S, DockerEngine
from nunet_dms.node.engine.profile import LABEL_JOB, LABEL_NODE, job_user
from nunet_dms.node.engine.python_image import build_python_image
from nunet_dms.node.engine.types import ContainerSpec, Engine, Facts, Failure
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.proof_checks import judge
from nunet_dms.node.proof_values import Answer, Asked, ProofCheck, asked_of
from nunet_dms.protocol.job import INPUT_FOLDER, MB

log = logging.getLogger(__name__)

PROOF_NODE = "proof"
"""The node label of a test container made for no node in particular."""
PROOF_TIMEOUT_S = 60
"""Of the container's run; it takes 1.5 s, and many times that on a machine that swaps."""
LEFTOVER_AFTER_S = 900
"""When what an older proof left is taken for abandoned; none lasts that long."""
NANO_CPUS = 500_000_000
RAM_MB = 64
"""What the container is given, with half a core: a small job. The probe uses about 25 MB."""
DISK_MB = 16
OUTPUT_FOLDER = "/nunet/out"
COPIED = "copied"
"""The file that the node puts into the inputs and looks for in the outputs."""
OUTPUT_MAX_BYTES = 64 * 1024
"""Of what the probe prints: its answer has 1 kB."""

_REAL_CLOCK = Clock()
_NAME = re.compile(r"proof-(\d{1,12})-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Proof:
    """What the test container showed, check by check, and how long it all took in seconds."""

    checks: tuple[ProofCheck, ...]
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether every check holds: the machine may run jobs."""
        return bool(self.checks) and all(check.holds for check in self.checks)


def prove_engine(
    place: Path,
    *,
    node_id: str = PROOF_NODE,
    timeout_s: int = PROOF_TIMEOUT_S,
    clock: Clock = _REAL_CLOCK,
) -> Proof:
    """Run the test container and return what it showed; leaves nothing behind.

    `place` is a folder where jobs will live, made when missing: the container gets its inputs and
    outputs from there. A probe that fails, hangs for `timeout_s` or talks nonsense is a proof that
    does not hold. Raises EngineUnreachableError when the engine does not answer, NunetError when
    it refuses a call or when the image's files cannot be gathered.
    """
    began_s = clock.monotonic_s()
    with closing(DockerEngine()) as engine:
        engine.ping()
        clear_leftovers(engine, place, node_id, clock)
        image_id = engine.find_image(_python_image())
        if image_id is None:
            raise NunetError("cannot prove the engine: it lost the image that it was given")
        name = f"proof-{int(clock.wall_s())}-{secrets.token_hex(4)}"
        with _workspace(place / name) as folder:
            secret = secrets.token_hex(32)
            (folder.inputs / COPIED).write_text(secret)
            (folder.inputs / COPIED).chmod(0o644)
            spec = _spec(name, node_id, image_id, folder)
            answer = _ask(engine, spec, timeout_s)
            checks = judge(asked_of(spec), answer, copied=_came_out(folder, secret))
    return Proof(checks, clock.monotonic_s() - began_s)


def clear_leftovers(engine: Engine, place: Path, node_id: str, clock: Clock) -> None:
    """Remove the containers and folders of proofs that were killed; young ones may still run."""
    for owned in engine.owned(node_id):
        if _is_leftover(owned.job_id, clock):
            log.warning("proof_leftover_removed container=%s", owned.name)
            engine.remove(owned.name)
    for folder in place.glob("proof-*"):
        if _is_leftover(folder.name, clock):
            log.warning("proof_leftover_removed folder=%s", folder)
            shutil.rmtree(folder, ignore_errors=True)  # the next proof tries again


def _is_leftover(name: str, clock: Clock) -> bool:
    """Tell by the time in a name; one from the future was made before the clock was set back."""
    made = _NAME.fullmatch(name)
    return made is not None and abs(clock.wall_s() - int(made[1])) > LEFTOVER_AFTER_S


def _python_image() -> str:
    try:
        client = docker.from_env(timeout=CALL_TIMEOUT_S)
    except DOCKER_ERRORS as error:
        raise EngineUnreachableError(f"cannot reach Docker: {error}", hint="docker info") from error
    with closing(client):
        return build_python_image(client)


@contextmanager
def _workspace(path: Path) -> Iterator[JobFolder]:
    """Make the folders as a job's are made; remove them whatever happens."""
    folder = JobFolder(path)
    try:
        folder.make(job_user())
        yield folder
    finally:
        shutil.rmtree(path, ignore_errors=True)  # what stays is cleared by the next proof


def _spec(name: str, node_id: str, image_id: str, folder: JobFolder) -> ContainerSpec:
    """Return the test container as a small job's container; only the command is special."""
    spec = ContainerSpec(
        name=f"nunet-{name}",
        labels=((LABEL_NODE, node_id), (LABEL_JOB, name)),
        image_id=image_id,
        command=(),
        env=(),
        nano_cpus=NANO_CPUS,
        ram_mb=RAM_MB,
        disk_mb=DISK_MB,
        user=job_user(),
        inputs=folder.inputs,
        outputs=folder.outputs,
        output_folder=OUTPUT_FOLDER,
    )
    return replace(spec, command=_command(asked_of(spec)))


def _command(asked: Asked) -> tuple[str, ...]:
    """Return how the probe is run: its text needs no file in the image (-I, -S: a quick start)."""
    told = {
        "inputs": INPUT_FOLDER,
        "outputs": OUTPUT_FOLDER,
        "file": COPIED,
        "pids": asked.pids,
        "tmp_bytes": asked.tmp_bytes,
        "file_bytes": asked.file_bytes,
    }
    return ("python3", "-I", "-S", "-c", probe_text(), json.dumps(told))


def probe_text() -> str:
    """Return the probe's program, which is shipped beside this module."""
    return files("nunet_dms.node").joinpath("proof_probe.py").read_text(encoding="utf-8")


def _ask(engine: Engine, spec: ContainerSpec, timeout_s: int) -> Answer:
    """Run the probe's container and return what it printed; remove it whatever happens."""
    try:
        created = engine.create(spec)
        if isinstance(created, Failure):
            return Answer(problem=created.detail)
        failure = engine.start(created)
        if failure is not None:
            return Answer(problem=failure.detail)
        if not engine.wait(spec.name, timeout_s):
            return Answer(problem=f"it did not end within {timeout_s} s")
        output = _bounded(record.data for record in engine.records(spec.name, 0))
        return Answer(output, _bad_end(engine.facts(spec.name), output))
    finally:
        engine.remove(spec.name)


def _bounded(chunks: Iterator[bytes]) -> bytes:
    """Return the start of the output; the rest is read too, so that the connection is done."""
    output = b""
    for chunk in chunks:
        output += chunk[: OUTPUT_MAX_BYTES - len(output)]
    return output


def _bad_end(facts: Facts | None, output: bytes) -> str:
    """Say what is wrong with how the container ended; empty when nothing is."""
    if facts is None:
        return "its container vanished"
    if facts.exit_code == 0:
        return ""
    cause = ", out of memory" if facts.oom_killed else ""
    said = output.decode("utf-8", errors="replace").strip().rpartition("\n")[2]
    return f"it ended with exit code {facts.exit_code}{cause}; it said: {said or 'nothing'}"


def _came_out(folder: JobFolder, secret: str) -> bool:
    """Whether the probe's copy is among the results, collected as a job's are."""
    results, _ = folder.collect(DISK_MB * MB)
    wanted = hashlib.sha256(secret.encode()).hexdigest()
    return any(entry.path == COPIED and entry.sha256 == wanted for entry in results.files)
