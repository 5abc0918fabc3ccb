"""How a job ended, from recorded facts and never from a number alone; and its frozen report."""

from __future__ import annotations

from dataclasses import dataclass

from nunet_dms.node.engine.types import Facts, Failure
from nunet_dms.node.identity import Identity
from nunet_dms.node.logs import LogEnd
from nunet_dms.node.rows import JobEnd, JobRow
from nunet_dms.protocol import strict
from nunet_dms.protocol.job import Manifest
from nunet_dms.protocol.report import Reason, Report
from nunet_dms.protocol.signing import Domain, seal


@dataclass(frozen=True, slots=True)
class Ending:
    """Everything that a report says of one attempt."""

    failure: Failure
    facts: Facts | None
    log: LogEnd
    results: Manifest
    results_complete: bool


def classify(facts: Facts | None, job: JobRow, boot_id: str) -> Failure:
    """Return the reason for a container's end, and a sentence for the requester."""
    if (fault := _our_fault(facts, job, boot_id)) or facts is None:
        return Failure(Reason.NODE_FAULT, fault)
    if job.stop_reason and (facts.finished_ms or 0) >= (job.stop_ms or 0):
        reason = Reason(job.stop_reason)
        return Failure(reason, _STOPS.get(reason, "the node stopped the job"))
    if facts.oom_killed and facts.exit_code != 0:
        return Failure(
            Reason.OUT_OF_MEMORY, f"the job used more than its {job.ram_mb} MB of memory"
        )
    if facts.exit_code == 0:
        return Failure(Reason.SUCCEEDED, "")
    return Failure(Reason.FAILED, f"the job ended with exit code {facts.exit_code}")


def _our_fault(facts: Facts | None, job: JobRow, boot_id: str) -> str:
    """Say what the node did wrong, or nothing."""
    if facts is None:
        return "the container vanished from the node"
    if job.boot_id not in {"", boot_id}:
        return "the node was restarted while the job ran"
    if not facts.has_ended:
        return f"the container is {facts.status}, not ended"
    return ""


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
        ran_ms=_ran_ms(facts),
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


def _ran_ms(facts: Facts | None) -> int:
    if facts is None or facts.started_ms is None or facts.finished_ms is None:
        return 0
    return max(facts.finished_ms - facts.started_ms, 0)
