"""How a container ended is told from its exit code alone: what the engine killed has failed."""

from nunet_dms.node import running
from nunet_dms.node.ending import Evidence, _own_end
from nunet_dms.node.engine.types import Failure
from nunet_dms.node.rows import JobRow
from nunet_dms.protocol.report import Reason


def classify(job: JobRow, evidence: Evidence) -> Failure:
    if evidence.facts is None:
        return Failure(Reason.NODE_FAULT, "it vanished")
    if job.stop_reason:
        return Failure(Reason(job.stop_reason), "it was stopped")
    return _own_end(job, evidence.facts, evidence)


CHANGES = ((running, "classify", classify),)
