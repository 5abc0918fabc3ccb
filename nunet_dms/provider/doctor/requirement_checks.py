"""The requirements, and what is offered against what the machine has."""

from __future__ import annotations

from nunet_dms.errors import ExitCode, UsageError
from nunet_dms.machine.fingerprint import verdicts
from nunet_dms.machine.requirements import Figure, Judged, Level, Profile, Verdict
from nunet_dms.machine.share import check_share
from nunet_dms.provider.doctor.check import ERROR, NOTE, WARNING, Check, settings_read
from nunet_dms.provider.doctor.findings import Answer, error, fine, note, warning
from nunet_dms.provider.doctor.patient import Patient
from nunet_dms.provider.onboarding import CURES

CURES_HERE = {
    Figure.DOWN_KBPS: "measure while the line is free: nunet capacity --network",
    Figure.VRAM: "GPU memory: a card that has more",
}
"""Where onboarding has other words, or none."""
WHY_REFUSED = "a machine below the minimum is not taken"
WHY_WARNED = "requesters' jobs fit such a machine less often"
WHY_UNKNOWN = "what cannot be found out refuses nobody, and recommends nobody"


def _cpu_jobs(patient: Patient) -> Answer:
    verdict = _verdict(patient, Profile.CPU)
    if refused := verdict.at(Level.BELOW_MINIMUM):
        return error(_words(refused), WHY_REFUSED, _cures(refused), ExitCode.NO_CAPACITY)
    if weak := verdict.at(Level.BELOW_RECOMMENDED):
        return warning(_words(weak), WHY_WARNED, _cures(weak))
    if unknown := verdict.at(Level.UNKNOWN):
        return note(_words(unknown), WHY_UNKNOWN, _cures(unknown))
    return fine("the machine has all that is recommended for jobs on the CPU")


def _gpu_jobs(patient: Patient) -> Answer:
    if not patient.found.gpus.gpus:
        return fine("no GPU, so that there is nothing to require")
    verdict = _verdict(patient, Profile.GPU)
    if verdict.obstacle:
        return note(verdict.obstacle, "the GPU earns nothing; jobs on the CPU are not affected")
    if refused := verdict.at(Level.BELOW_MINIMUM):
        return warning(
            _words(refused), "below the minimum, jobs on a GPU are not taken", _cures(refused)
        )
    if weak := verdict.at(Level.BELOW_RECOMMENDED, Level.UNKNOWN):
        return note(_words(weak), WHY_WARNED, _cures(weak))
    return fine("the machine has all that is recommended for jobs on a GPU")


def _offer(patient: Patient) -> Answer:
    """Hold what is offered against the machine as it is now: cores and RAM may have gone."""
    settings = patient.config.settings
    offered = settings.capacity if settings else None
    if offered is None:
        return fine("nothing is offered yet")
    total_mhz, total_mb = patient.found.cpu.cores * offered.core_mhz, patient.found.memory.total_mb
    try:
        check_share("capacity.cpu_mhz", offered.cpu_mhz, total_mhz, "MHz")
        if total_mb is not None:
            check_share("capacity.ram_mb", offered.ram_mb, total_mb, "MB of RAM")
    except UsageError as wrong:
        return warning(
            str(wrong),
            "the worker sells no more than is there, and its owner should keep a tenth",
            "nunet resource-config, or: nunet onboard",
        )
    return fine(f"offered are {offered.cpu_mhz} MHz and {offered.ram_mb} MB of RAM")


def _verdict(patient: Patient, profile: Profile) -> Verdict:
    settings = patient.config.settings
    judged = verdicts(patient.found, settings.capacity.core_mhz if settings else None)
    return next(verdict for verdict in judged if verdict.profile is profile)


def _words(rows: tuple[Judged, ...]) -> str:
    return "; ".join(map(str, rows))


def _cures(rows: tuple[Judged, ...]) -> str:
    cures = {**CURES, **CURES_HERE}
    return "; ".join(cures[row.requirement.figure] for row in rows)


CHECKS = (
    Check("requirements.cpu_jobs", _cpu_jobs, (NOTE, WARNING, ERROR)),
    Check("requirements.gpu_jobs", _gpu_jobs, (NOTE, WARNING)),
    Check("settings.offer", _offer, (WARNING,), settings_read),
)
