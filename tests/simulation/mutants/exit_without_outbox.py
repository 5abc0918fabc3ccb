"""Exit and report are stored in two transactions: a crash between the two loses the report."""

from nunet_dms.node.journal import Journal
from nunet_dms.node.rows import JobEnd, JobRow
from nunet_dms.node.states import State


def ended(self: Journal, job: JobRow, end: JobEnd, key: str, report: bytes) -> JobRow:
    with self._transaction:
        self._write("set_end", job_id=job.job_id, **_values(end))
        row = self._move(job, State.EXITED, end.reason)
    with self._transaction:
        self._write("insert_report", key=key, job_id=job.job_id, body=report)
    return row


def _values(end: JobEnd) -> dict[str, object]:
    return {name: getattr(end, name) for name in end.__slots__}


CHANGES = ((Journal, "ended", ended),)
