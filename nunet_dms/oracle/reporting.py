"""Take what a node says at the end: results, then the signed report; and what ends a job early."""

from __future__ import annotations

import logging

from sqlalchemy import Connection

from nunet_dms.errors import RefusedError
from nunet_dms.oracle import conflicts, files, jobs, logs, nodes, offering, retention, watching
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.files import GRANT_LIFE_S
from nunet_dms.oracle.jobs import JobRow, Paper
from nunet_dms.oracle.states import AT_THE_NODE, HOLDS_CAPACITY
from nunet_dms.oracle.terms import SETTLEMENT_SLOTS
from nunet_dms.oracle.verdicts import ran_ms_of, reason_of
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import Done
from nunet_dms.protocol.job import MB, Manifest
from nunet_dms.protocol.node import LogLength, MissingBlobs
from nunet_dms.protocol.report import Reason, Report
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed
from nunet_dms.protocol.submission import JobState

log = logging.getLogger(__name__)


def append_log(oracle: Oracle, node_id: str, job_id: str, offset: int, data: bytes) -> LogLength:
    """Append to a running job's log; see `logs.append`."""
    with oracle.store.writing() as db:
        job = jobs.of_node(db, job_id, node_id)
        length = logs.append(db, job, offset, data, oracle.config.log_max_bytes)
    oracle.notifier.wake(job_id)
    return LogLength(length=length)


def announce_results(oracle: Oracle, node_id: str, job_id: str, manifest: Manifest) -> MissingBlobs:
    """Take a running job's manifest of results and return what has to be uploaded.

    Raises RefusedError `results_too_large`, `duplicate_path` or `not_running`.
    """
    with oracle.store.writing() as db:
        job = jobs.of_node(db, job_id, node_id)
        if job.report_hash is not None and _announced(db, job_id).digest == manifest.digest:
            return MissingBlobs()  # all of them were there when the report came
        if job.state is not JobState.RUNNING:
            raise _not_running(job)
        _check_manifest(job, manifest)
        files.grant(db, node_id, manifest, int(oracle.clock()) + GRANT_LIFE_S)
        files.bind(db, job_id, manifest, files.RESULT)
        jobs.keep(db, job_id, Paper.RESULTS, strict.encode(manifest).decode())
        return files.missing(db, oracle.blobs, node_id, manifest)


def take_report(oracle: Oracle, node_id: str, job_id: str, sealed: Sealed) -> Done:
    """Take a node's report, once: the same again is a duplicate, another one is refused.

    Raises VerificationError for a foreign one, RefusedError `report_conflict`, `results_missing`,
    or `not_running` for a job whose lease is lost.
    """
    with oracle.store.writing() as db:
        job = jobs.of_node(db, job_id, node_id)
        report = _open(db, job, sealed)
        if job.report_hash == sealed.digest:
            return Done(duplicate=True)
        is_conflict = job.report_hash is not None
        if is_conflict:
            conflicts.keep(db, job, sealed, oracle.now_ms)  # committed, then refused
        else:
            _take(oracle, db, job, report, sealed)
    if is_conflict:
        raise RefusedError(
            "report_conflict", f"cannot take the report: job {job_id} has another one already"
        )
    log.info("job_reported job=%s node=%s reason=%s", job_id, node_id, report.reason.value)
    oracle.notifier.wake(job_id)
    return Done()


def lose_lease(oracle: Oracle, job_id: str, now_s: float) -> None:
    """End a running job whose node was silent for the length of its lease, or never ends it.

    The latter when the escrow's deadline is so near that a settlement just fits in.
    """
    last_slot = oracle.chain.slot_at(now_s) + SETTLEMENT_SLOTS + oracle.config.window_s
    with oracle.store.writing() as db:
        job = jobs.find(db, job_id)
        if job is None or job.state is not JobState.RUNNING:
            return
        if (job.lease_expires_s or 0) <= now_s:
            why = "the node was not heard of any more"
        elif job.deadline_slot <= last_slot:
            why = "the node did not end it in time"
        else:
            return
        offering.end_unpaid(oracle, db, job, Reason.NODE_FAULT, why)
    oracle.notifier.wake(job_id)
    log.warning("lease_lost job=%s node=%s", job_id, job.node_id)


