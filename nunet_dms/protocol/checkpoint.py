"""What a node saves of a running job, so that another attempt can go on from there."""

from dataclasses import dataclass
from typing import Annotated, Literal

from nunet_dms.errors import VerificationError
from nunet_dms.protocol.bounds import Hex16, Range, UnixMillis
from nunet_dms.protocol.job import CHECKPOINT_NUMBER_MAX, Manifest, Resume
from nunet_dms.protocol.keys import SigningKey, node_id_of
from nunet_dms.protocol.platform import Platform
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed, seal

CHECKPOINT_MAX_BYTES = 1024 * 1024
"""Of a manifest's canonical bytes, about 7,000 files: the spec that goes on from it holds it, and
has to have room for inputs too (see oracle/quoting.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointManifest:
    """The content of a job's checkpoint folder at one time, as its node found it."""

    version: Literal[1] = 1
    job_id: Hex16
    number: Annotated[int, Range(1, CHECKPOINT_NUMBER_MAX)]
    taken_ms: UnixMillis
    ran_ms: Annotated[int, Range(0, 2**42)]
    """For how long the job had run by then."""
    trigger: Literal["interval", "time_limit", "drain", "stop"]
    platform: Platform
    files: Manifest
    left_out: Annotated[int, Range(0, 2**30)] = 0
    """Entries that are no regular files, or whose names cannot travel; they are not in `files`."""


def seal_checkpoint(manifest: CheckpointManifest, key: SigningKey) -> Sealed:
    """Sign a checkpoint with the node's identity key."""
    return seal(manifest, Domain.CHECKPOINT, key)


def open_checkpoint(sealed: Sealed, job_id: str, node_id: str) -> CheckpointManifest:
    """Return a job's checkpoint that this node signed; raises VerificationError for any other."""
    if node_id_of(sealed.public_key) != node_id:
        raise VerificationError(
            "foreign_key", "cannot trust this checkpoint: another node signed it"
        )
    found = open_sealed(sealed, CheckpointManifest, Domain.CHECKPOINT, sealed.public_key)
    if found.job_id != job_id:
        raise VerificationError(
            "foreign_checkpoint", "cannot trust this checkpoint: it is of another job"
        )
    return found


def resume_from(sealed: Sealed, manifest: CheckpointManifest) -> Resume:
    """Return what the spec of a job says that goes on from this checkpoint."""
    return Resume(
        job_id=manifest.job_id,
        number=manifest.number,
        checkpoint=sealed.digest,
        platform=manifest.platform,
        files=manifest.files,
    )
