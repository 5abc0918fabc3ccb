"""GPUs: driver, health, the container toolkit, and who else uses them."""

from __future__ import annotations

from nunet_dms.machine.gpu import Gpu, GpuHealth, name_processes
from nunet_dms.machine.nvidia_toolkit import toolkit_problem
from nunet_dms.machine.virtualization import Kind
from nunet_dms.provider.doctor.check import NOTE, WARNING, Check
from nunet_dms.provider.doctor.findings import Answer, fine, note, warning
from nunet_dms.provider.doctor.patient import Patient

TOOLKIT_PAGE = "docs.nvidia.com/datacenter/cloud-native/container-toolkit"
AGAIN = "do as it says, then: nunet gpu status"
"""Each problem and fault of a card comes with its cure."""


def _driver(patient: Patient) -> Answer:
    problems = patient.found.gpus.problems
    if problems:
        return warning("; ".join(problems), "a card that cannot be used earns nothing", AGAIN)
    names = ", ".join(map(_name, patient.found.gpus.gpus))
    return fine(f"usable: {names}" if names else "no GPU is here")


def _health(patient: Patient) -> Answer:
    gpus = patient.found.gpus.gpus
    sick = [gpu for gpu in gpus if gpu.health in {GpuHealth.DEGRADED, GpuHealth.LOST}]
    if sick:
        said = [f"{_name(gpu)} is {gpu.health.value}: {_faults(gpu)}" for gpu in sick]
        return warning("; ".join(said), "a job on a faulty card fails or computes wrongly", AGAIN)
    unknown = [_name(gpu) for gpu in gpus if gpu.health is GpuHealth.UNKNOWN]
    if unknown:
        return note(
            f"health that cannot be told: {', '.join(unknown)}",
            "a job on a faulty card fails or computes wrongly",
            "nunet gpu status",
        )
    return fine("no GPU has a fault")


def _toolkit(patient: Patient) -> Answer:
    found = patient.found
    has_card = any(gpu.vendor == "nvidia" for gpu in found.gpus.gpus)
    if not has_card or found.virtualization.kind is Kind.VM:
        return fine("no NVIDIA card is here that would need the container toolkit")
    version = found.engine.nvidia_toolkit
    if version is None:
        return warning(
            "the NVIDIA container toolkit is missing",
            "it is what hands a GPU to a container",
            f"install it: {TOOLKIT_PAGE}; then: sudo nvidia-ctk runtime configure"
            " --runtime=docker, and: sudo systemctl restart docker",
        )
    if problem := toolkit_problem(version):
        said, _, cure = problem.partition("; ")
        return warning(said, "its holes let a job's image take over this machine", cure)
    return fine(f"the NVIDIA container toolkit is {version}")


def _in_use(patient: Patient) -> Answer:
    used = [gpu for gpu in patient.found.gpus.gpus if gpu.processes]
    if not used:
        return fine("no process is seen to use a GPU")
    return note(
        "; ".join(f"{_name(gpu)} is used by {name_processes(gpu.processes or ())}" for gpu in used),
        "what they hold of its memory is not there for jobs",
        "nunet gpu status",
    )


def _name(gpu: Gpu) -> str:
    return f"GPU {gpu.index} ({gpu.name or gpu.vendor})"


def _faults(gpu: Gpu) -> str:
    return ", ".join(gpu.faults) or "its driver does not say why"


CHECKS = (
    Check("gpu.driver", _driver, (WARNING,)),
    Check("gpu.health", _health, (NOTE, WARNING)),
    Check("gpu.toolkit", _toolkit, (WARNING,)),
    Check("gpu.in_use", _in_use, (NOTE,)),
)
