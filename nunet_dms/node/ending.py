"""How a job ended, from recorded facts and never from a number alone; and its frozen report."""

from __future__ import annotations

from dataclasses import dataclass

from nunet_dms.node.engine.types import Facts, Failure, History
from nunet_dms.node.identity import Identity
from nunet_dms.node.logs import LogEnd
from nunet_dms.node.rows import JobEnd, JobRow
from nunet_dms.protocol import strict
from nunet_dms.protocol.job import Manifest
from nunet_dms.protocol.report import Reason, Report
from nunet_dms.protocol.signing import Domain, seal

CLOCK_SET_MS = 5_000
"""Wall and monotonic clock may drift apart by this while a job runs; more, and one was set."""
BY_SIGNAL = frozenset({137, 143})
"""Exit codes of what SIGKILL and SIGTERM end, whoever sends them."""
UNTOLD = History((), is_whole=False)


@dataclass(frozen=True, slots=True)
class Moment:
    """Both clocks, read together, in milliseconds."""

    wall_ms: int
    mono_ms: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of how a container ended."""

    facts: Facts | None
    """None when the engine answers, and has no such container."""
    history: History
    keeps_running: bool
    """Whether the engine's containers outlive its restart."""
    boot_id: str
    """Of the boot in which we look."""
    seen: Moment
    """When we saw that it had ended."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Everything that a report says of one attempt."""

    failure: Failure
    facts: Facts | None
    ran_ms: int
    log: LogEnd
    results: Manifest
    results_complete: bool


def classify(job: JobRow, evidence: Evidence) -> Failure:
    """Return the reason for a container's end, and a sentence for the requester.

    In this order: what makes its facts worthless; our own stop; a stop that was not ours, whatever
    the exit code (an engine that restarts ends jobs with 137, with 143 under an init, and with
    whatever a job makes of SIGTERM, 0 included); an end that nobody saw; the kernel; the time; and
    only then the exit code.
    """
    facts = evidence.facts
    if (fault := _no_facts(job, evidence)) or facts is None:
        return Failure(Reason.NODE_FAULT, fault)
    if job.stop_reason and _is_after_our_stop(facts.finished_ms or 0, job, evidence):
        reason = Reason(job.stop_reason)
        return Failure(reason, _STOPS.get(reason, "the node stopped the job"))
    if fault := _stopped_by_others(job, evidence) or _unseen(job, evidence):
        return Failure(Reason.NODE_FAULT, fault)
    return _own_end(job, facts, evidence)


def _own_end(job: JobRow, facts: Facts, evidence: Evidence) -> Failure:
    """Return the reason for an end that nobody but the job, its limits and the kernel made.

    The limit counts as reached only by the engine's own times, and where both clocks agree: else a
    job that ended at once would be charged for all the time until we saw it.
    """
    if facts.oom_killed and facts.exit_code != 0:
        return Failure(
            Reason.OUT_OF_MEMORY, f"the job used more than its {job.ram_mb} MB of memory"
        )
    is_over = ran_ms(job, evidence) >= job.time_limit_s * 1000
    if is_over and not was_clock_set(job, evidence):  # the deadline inside, while no worker lived
        return Failure(Reason.TIME_LIMIT, _STOPS[Reason.TIME_LIMIT])
    if facts.exit_code in BY_SIGNAL and not _is_told(evidence.history):
        return Failure(Reason.NODE_FAULT, _nobody_knows(facts.exit_code) + _away(job))
    if facts.exit_code == 0:
        return Failure(Reason.SUCCEEDED, "")
    return Failure(Reason.FAILED, f"the job ended with exit code {facts.exit_code}")


def _no_facts(job: JobRow, evidence: Evidence) -> str:
    """Say why nothing can be said of the job itself, or nothing."""
    facts = evidence.facts
    if facts is None:
        return "the container vanished from the node" + _away(job)
    if job.boot_id not in {"", evidence.boot_id}:
        return "the node was restarted while the job ran"
    if facts.status != "exited" or facts.started_ms is None or facts.finished_ms is None:
        return f"the container is {facts.status}, not ended"
    return ""


def _is_after_our_stop(at_ms: int, job: JobRow, evidence: Evidence) -> bool:
    """Whether something came after we stopped the job.

    Where the clock was set meanwhile its times tell no order, and that we stopped it stands: what
    is paid then is what can be proven to have run. A stop that is still to come says so, too: then
    it was set back since, and perhaps to what it was when the job started.
    """
    if not job.stop_reason or job.stop_ms is None:
        return False
    is_to_come = job.stop_ms > evidence.seen.wall_ms + CLOCK_SET_MS
    return at_ms >= job.stop_ms or is_to_come or was_clock_set(job, evidence)


def _stopped_by_others(job: JobRow, evidence: Evidence) -> str:
    """Say that the job was stopped, and not by us; or nothing."""
    for event in evidence.history.events:
        ours = _is_after_our_stop(event.at_ms, job, evidence)
        if event.action in {"kill", "stop"} and not ours:
            signal = f" (signal {event.signal})" if event.signal is not None else ""
            return f"the container was stopped on the node, not by its worker{signal}" + _away(job)
    return ""


def _unseen(job: JobRow, evidence: Evidence) -> str:
    """Say that nobody saw how the job ended; or nothing.

    Seen on Docker 20.10: its history is empty after every restart. Without live-restore a dockerd
    that is asked to end takes its containers with it (143 under an init) and tells nobody; one that
    is killed leaves them running and ends them when it is back (`kill` with signal 15, `die`,
    `stop`: a history that tells), or else they ended meanwhile: exit code kept, no event. With
    live-restore they run on in both cases, and what ended meanwhile has its true exit code.
    """
    if _is_told(evidence.history) or evidence.keeps_running:
        return ""
    return (
        "nobody saw how the job ended: the engine was restarted, and it does not keep containers"
        " running meanwhile (live-restore)" + _away(job)
    )


