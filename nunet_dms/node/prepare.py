"""How a job's container is made, once its image is here: its inputs, and the container."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.node.admission import VerifiedJob
from nunet_dms.node.allocator import cores_of, nano_cpus
from nunet_dms.node.deps import Deps
from nunet_dms.node.engine.deadline import deadline_program
from nunet_dms.node.engine.profile import (
    LABEL_ATTEMPT,
    LABEL_JOB,
    LABEL_NODE,
    LABEL_TICKET,
    container_name,
)
from nunet_dms.node.engine.types import ContainerSpec, Failure
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.limits import STOP_GRACE_S
from nunet_dms.node.rows import JobRow
from nunet_dms.protocol.job import INPUT_FOLDER
from nunet_dms.wholefile import write_whole

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A container that waits to be started."""

    container_id: str


def prepare(
    deps: Deps, row: JobRow, job: VerifiedJob, folder: JobFolder, image_id: str
) -> Prepared | Failure:
    """Stage and create; every part may be repeated. Raises UnreachableError to try again."""
    existing = deps.engine.facts(container_name(deps.identity.node_id, row.job_id, row.attempt))
    if existing is not None:
        return Prepared(existing.container_id)
    folder.make(deps.user, with_checkpoint=job.spec.checkpoint is not None)
    folder.stage(job.spec.inputs, deps.oracle.get_blob)
    if (resume := job.spec.resume) is not None:
        folder.stage_checkpoint(resume.files, deps.oracle.get_blob, deps.user)
    created = deps.engine.create(container_spec(deps, row, job, folder, image_id))
    return created if isinstance(created, Failure) else Prepared(created)


def container_spec(
    deps: Deps, row: JobRow, job: VerifiedJob, folder: JobFolder, image_id: str
) -> ContainerSpec:
    """Return how a verified job's container is made."""
    spec, resources = job.spec, job.spec.resources
    cores = cores_of(resources.cpu_mhz, deps.core_mhz)
    limits = {
        "NUNET_JOB_ID": row.job_id,
        "NUNET_CPU_MHZ": str(resources.cpu_mhz),
        "NUNET_RAM_MB": str(resources.ram_mb),
        "NUNET_TIME_LIMIT_S": str(spec.time_limit_s),
        "NUNET_INPUT_DIR": INPUT_FOLDER,
        "NUNET_OUTPUT_DIR": spec.outputs,
        "OMP_NUM_THREADS": str(cores),  # libraries that count the host's cores would be throttled
    }
    if spec.checkpoint is not None:
        limits["NUNET_CHECKPOINT_DIR"] = spec.checkpoint.folder
    return ContainerSpec(
        name=container_name(deps.identity.node_id, row.job_id, row.attempt),
        labels=(
            (LABEL_NODE, deps.identity.node_id),
            (LABEL_JOB, row.job_id),
            (LABEL_ATTEMPT, str(row.attempt)),
            (LABEL_TICKET, row.ticket_id),
        ),
        image_id=image_id,
        command=spec.command,
        env=tuple(sorted({**limits, **spec.env}.items())),
        nano_cpus=nano_cpus(resources.cpu_mhz, deps.core_mhz),
        ram_mb=resources.ram_mb,
        disk_mb=resources.disk_mb,
        user=deps.user,
        inputs=folder.inputs,
        outputs=folder.outputs,
        output_folder=spec.outputs,
        deadline=_write_deadline(deps, row, folder),
        checkpoint=None if spec.checkpoint is None else folder.checkpoint,
        checkpoint_folder="" if spec.checkpoint is None else spec.checkpoint.folder,
    )


def _write_deadline(deps: Deps, row: JobRow, folder: JobFolder) -> Path | None:
    """Write the program that ends the job from inside; None where it cannot be run."""
    after_s = row.time_limit_s + deps.deadline_margin_s
    program = deadline_program(after_s, STOP_GRACE_S)
    if program is None or os.statvfs(folder.path).f_flag & os.ST_NOEXEC:
        why = "noexec" if program else "machine"
        log.warning("no_deadline_inside job=%s why=%s", row.job_id, why)
        return None
    write_whole(folder.deadline, program)
    folder.deadline.chmod(0o755)  # the job's user runs it
    return folder.deadline
