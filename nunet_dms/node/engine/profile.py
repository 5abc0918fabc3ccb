"""The job container profile: the create call is built from ContainerSpec and from nothing else.

No part of a ticket can ask for privileges, devices, host namespaces, mounts or networks: there is
no field for them. What is not set here stays at Docker's default.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from docker.types import LogConfig, Mount, Ulimit

from nunet_dms.node.engine.deadline import DEADLINE_PATH, INIT_PATH, OWN_PROCESSES
from nunet_dms.node.engine.types import ContainerSpec
from nunet_dms.protocol.job import INPUT_FOLDER, MB

LABEL_NODE = "org.nunet.dms.node"
LABEL_JOB = "org.nunet.dms.job"
LABEL_ATTEMPT = "org.nunet.dms.attempt"
LABEL_TICKET = "org.nunet.dms.ticket"

JOB_USER_OF_ROOT = "10001:10001"
"""Who a job runs as under a worker that is root: nobody on the host."""
PIDS_MAX = 256
"""Processes and threads of one job; Docker's own default is unlimited."""
OPEN_FILES = (1024, 4096)
"""Soft and hard limit."""
SMALL_TMPFS_MAX_MB = 64
"""Of /tmp and /dev/shm; both count towards the job's RAM."""
TMPFS_INODES = 4096
OOM_SCORE_ADJ = 500
"""When the host runs out of memory, jobs go before the owner's own processes."""
LOG_FILE_MB, LOG_FILES = 32, 3
"""What Docker keeps of a job's output until we have read it, and no more: it writes faster than it
hands out. 60 MB in lines of 80 bytes take 80 MB with the driver `local` and 120 MB with json-file,
which also turns bytes that are no UTF-8 into U+FFFD and writes 70 bytes for an empty line, not 27.
A file that is compressed would have to be unpacked for every reading."""


def job_user() -> str:
    """Return who jobs run as: the worker's own user where it is not root.

    A worker that is not root can neither hand its folders to another user nor delete what that
    user leaves in them.
    """
    return JOB_USER_OF_ROOT if os.geteuid() == 0 else f"{os.geteuid()}:{os.getegid()}"


def container_name(node_id: str, job_id: str, attempt: int) -> str:
    """Return the deterministic name: creating it twice is refused by Docker itself."""
    return f"nunet-{node_id[:12]}-{job_id}-{attempt}"


def small_tmpfs_mb(ram_mb: int) -> int:
    """Return the size of /tmp and of /dev/shm for a job with this much RAM."""
    return min(SMALL_TMPFS_MAX_MB, max(ram_mb // 4, 1))


@dataclass(frozen=True, slots=True)
class ImageDefaults:
    """What an image says of how it is run."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()


def create_arguments(spec: ContainerSpec, image: ImageDefaults) -> dict[str, Any]:
    """Return the arguments of `containers.create`; declared volumes become bounded tmpfs."""
    small_mb = small_tmpfs_mb(spec.ram_mb)
    tmpfs = f"rw,nosuid,nodev,size={small_mb}m,nr_inodes={TMPFS_INODES},mode=1777"
    mounts = [
        Mount(INPUT_FOLDER, str(spec.inputs), type="bind", read_only=True),
        Mount(spec.output_folder, str(spec.outputs), type="bind"),
        *_deadline_mounts(spec),
    ]
    if spec.checkpoint is not None:
        mounts.append(Mount(spec.checkpoint_folder, str(spec.checkpoint), type="bind"))
    mounted = {mount["Target"] for mount in mounts}
    shadowed = [path for path in image.volumes if path not in mounted]
    return {
        "image": spec.image_id,
        **_command(spec, image),
        "name": spec.name,
        "labels": dict(spec.labels),
        "environment": dict(spec.env),
        "user": spec.user,
        "working_dir": spec.output_folder,
        "read_only": True,
        "init": True,
        "stop_signal": "SIGTERM",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "ipc_mode": "private",
        "network_mode": "none",
        "mem_limit": spec.ram_mb * MB,
        "memswap_limit": spec.ram_mb * MB,
        "oom_score_adj": OOM_SCORE_ADJ,
        "shm_size": small_mb * MB,
        "nano_cpus": spec.nano_cpus,
        "pids_limit": PIDS_MAX + (OWN_PROCESSES if spec.deadline else 0),
        "ulimits": [
            Ulimit(name="nofile", soft=OPEN_FILES[0], hard=OPEN_FILES[1]),
            Ulimit(name="core", soft=0, hard=0),
            Ulimit(name="fsize", soft=spec.disk_mb * MB, hard=spec.disk_mb * MB),
        ],
        "tmpfs": dict.fromkeys(["/tmp", *shadowed], tmpfs),  # noqa: S108 - inside the container
        "mounts": mounts,
        "healthcheck": {"test": ["NONE"]},
        "log_config": LogConfig(
            type="local",
            config={
                "max-size": f"{LOG_FILE_MB}m",
                "max-file": str(LOG_FILES),
                "compress": "false",
            },
        ),
    }


def _command(spec: ContainerSpec, image: ImageDefaults) -> dict[str, list[str] | None]:
    """Return what is run: the image's entrypoint and the command, with the deadline before them.

    With an entrypoint of ours Docker forgets the image's own, and its command.
    """
    command = spec.command or image.command
    if spec.deadline is None or not (image.entrypoint or command):
        return {"command": list(spec.command) or None}
    before = [DEADLINE_PATH, INIT_PATH, "-s", "--"]
    return {"entrypoint": [*before, *image.entrypoint, *command], "command": None}


def _deadline_mounts(spec: ContainerSpec) -> list[Mount]:
    if spec.deadline is None:
        return []
    return [Mount(DEADLINE_PATH, str(spec.deadline), type="bind", read_only=True)]
