"""What must hold in every history, whatever befell it.

Some of it is looked at while it goes on (`Watch`), the rest at its end (`check_end`). What the
worker says is compared with what really happened in the containers, never with its own words.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from nunet_dms.node.engine.profile import LABEL_JOB
from nunet_dms.node.limits import STOP_GRACE_S
from nunet_dms.protocol.report import Reason, Report
from tests.simulation.container import STATE, Container, Program
from tests.simulation.oracle_job import OracleJob
from tests.simulation.papers import CORE_MHZ

if TYPE_CHECKING:
    from tests.simulation.world import World

CAPACITY_MHZ = 2 * CORE_MHZ
HOLDS_CAPACITY = frozenset({"admitted", "accepted", "created", "starting", "running"})
"""As the design says; the worker's own list is what is tested."""
ROUNDING_MS = 5
LIMIT_SLACK_S = 1.0
"""A job may be said to have reached its limit that much earlier than by our clock."""
AFTER_LOSS_S = STOP_GRACE_S + 2.0
"""So long a container may run on once its worker heard of a lost lease, calls and turns aside."""


def check_running(world: World) -> None:
    """See that no more runs than there is room for; asked whenever a container starts."""
    running = [each for each in world.daemon.containers.values() if each.status == "running"]
    used_mhz = sum(each.spec.nano_cpus * CORE_MHZ // 10**9 for each in running)
    if used_mhz > CAPACITY_MHZ:
        world.violated(f"capacity exceeded: {used_mhz} MHz run of {CAPACITY_MHZ}")


def check_taken(world: World) -> None:
    """See that what is promised fits; asked whenever the Oracle gives a job away."""
    if world.life is None:
        return
    promised = [row for row in world.life.rows() if row.state.value in HOLDS_CAPACITY]
    used_mhz = sum(row.cpu_mhz for row in promised)
    if used_mhz > CAPACITY_MHZ:
        world.violated(f"capacity exceeded: {used_mhz} MHz promised of {CAPACITY_MHZ}")


def check_stopped(world: World, job_id: str) -> None:
    """See that a job whose lease is lost does not run on, unless it was just being started."""
    told_s = world.oracle.jobs[job_id].told_lost_s or 0.0
    for each in world.daemon.containers.values():
        had_begun = (each.truth.started_s or told_s) < told_s
        if each.job_id == job_id and each.status == "running" and had_begun:
            world.violated(f"job {job_id[:4]}: runs on though its lease is lost")


def check_end(world: World) -> None:
    """See what a history left, and whether all that was said in it is true."""
    for job in world.oracle.jobs.values():
        _check_one_report(world, job)
        _check_money(world, job)
        found = _containers(world, job)
        _check_runs(world, job, found)
        if job.report is not None:
            _check_facts(world, job, job.report, found)
            _check_log(world, job, found)
        _check_resumed(world, job, found)
        _check_saved(world, job, found)
    _check_left(world)


def _check_one_report(world: World, job: OracleJob) -> None:
    if len(job.bodies) > 1:
        world.violated(f"job {job.job_id[:4]}: {len(job.bodies)} bodies under one key")
    was_taken = job.started_s is not None
    lost = "not heard of" in job.why
    if was_taken and not lost and job.accepted_reports != 1:
        world.violated(f"job {job.job_id[:4]}: {job.accepted_reports} reports, {job.state}")
    if job.accepted_reports > 1 or (lost and job.accepted_reports):
        world.violated(f"job {job.job_id[:4]}: reported more than once")
    if lost and not (world.faults.met - {"network"}):
        world.violated(f"job {job.job_id[:4]}: its lease was lost for nothing")


def _check_money(world: World, job: OracleJob) -> None:
    if len(job.paid) != 1 or sum(job.paid[0]) != job.price or min(job.paid[0]) < 0:
        world.violated(f"job {job.job_id[:4]}: paid {job.paid} of {job.price}")
        return
    row = next((row for row in world.rows_at_end if row.job_id == job.job_id), None)
    earned = row.earned if row is not None and row.state.value == "settled" else 0
    if row is not None and row.state.value != "lost" and earned != job.paid[0][0]:
        world.violated(f"job {job.job_id[:4]}: earned {earned}, paid {job.paid}")


def _containers(world: World, job: OracleJob) -> list[Container]:
    here = [*world.daemon.gone, *world.daemon.containers.values()]
    return [each for each in here if dict(each.spec.labels)[LABEL_JOB] == job.job_id]


def _check_runs(world: World, job: OracleJob, found: list[Container]) -> None:
    ends = [each for each in found if each.truth.by in {"itself", "oom"}]
    starts = sum(each.truth.starts for each in found)
    if starts > 1 or len(ends) > 1:
        world.violated(f"job {job.job_id[:4]}: started {starts} times, ended {len(ends)}")
    if starts and job.started_s is None:
        world.violated(f"job {job.job_id[:4]}: ran, and was never accepted")
    for each in found:
        if each.truth.by == "remove" and job.report is not None:
            world.violated(f"job {job.job_id[:4]}: removed while it ran")


def _check_facts(world: World, job: OracleJob, report: Report, found: list[Container]) -> None:
    ran = next((each for each in found if each.truth.starts), None)
    allowed = _reasons(world, job, ran)
    if report.reason not in allowed:
        names = sorted(reason.value for reason in allowed)
        ended = (ran.truth.by, ran.exit_code) if ran else "never ran"
        world.violated(
            f"job {job.job_id[:4]}: {report.reason.value} ({report.detail}), but {ended}: {names}"
        )
    truth_ms = int(_ran_at_most_s(world, job, ran) * 1000)
    if report.ran_ms > truth_ms + ROUNDING_MS:
        world.violated(f"job {job.job_id[:4]}: {report.ran_ms} ms reported, {truth_ms} ran")
    if report.exit_code is not None and (ran is None or report.exit_code != ran.exit_code):
        world.violated(f"job {job.job_id[:4]}: exit code {report.exit_code} is not its own")


def _ran_at_most_s(world: World, job: OracleJob, ran: Container | None) -> float:
    """Return how long a job can be said to have run; as long as it did, unless a clock was set.

    Once: its start may be taken for the moment at which it was asked for. More than once: one
    setting may hide what the other did to the engine's times, until the job was reported.
    """
    if ran is None or ran.truth.started_s is None or ran.truth.ended_s is None:
        return 0.0
    given_s = ran.truth.started_s if job.started_s is None else job.started_s
    times = sum(given_s <= when_s <= job.reported_s for when_s in world.clock_set_s)
    if times == 0:
        return ran.truth.ran_s
    return (ran.truth.ended_s if times == 1 else job.reported_s) - given_s


def _reasons(world: World, job: OracleJob, ran: Container | None) -> set[Reason]:
    """Return what may be said of a job, by what happened in its container and around it."""
    stops = _stops(world, job, ran)
    if job.report is not None and "in quarantine" in job.report.detail:
        return {Reason.NODE_FAULT} if world.faults.crashes >= 2 else set()
    met, program = world.faults.met, world.program_of(job)
    if ran is None:
        return stops | _never_ran(program, is_shaken=bool(met))
    ours = {Reason.NODE_FAULT}
    shaking = {f"{how} {job.job_id}" for how in ("remove", "stop", "kill", "provider cancels")}
    is_shaken = bool(met & {"reboot", "engine away", *shaking})
    own: set[Reason] = set()
    if ran.truth.by == "itself":
        own = {Reason.SUCCEEDED if ran.exit_code == 0 else Reason.FAILED}
    elif ran.truth.by in OWN_ENDS:
        own = {OWN_ENDS[ran.truth.by]}
        if ran.truth.by == "deadline" and "clock jump" in met:
            own.add(Reason.FAILED)  # then its exit code is all that is known
    elif ran.truth.by != "stop":
        own = ours
    return own | stops | (ours if is_shaken else set())


def _never_ran(program: Program, *, is_shaken: bool) -> set[Reason]:
    """Return what may be said of a job that did not run."""
    why = {Reason.NODE_FAULT} if is_shaken else set()
    if program.image == "missing":
        why.add(Reason.IMAGE_UNAVAILABLE)
    if not program.starts:
        why.add(Reason.START_ERROR)
    return why


def _stops(world: World, job: OracleJob, ran: Container | None) -> set[Reason]:
    """Return for which reasons the worker may have stopped a job."""
    met = world.faults.met
    reasons = set()
    if job.cancel_requested:
        reasons.add(Reason.CANCELLED)
    if f"provider cancels {job.job_id}" in met or job.told_lost_s is not None:
        reasons.add(Reason.NODE_FAULT)
    if ran is not None:
        least_s = job.paper.spec.time_limit_s - LIMIT_SLACK_S
        since_s = job.reported_s - (ran.truth.started_s or job.reported_s)
        may_be_over = "clock jump" in met and since_s >= least_s  # stop or end, nobody knows which
        if may_be_over or _ran_at_most_s(world, job, ran) >= least_s:
            reasons.add(Reason.TIME_LIMIT)
        if ran.program.fills_disk:
            reasons.add(Reason.DISK_LIMIT)
    return reasons


def _check_log(world: World, job: OracleJob, found: list[Container]) -> None:
    written = b"".join(each.truth.written for each in found)
    if job.log_complete and job.log != written:
        world.violated(f"job {job.job_id[:4]}: log {job.log!r} is called complete: {written!r}")
    excuses = {"engine away", "reboot", "disk full", "engine", f"rotate {job.job_id}"}
    if job.report is not None and "in quarantine" in job.report.detail:
        return
    is_excused = world.faults.met & {*excuses, f"remove {job.job_id}"}
    ran = any(each.truth.starts for each in found)
    if ran and not job.log_complete and not is_excused:
        world.violated(f"job {job.job_id[:4]}: its log is called incomplete for nothing")


def _check_resumed(world: World, job: OracleJob, found: list[Container]) -> None:
    """See that a job went on from the very state that its requester named, or from none."""
    resume = job.paper.spec.resume
    named = {entry.sha256 for entry in resume.files.files} if resume else {None}
    for each in found:
        state = each.truth.began_with
        if each.truth.starts and (state and hashlib.sha256(state).hexdigest()) not in named:
            world.violated(f"job {job.job_id[:4]}: began with {state!r}")


def _check_saved(world: World, job: OracleJob, found: list[Container]) -> None:
    """See that every checkpoint is a state that was there, none older than the one before.

    One that was told to end in time had its grace, and must be saved as it stood then.
    """
    states = [{STATE: state} for each in found for state in each.truth.saved]
    last = -1
    for saved in job.saved:
        if saved.files not in states[max(last, 0) :]:
            number = saved.resume.number
            world.violated(f"job {job.job_id[:4]}: checkpoint {number} was never its state")
            return
        last = states.index(saved.files)
    was_told = any(each.truth.by in TOLD_TO_END for each in found)
    in_time = job.report is not None and job.report.reason in {Reason.TIME_LIMIT, Reason.CANCELLED}
    if was_told and in_time and last < len(states) - 1 and "disk full" not in world.faults.met:
        world.violated(f"job {job.job_id[:4]}: state {len(states)} is not saved, {last + 1} is")


def _check_left(world: World) -> None:
    if world.daemon.containers:
        world.violated(f"containers are left: {list(world.daemon.containers)}")
    here = _names_in(f"{world.folder}")
    for job in _names_in(f"{world.folder}/jobs") if "jobs" in here else ():
        left = [name for name in _names_in(f"{world.folder}/jobs/{job}") if name not in KEPT]
        if left:
            world.violated(f"left in the folder of job {job[:4]}: {left}")
    if "cancel" in here and _names_in(f"{world.folder}/cancel"):
        world.violated("a wish to cancel is left")


def _names_in(folder: str) -> list[str]:
    return sorted(os.listdir(folder))  # noqa: PTH208 - of a text, which costs less


OWN_ENDS = {"oom": Reason.OUT_OF_MEMORY, "deadline": Reason.TIME_LIMIT}
"""By who ended it: what that is called."""
TOLD_TO_END = frozenset({"stop", "deadline"})
"""By who ended it: then it was told before."""
KEPT = frozenset({"log", "log.index"})
"""In a job's folder after its end."""
