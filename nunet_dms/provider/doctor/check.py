"""One row of the doctor's table, and when it applies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nunet_dms.provider.doctor.findings import Answer, Finding, Severity
from nunet_dms.provider.doctor.patient import Patient

NOTE, WARNING, ERROR = Severity.NOTE, Severity.WARNING, Severity.ERROR


def always(_: Patient) -> bool:
    """Look in every case."""
    return True


def engine_answers(patient: Patient) -> bool:
    """Look while the engine answers: else `engine.answers` has said it all."""
    return patient.found.engine.answers


def onboarded(patient: Patient) -> bool:
    """Look once there is a settings file: else `node.onboarded` has said it all."""
    return patient.config.are_written


def settings_read(patient: Patient) -> bool:
    """Look while the settings can be used: else `settings.valid` has said it all."""
    return patient.config.settings is not None


def oracle_answers(patient: Patient) -> bool:
    """Look while the Oracle answers: else `oracle.answers` has said it all."""
    return patient.oracle is not None and patient.oracle.info is not None


def worker_speaks(patient: Patient) -> bool:
    """Look once the worker has spoken: else `node.worker` has said it all."""
    return onboarded(patient) and patient.worker.row is not None


@dataclass(frozen=True, slots=True)
class Check:
    """A stable id, the function that judges, and the severities beside OK that it may come to."""

    id: str
    judge: Callable[[Patient], Answer]
    severities: tuple[Severity, ...]
    applies: Callable[[Patient], bool] = always

    def find(self, patient: Patient) -> Finding:
        """Return what this check finds."""
        said = self.judge(patient)
        return Finding(self.id, said.severity, said.found, said.why, said.cure, said.exit_code)
