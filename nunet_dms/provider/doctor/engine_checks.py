"""The container engine: that it answers, keeps jobs, and can hold them to their limits."""

from __future__ import annotations

import re

from nunet_dms.errors import ExitCode
from nunet_dms.machine.virtualization import Kind
from nunet_dms.provider.doctor.check import ERROR, NOTE, WARNING, Check, engine_answers
from nunet_dms.provider.doctor.findings import Answer, error, fine, note, warning
from nunet_dms.provider.doctor.patient import Patient

OLDEST_API = (1, 41)
"""Docker 20.10: the calls of node/engine/docker.py are of this version."""
UPDATE = "install a newer one: docs.docker.com/engine/install"
ASK_DOCKER = "docker info"
PROOF = "nunet doctor --proof"

_API = re.compile(r"(\d{1,3})\.(\d{1,4})")
_LIMITS = re.compile(
    r"No (?:memory|swap|cpu|cpuset|pids?)\b.* (?:limit|quota|period)", re.IGNORECASE
)
_OPEN_API = re.compile(r"API is accessible on \S+ without encryption", re.IGNORECASE)


def _answers(patient: Patient) -> Answer:
    engine = patient.found.engine
    if engine.answers:
        return fine(f"Docker {engine.version} answers")
    why = "jobs are containers: without it none can run"
    return error(engine.problem, why, engine.cure or ASK_DOCKER, ExitCode.UNREACHABLE)


def _version(patient: Patient) -> Answer:
    engine = patient.found.engine
    api = _API.fullmatch(engine.api_version)
    if api is None:
        return note(
            f"Docker {engine.version} does not say which API it speaks",
            "the worker needs API 1.41 (Docker 20.10) or later",
            "docker version",
        )
    if (int(api[1]), int(api[2])) < OLDEST_API:
        return error(
            f"Docker {engine.version} is too old: it speaks API {engine.api_version}",
            "the worker needs API 1.41 (Docker 20.10) or later",
            UPDATE,
            ExitCode.UNREACHABLE,
        )
    return fine(f"it speaks API {engine.api_version}")


def _cgroups(patient: Patient) -> Answer:
    engine = patient.found.engine
    if engine.cgroup_driver == "none":
        return error(
            "this Docker applies no limits: its cgroup driver is none",
            "a job could take all of this machine's CPU and memory",
            "let systemd delegate cgroups to it: docs.docker.com/engine/security/rootless",
            ExitCode.REFUSED,
        )
    if engine.cgroup_version == 1:
        return note(
            "control groups are of version 1",
            "limits hold there too, but it is told less surely that a job ran out of memory",
            "add systemd.unified_cgroup_hierarchy=1 to the kernel's command line, then reboot",
        )
    if engine.cgroup_version is None:
        return note(
            "Docker does not say which control groups it uses",
            "by them jobs are held to their limits",
            PROOF,
        )
    return fine(f"control groups are of version 2, by {engine.cgroup_driver}")


def _storage(patient: Patient) -> Answer:
    driver = patient.found.engine.storage_driver
    if driver == "vfs":
        return warning(
            "Docker's storage driver is vfs",
            "it copies the whole image for every job: slow, and gigabytes of disk each time",
            'set {"storage-driver": "overlay2"} in /etc/docker/daemon.json, then:'
            " sudo systemctl restart docker (images are pulled anew)",
        )
    return fine(f"Docker's storage driver is {driver or 'not told'}")


def _live_restore(patient: Patient) -> Answer:
    engine = patient.found.engine
    if engine.live_restore:
        return fine("jobs outlive a restart of Docker (live-restore)")
    if engine.live_restore is None:
        return note(
            "Docker does not say whether jobs outlive its restart (live-restore)",
            "an update of Docker may end every job",
            ASK_DOCKER,
        )
    return warning(
        "jobs end when Docker is restarted: live-restore is off",
        "every update of Docker ends all jobs, and they are not paid",
        f'put "live-restore": true into {_daemon_file(patient)}, then: {_reload(patient)}',
    )


def _warnings(patient: Patient) -> Answer:
    said = [each.removeprefix("WARNING: ") for each in patient.found.engine.warnings]
    text = "Docker warns: " + "; ".join(said)
    if any(map(_OPEN_API.search, said)):
        return warning(
            text,
            "whoever reaches that port is root on this machine",
            f"take the hosts line with tcp:// out of {_daemon_file(patient)}, then:"
            " sudo systemctl restart docker",
        )
    if any(map(_LIMITS.search, said)):
        return warning(
            text,
            "the kernel does not count what a job takes, so that the limit does not hold",
            "add cgroup_enable=memory swapaccount=1 to the kernel's command line"
            " (Debian, Ubuntu: GRUB_CMDLINE_LINUX in /etc/default/grub, then: sudo update-grub),"
            " and reboot",
        )
    if said:
        return note(text, "nothing that a job needs, as far as we know", ASK_DOCKER)
    return fine("Docker warns of nothing")


def _rootless(patient: Patient) -> Answer:
    if patient.found.engine.rootless:
        return note(
            "Docker runs without root (rootless)",
            "safer; limits hold only as far as systemd delegates them, and it ends when its user"
            " logs out, unless that user lingers",
            f"loginctl enable-linger {patient.user.name or patient.user.uid}; then: {PROOF}",
        )
    return fine("Docker runs as root")


def _proof(patient: Patient) -> Answer:
    proof = patient.proof
    if proof is None:
        return note(
            "no test container was run",
            "only a container shows from inside whether limits hold",
            PROOF,
        )
    if proof.problem:
        return error(
            proof.problem,
            "a machine goes online only after a test container has shown that limits hold",
            proof.cure or ASK_DOCKER,
            proof.exit_code,
        )
    wrong = [check for check in proof.checks if not check.holds]
    if wrong or not proof.checks:
        said = [f"{each.id}: asked {each.asked}, seen {each.seen}" for each in wrong]
        return error(
            "a test container got past its limits: " + ("; ".join(said) or "it showed nothing"),
            "; ".join(dict.fromkeys(each.why for each in wrong)) or "nothing was proven",
            f"mend what engine.cgroups and engine.warnings say, update Docker, then again: {PROOF}",
            ExitCode.REFUSED,
        )
    return fine(f"a test container was held to its limits, checks made: {len(proof.checks)}")


def _daemon_file(patient: Patient) -> str:
    rootless = patient.found.engine.rootless
    return "~/.config/docker/daemon.json" if rootless else "/etc/docker/daemon.json"


def _reload(patient: Patient) -> str:
    found = patient.found
    if found.engine.rootless:
        return "systemctl --user reload docker"
    return "sudo systemctl reload docker" if found.systemd.running else "sudo pkill -HUP dockerd"


def _has_engine_ever(patient: Patient) -> bool:
    """Under WSL 1 there can be none; `platform.wsl_version` says so."""
    return patient.found.virtualization.kind is not Kind.WSL1


CHECKS = (
    Check("engine.answers", _answers, (ERROR,), _has_engine_ever),
    Check("engine.version", _version, (NOTE, ERROR), engine_answers),
    Check("engine.cgroups", _cgroups, (NOTE, ERROR), engine_answers),
    Check("engine.storage", _storage, (WARNING,), engine_answers),
    Check("engine.live_restore", _live_restore, (NOTE, WARNING), engine_answers),
    Check("engine.warnings", _warnings, (NOTE, WARNING), engine_answers),
    Check("engine.rootless", _rootless, (NOTE,), engine_answers),
    Check("engine.proof", _proof, (NOTE, ERROR), engine_answers),
)
