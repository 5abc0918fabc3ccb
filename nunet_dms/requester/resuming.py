"""Go on with a job from its last checkpoint, as a new job with a price of its own.

Neither the files that the old job was given nor what it saved has to be here: the Oracle has both.
What it says of them is not taken on trust: the old spec is the one that we signed, and the
checkpoint is sealed by the node that we paid to run it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nunet_dms.errors import UsageError
from nunet_dms.protocol.checkpoint import CheckpointManifest, open_checkpoint, resume_from
from nunet_dms.protocol.signing import Sealed
from nunet_dms.requester.jobfile import JobFile
from nunet_dms.requester.records import SubmissionRecord


@dataclass(frozen=True, slots=True)
class Resumption:
    """A job ready to be quoted, and where it starts from."""

    job: JobFile
    manifest: CheckpointManifest


def going_on(
    record: SubmissionRecord, last: Callable[[str], Sealed], time_limit_s: int | None = None
) -> Resumption:
    """Return the job that goes on from the checkpoint that is the `last` of a recorded one.

    The spec is the old one but for the checkpoint, and for the time limit where another is given.
    Raises VerificationError for a checkpoint that the old job's node did not sign, or whose files
    are no tree; UsageError for a job that has no checkpoint folder.
    """
    old = record.spec
    if old.checkpoint is None:
        raise UsageError(
            f"cannot resume job {record.job_id}: its job.toml names no [checkpoint] folder"
        )
    sealed = last(record.job_id)
    manifest = open_checkpoint(sealed, record.job_id, record.request.node_id)
    checkpoint = replace(old.checkpoint, resume=resume_from(sealed, manifest))
    limit_s = old.time_limit_s if time_limit_s is None else time_limit_s
    spec = replace(old, checkpoint=checkpoint, time_limit_s=limit_s)
    return Resumption(JobFile(spec, ()), manifest)
