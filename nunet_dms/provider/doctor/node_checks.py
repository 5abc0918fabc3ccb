"""The node: onboarded, its worker, and whether that takes jobs."""

from __future__ import annotations

from nunet_dms import __version__
from nunet_dms.errors import ExitCode
from nunet_dms.node.rows import NOT_YET, OK, STALE_AFTER_S, HoldCode, WorkerRow
from nunet_dms.provider.doctor.check import (
    ERROR,
    NOTE,
    WARNING,
    Check,
    onboarded,
    worker_speaks,
)
from nunet_dms.provider.doctor.findings import Answer, error, fine, note, warning
from nunet_dms.provider.doctor.patient import Patient

START = "nunet worker start"
RESTART = "nunet worker stop, then: nunet worker start"
HOLD_CURES = {
    HoldCode.OFFBOARDING: "nunet resume",
    HoldCode.PAUSED: "nunet resume",
    HoldCode.OFF_HOURS: "nunet config set availability.hours always",
    HoldCode.ON_BATTERY: "nunet config set availability.on_battery true",
    HoldCode.OWNER_BUSY: "nunet config set availability.pause_above_percent 0",
}
"""How an owner takes back what keeps new jobs away."""


def _onboarded(patient: Patient) -> Answer:
    if patient.config.are_written:
        return fine("this machine is onboarded")
    if patient.is_other_scope_onboarded:
        return error(
            f"you have not onboarded this machine for yourself ({patient.where.config_file})",
            "it is onboarded as a whole: that node's checks are not among these",
            "sudo nunet doctor",
            ExitCode.NOT_ONBOARDED,
        )
    return error(
        "this machine is not onboarded",
        "it offers nothing yet, and earns nothing",
        "nunet onboard",
        ExitCode.NOT_ONBOARDED,
    )


def _journal(patient: Patient) -> Answer:
    if problem := patient.worker.problem:
        return error(
            problem,
            "the worker does not start without it; it knows which jobs are still to be paid",
            "put back a whole copy; without one: nunet worker set-aside (open jobs are given up)",
            ExitCode.UNEXPECTED,
        )
    return fine("the journal can be read, or is not made yet")


def _worker(patient: Patient) -> Answer:
    worker = patient.worker
    if worker.pid is None:
        return error(
            "the worker is not running",
            "it is what fetches and runs jobs",
            START,
            ExitCode.WORKER_NOT_RUNNING,
        )
    if worker.row is None:
        return warning(
            f"the worker (process {worker.pid}) has not said anything yet",
            "it is starting, or it hangs",
            f"nunet status; if it stays so: {RESTART}",
        )
    silent_s = patient.now_s - worker.row.heartbeat_s
    if silent_s > STALE_AFTER_S:
        return warning(
            f"the worker (process {worker.pid}) has said nothing for {silent_s} s",
            "it hangs: it writes a word every few seconds",
            RESTART,
        )
    return fine(f"the worker runs, process {worker.pid}")


def _version(patient: Patient) -> Answer:
    row = patient.worker.row
    if row is not None and row.version != __version__:
        return warning(
            f"the worker that runs is version {row.version}, installed is {__version__}",
            "an update holds only after a restart; jobs outlive it",
            RESTART,
        )
    return fine(f"the worker is of the installed version, {__version__}")


def _reach(patient: Patient) -> Answer:
    """Say what the worker cannot reach: its user and its environment are not ours."""
    away = _away(patient.worker.row)
    if away:
        return error(
            f"the worker says: {'; '.join(away)}",
            "it may run as another user or in another environment than this command",
            f"mend engine.answers and oracle.answers; if those are fine: {RESTART}",
            ExitCode.UNREACHABLE,
        )
    return fine("the worker reaches engine and Oracle")


def _away(row: WorkerRow | None) -> list[str]:
    if row is None:
        return []
    states = (("engine", row.engine_state), ("Oracle", row.oracle_state))
    return [f"{name}: {state}" for name, state in states if state not in {OK, NOT_YET}]


def _takes_jobs(patient: Patient) -> Answer:
    row = patient.worker.row
    if row is None or row.accepting or _away(row):
        return fine("nothing but what is said above keeps new jobs away")
    if row.rests:
        return note(
            f"no new jobs are taken: {row.hold_note}",
            "its owner wants it so",
            HOLD_CURES[HoldCode(row.hold)],
        )
    reason = row.hold_note or row.note or ("" if row.ready else "it is starting or stopping")
    return warning(
        f"no new jobs are taken: {reason or 'no reason is given'}",
        "without new jobs nothing is earned",
        "nunet status",
    )


CHECKS = (
    Check("node.onboarded", _onboarded, (ERROR,)),
    Check("node.journal", _journal, (ERROR,), onboarded),
    Check("node.worker", _worker, (WARNING, ERROR), onboarded),
    Check("node.version", _version, (WARNING,), worker_speaks),
    Check("node.reach", _reach, (ERROR,), worker_speaks),
    Check("node.takes_jobs", _takes_jobs, (NOTE, WARNING), worker_speaks),
)