def tend_payment(oracle: Oracle, job: JobRow, now_s: float) -> None:
    """Look for the payment of an offered or running job; stop what can never be paid.

    A running job goes on for PAYMENT_GRACE_S without it, then its node is told to stop it.
    """
    standing = watching.look(oracle, job)
    job = standing.job
    is_lost = standing.is_final or (
        job.payment_missing_s is not None
        and now_s - job.payment_missing_s >= watching.PAYMENT_GRACE_S
    )
    if is_lost and job.state is JobState.OFFERED and standing.is_final:
        offering.lose_payment(oracle, job.job_id, standing.why)
    with oracle.store.writing() as db:
        now = jobs.find(db, job.job_id)
        if now is None or now.state not in AT_THE_NODE:
            return
        stops = is_lost and now.state is JobState.RUNNING and not now.payment_lost
        is_missing = now.payment_missing_s is not None
        again_s = watching.next_look_s(int(now_s), now.submitted_ms // 1000)
        jobs.change(
            db,
            now,
            look_at_s=int(now_s) if is_missing and not now.payment_lost else again_s,
            payment_lost=now.payment_lost or stops,
        )
    if stops:
        log.error("payment_lost job=%s node=%s why=%s", job.job_id, job.node_id, standing.why)
        oracle.notifier.wake(job.node_id, job.job_id)


def cancel(oracle: Oracle, requester: str, job_id: str) -> JobRow:
    """Cancel a requester's job: at once before it runs, through its node while it runs.

    Raises RefusedError `already_ended` once it is reported. Repeating it changes nothing.
    """
    with oracle.store.writing() as db:
        job = jobs.of_requester(db, job_id, requester)
        if job.cancel_requested:
            return job
        if job.state not in HOLDS_CAPACITY:
            raise RefusedError(
                "already_ended", f"cannot cancel job {job_id}: it has ended ({job.state.value})"
            )
        job = jobs.change(db, job, cancel_requested=True)
        if job.state is JobState.OFFERED:
            job = offering.end_unpaid(oracle, db, job, Reason.CANCELLED, "cancelled before it ran")
    log.info("job_cancelled job=%s state=%s", job_id, job.state.value)
    oracle.notifier.wake(job.node_id, job_id)
    return job


def results_of(oracle: Oracle, requester: str, job_id: str) -> Manifest:
    """Return a reported job's results; raises RefusedError `not_reported` or `files_gone`."""
    with oracle.store.reading() as db:
        job = jobs.of_requester(db, job_id, requester)
        if job.report_hash is None:
            raise RefusedError(
                "not_reported", f"cannot give results: job {job_id} is {job.state.value}"
            )
        retention.check_kept(oracle, job)
        return _announced(db, job_id)


def _open(db: Connection, job: JobRow, sealed: Sealed) -> Report:
    node = nodes.find(db, job.node_id)
    if node is None:
        raise jobs.unknown(job.job_id)
    report = open_sealed(sealed, Report, Domain.REPORT, node.public_key)
    if (report.job_id, report.node_id, report.ticket_id) != (
        job.job_id,
        job.node_id,
        job.ticket_id,
    ):
        raise RefusedError("foreign_report", "cannot take the report: it is of another job")
    return report


def _take(oracle: Oracle, db: Connection, job: JobRow, report: Report, sealed: Sealed) -> None:
    if job.state is not JobState.RUNNING:
        raise _not_running(job)
    _check_results(oracle, db, job, report)
    _close(oracle, db, job, report, sealed)


def _check_manifest(job: JobRow, manifest: Manifest) -> None:
    if manifest.total_bytes > job.disk_mb * MB:
        raise RefusedError(
            "results_too_large",
            f"cannot take the results: {manifest.total_bytes} bytes, the job has {job.disk_mb} MB",
        )
    if len({entry.path for entry in manifest.files}) != len(manifest.files):
        raise RefusedError("duplicate_path", "cannot take the results: a path stands twice")


def _check_results(oracle: Oracle, db: Connection, job: JobRow, report: Report) -> None:
    manifest = _announced(db, job.job_id)
    if manifest.digest != report.results_hash:
        raise RefusedError(
            "results_missing", "cannot take the report: its manifest of results was not sent"
        )
    missing = files.missing(db, oracle.blobs, job.node_id, manifest).missing
    if missing:
        raise RefusedError(
            "results_missing", f"cannot take the report: {len(missing)} of its files are missing"
        )


def _close(oracle: Oracle, db: Connection, job: JobRow, report: Report, sealed: Sealed) -> None:
    now_ms = oracle.now_ms
    stored = (job.log_bytes, logs.sha256(db, job.job_id))
    is_same_log = stored == (report.log_bytes, report.log_sha256)
    if not is_same_log:
        log.warning(
            "log_differs job=%s stored_bytes=%d reported_bytes=%d",
            job.job_id, job.log_bytes, report.log_bytes,
        )  # fmt: skip
    jobs.keep(db, job.job_id, Paper.REPORT, strict.encode(sealed).decode())
    jobs.move(
        db,
        job,
        JobState.REPORTED,
        now_ms,
        reason=reason_of(
            report, cancel_requested=job.cancel_requested, payment_lost=job.payment_lost
        ).value,
        detail=report.detail,
        report_hash=sealed.digest,
        exit_code=report.exit_code,
        ran_ms=ran_ms_of(report, job.started_ms or now_ms, now_ms, job.time_limit_s),
        log_complete=report.log_complete and not report.log_dropped_bytes and is_same_log,
        log_dropped_bytes=report.log_dropped_bytes,
        finished_ms=now_ms,
    )


def _announced(db: Connection, job_id: str) -> Manifest:
    text = jobs.paper(db, job_id, Paper.RESULTS)
    return Manifest() if text is None else strict.decode(Manifest, text)


def _not_running(job: JobRow) -> RefusedError:
    return RefusedError(
        "not_running", f"cannot do this: job {job.job_id} is {job.state.value}, not running"
    )
