"""The container counts as running before it was started, and its exit code is believed."""

from nunet_dms.node import running
from nunet_dms.node.ending import Evidence
from nunet_dms.node.engine.types import Failure
from nunet_dms.node.live import Live
from nunet_dms.node.pool import Task
from nunet_dms.node.rows import JobRow
from nunet_dms.node.starting import Starting
from nunet_dms.protocol.report import Reason


def intend_start(self: Starting, live: Live) -> None:
    deps = self._deps
    now_ms, mono_ms = deps.clock.now_ms(), deps.clock.mono_ms()
    live.row = deps.journal.starting(live.row, deps.boot_id, mono_ms)
    live.row = deps.journal.started(live.row, now_ms, deps.boot_id, mono_ms)
    deps.pool.submit(
        Task(live.row.job_id, "stop"), lambda: deps.engine.start(live.row.container_id)
    )


def classify(_job: JobRow, evidence: Evidence) -> Failure:
    if evidence.facts is None:
        return Failure(Reason.NODE_FAULT, "it vanished")
    code = evidence.facts.exit_code
    return Failure(Reason.FAILED if code else Reason.SUCCEEDED, "")


CHANGES = ((Starting, "intend_start", intend_start), (running, "classify", classify))
