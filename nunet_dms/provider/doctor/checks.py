"""The table of all checks, and what they make of one patient."""

from __future__ import annotations

from nunet_dms.provider.doctor import (
    disk_checks,
    engine_checks,
    file_checks,
    gpu_checks,
    node_checks,
    old_dms_checks,
    oracle_checks,
    platform_checks,
    requirement_checks,
)
from nunet_dms.provider.doctor.check import Check
from nunet_dms.provider.doctor.findings import Finding
from nunet_dms.provider.doctor.patient import Patient

CHECKS: tuple[Check, ...] = (
    *platform_checks.CHECKS,
    *requirement_checks.CHECKS,
    *engine_checks.CHECKS,
    *disk_checks.CHECKS,
    *gpu_checks.CHECKS,
    *file_checks.CHECKS,
    *oracle_checks.CHECKS,
    *old_dms_checks.CHECKS,
    *node_checks.CHECKS,
)
"""In the order in which to mend things: machine, engine, our files, the Oracle, and at last the
node, which stands on all of them. The first error gives the exit code."""


def diagnose(patient: Patient) -> tuple[Finding, ...]:
    """Return what every check that applies finds, in the order of the table."""
    return tuple(check.find(patient) for check in CHECKS if check.applies(patient))
