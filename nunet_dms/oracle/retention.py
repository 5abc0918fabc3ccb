"""What is kept of jobs that ended: all that was signed, for ever; log and files for some time.

They are out of reach from the day on which they are to go, whether or not they are gone already,
so that nobody gets half of them. `[jobs] files_kept_days` says how long they stay.
"""

from __future__ import annotations

import logging
from datetime import datetime, timezone

from nunet_dms.errors import RefusedError
from nunet_dms.oracle import files, jobs, logs
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.jobs import JobRow
from nunet_dms.oracle.states import ENDED

DAY_S = 86_400
JOBS_AT_ONCE = 50
"""Jobs whose files are removed in one sweep; what is left over waits for the next."""

log = logging.getLogger(__name__)


def files_until_s(oracle: Oracle, job: JobRow) -> int | None:
    """Return until when a job's log and files are, or were, kept; None while it has not ended."""
    if job.files_gone_s is not None:
        return job.files_gone_s
    if job.state not in ENDED:
        return None
    return _ended_ms(job) // 1000 + oracle.config.files_kept_days * DAY_S


def check_kept(oracle: Oracle, job: JobRow) -> None:
    """Raise RefusedError `files_gone`, with the date, once a job's log and files are not kept."""
    until_s = files_until_s(oracle, job)
    if until_s is None or until_s > oracle.clock():
        return
    day = datetime.fromtimestamp(until_s, tz=timezone.utc)
    days = oracle.config.files_kept_days
    raise RefusedError(
        "files_gone",
        f"cannot give log or files of job {job.job_id}: they were removed on {day:%Y-%m-%d};"
        f" this Oracle keeps them for {days} days after a job's end",
        hint="the report and the receipt stay: nunet request receipt JOB",
    )


def sweep(oracle: Oracle, now_s: float) -> int:
    """Remove log and files of jobs that ended long ago; return of how many."""
    before_ms = int(now_s - oracle.config.files_kept_days * DAY_S) * 1000
    with oracle.store.reading() as db:
        found = jobs.with_old_files(db, ENDED, before_ms, JOBS_AT_ONCE)
    for job in found:
        while files.release(oracle, job.job_id):
            pass
        with oracle.store.writing() as db:
            logs.remove(db, job.job_id)
            jobs.change(db, job, files_gone_s=int(now_s))
        log.info("files_removed job=%s", job.job_id)
    return len(found)


def _ended_ms(job: JobRow) -> int:
    return job.settled_ms or job.finished_ms or job.submitted_ms
