"""What can be made wrong with a machine that is well, and which finding must say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nunet_dms.errors import ExitCode
from nunet_dms.machine.gpu import GpuFacts
from nunet_dms.machine.network import Attachment, NetworkFacts, SpeedFacts
from nunet_dms.machine.systemd import SystemdFacts
from nunet_dms.machine.virtualization import Kind, VirtualizationFacts
from nunet_dms.provider.doctor.findings import Severity
from nunet_dms.provider.doctor.old_dms import OldDmsFacts
from nunet_dms.provider.doctor.patient import Patient, SettingsFacts
from nunet_dms.provider.first_contact import Contact
from tests.unit.machine_world import CARD
from tests.unit.provider.doctor_world import (
    INFO,
    ROW,
    SETTINGS,
    URL,
)

OK, NOTE, WARNING, ERROR = Severity
Change = Callable[[Patient], Patient]


@dataclass(frozen=True)
class Case:
    """What is wrong, and which finding must say so: words of `found` and of `cure`."""

    id: str
    severity: Severity
    change: Change
    found: str
    cure: str = ""
    exit_code: ExitCode = ExitCode.DEGRADED
    """Of an error; else by the severity."""


def found(**facts: object) -> Change:
    """Change facts of the machine."""
    return lambda patient: replace(patient, found=replace(patient.found, **facts))  # type: ignore[arg-type]


def engine(**facts: object) -> Change:
    return lambda patient: found(engine=replace(patient.found.engine, **facts))(patient)  # type: ignore[arg-type]


def card(**facts: object) -> Change:
    return found(gpus=GpuFacts((replace(CARD, **facts),), ()))  # type: ignore[arg-type]


def machine(kind: Kind, hypervisor: str = "", container: str = "") -> Change:
    return found(virtualization=VirtualizationFacts(kind, hypervisor, "a file", container))


def network(attachment: Attachment) -> Change:
    return found(network=NetworkFacts("eth0", "10.0.2.2", attachment, "its gateway says so"))


def files(name: str, **facts: object) -> Change:
    def change(patient: Patient) -> Patient:
        changed = replace(getattr(patient.files, name), **facts)
        return replace(patient, files=replace(patient.files, **{name: changed}))

    return change


def settings(section: str, **values: object) -> Change:
    changed = replace(getattr(SETTINGS, section), **values)
    return patient(config=SettingsFacts(replace(SETTINGS, **{section: changed})))


def row(**facts: object) -> Change:
    def change(patient: Patient) -> Patient:
        said = replace(patient.worker.row or ROW, **facts)  # type: ignore[arg-type]
        return replace(patient, worker=replace(patient.worker, row=said))

    return change


def worker(**facts: object) -> Change:
    return lambda patient: replace(patient, worker=replace(patient.worker, **facts))  # type: ignore[arg-type]


def oracle(**facts: object) -> Change:
    def change(before: Patient) -> Patient:
        word = before.oracle or Contact(URL, INFO)
        return replace(before, oracle=replace(word, **facts))  # type: ignore[arg-type]

    return change


def patient(**facts: object) -> Change:
    return lambda before: replace(before, **facts)  # type: ignore[arg-type]


def old(**facts: object) -> Change:
    return patient(old_dms=OldDmsFacts(**facts))  # type: ignore[arg-type]


def all_of(*changes: Change) -> Change:
    def change(patient: Patient) -> Patient:
        for each in changes:
            patient = each(patient)
        return patient

    return change


NOT_ONBOARDED = patient(config=SettingsFacts())
NO_SYSTEMD = found(systemd=SystemdFacts(present=True, running=False))
WSL1, WSL2 = machine(Kind.WSL1), machine(Kind.WSL2, "hyperv")
VM = all_of(machine(Kind.VM, "virtualbox"), network(Attachment.BRIDGED))
SLOW_LINE = SpeedFacts(1_000, 1_000, 1)