def _is_told(history: History) -> bool:
    """Whether the engine remembers the end, and so whatever led to it."""
    return history.is_whole or any(event.action == "die" for event in history.events)


def _nobody_knows(exit_code: int) -> str:
    return (
        f"a signal ended the job (exit code {exit_code}), and the engine was restarted: nobody"
        " knows whether it was stopped on the node"
    )


def _away(job: JobRow) -> str:
    return "; the engine had been away while it ran" if job.engine_gone_ms is not None else ""


def may_lack_output(evidence: Evidence) -> bool:
    """Say whether a job may have written more than its engine kept of it.

    So it is where the container is gone, and where the engine was away when it ended: what was on
    its way to the engine then is lost.
    """
    actions = {event.action for event in evidence.history.events}
    is_unseen = "die" not in actions or "kill" in actions
    return evidence.facts is None or (is_unseen and not evidence.history.is_whole)


def ran_ms(job: JobRow, evidence: Evidence) -> int:
    """Return for how long a container ran, in milliseconds.

    By the engine's times, which are the wall's. Where that was set while the job ran, or the
    machine slept, they prove nothing, and what cannot be proven is in the requester's favour. The
    smallest of: those times, as if it was set after the end; what the monotonic clock counts from
    its start until we saw its end; and that less the wall's time since the end, as if it was set
    before. Never negative; 0 where it was set back beyond the start, or on while the end waited,
    and where the machine was started anew: then no clock of ours has seen both ends.
    """
    facts = evidence.facts
    if facts is None or facts.started_ms is None or facts.finished_ms is None:
        return 0
    if job.boot_id not in {"", evidence.boot_id}:
        return 0
    by_wall_ms = max(facts.finished_ms - facts.started_ms, 0)
    most_ms = _most_ms(job, evidence)
    if most_ms is None or not was_clock_set(job, evidence):
        return by_wall_ms
    waited_ms = evidence.seen.wall_ms - facts.finished_ms
    return max(min(by_wall_ms, most_ms, most_ms - waited_ms), 0)


def was_clock_set(job: JobRow, evidence: Evidence) -> bool:
    """Whether wall and monotonic clock disagree on the time from a start until we saw the end.

    False where only one of them is known, as in a row of an older release.
    """
    facts, most_ms = evidence.facts, _most_ms(job, evidence)
    if facts is None or facts.started_ms is None or most_ms is None:
        return False
    by_wall_ms = evidence.seen.wall_ms - facts.started_ms
    is_longer = (facts.finished_ms or 0) - facts.started_ms > most_ms + CLOCK_SET_MS
    return is_longer or abs(by_wall_ms - most_ms) > CLOCK_SET_MS  # it may have been set twice


def _most_ms(job: JobRow, evidence: Evidence) -> int | None:
    """Return the monotonic time from a start, or the wish for it, until we saw the end.

    None where it was not noted in this boot.
    """
    if job.started_mono_ms is None or job.boot_id != evidence.boot_id:
        return None
    return max(evidence.seen.mono_ms - job.started_mono_ms, 0)


_STOPS = {
    Reason.TIME_LIMIT: "the job reached its time limit",
    Reason.DISK_LIMIT: "the job wrote more than its disk limit",
    Reason.CANCELLED: "cancelled by the requester",
    Reason.NODE_FAULT: "stopped by the provider",
    Reason.PAYMENT_LOST: "stopped because the chain lost its payment",
}


def end_of(job: JobRow, ending: Ending) -> JobEnd:
    """Return what the journal keeps of an ending."""
    facts = ending.facts
    ran = facts is not None and facts.has_ended
    return JobEnd(
        reason=ending.failure.reason.value,
        detail=ending.failure.detail[:500],
        exit_code=facts.exit_code if ran and facts else None,
        ran_ms=ending.ran_ms,
        cpu_ms=job.cpu_ms,
        ram_peak_mb=job.ram_peak_mb,
        finished_ms=facts.finished_ms if ran and facts else None,
    )


def frozen_report(us: Identity, job: JobRow, ending: Ending) -> tuple[str, bytes]:
    """Return the outbox key and the sealed report's bytes: sent as they are on every try."""
    end = end_of(job, ending)
    report = Report(
        job_id=job.job_id,
        ticket_id=job.ticket_id,
        node_id=us.node_id,
        attempt=job.attempt,
        reason=ending.failure.reason,
        detail=end.detail,
        exit_code=end.exit_code,
        oom_killed=ending.facts.oom_killed if ending.facts else False,
        image_id=job.image_id,
        started_ms=ending.facts.started_ms if ending.facts else None,
        finished_ms=end.finished_ms,
        ran_ms=end.ran_ms,
        cpu_ms=end.cpu_ms,
        ram_peak_mb=end.ram_peak_mb,
        log_bytes=ending.log.length,
        log_sha256=ending.log.sha256,
        log_complete=ending.log.complete,
        log_dropped_bytes=ending.log.dropped_bytes,
        results_hash=ending.results.digest,
        results_complete=ending.results_complete,
    )
    sealed = seal(report, Domain.REPORT, us.key)
    return f"{us.node_id}:{job.ticket_id}:report", strict.encode(sealed)
