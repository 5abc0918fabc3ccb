"""What the Oracle of the simulation keeps of files: contents by hash, results, checkpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from nunet_dms.errors import RefusedError
from nunet_dms.protocol.checkpoint import open_checkpoint, resume_from
from nunet_dms.protocol.job import Manifest
from nunet_dms.protocol.node import MissingBlobs
from nunet_dms.protocol.signing import Sealed
from tests.simulation.oracle_job import OracleJob, Saved
from tests.simulation.papers import US


class OracleFiles:
    """Contents by their hashes, and the lists that name them."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}

    def put(self, sha256: str, data: bytes) -> None:
        """Take one content; raises RefusedError for another than is named."""
        if hashlib.sha256(data).hexdigest() != sha256:
            raise RefusedError("hash_mismatch", "cannot take the blob: these are other bytes")
        self._contents[sha256] = data

    def get(self, sha256: str, jobs: Collection[OracleJob]) -> bytes:
        """Return a content from which one of the node's jobs goes on; raises RefusedError."""
        held = [job for job in jobs if job.state in {"offered", "running"}]
        resumes = [job.paper.spec.resume for job in held if job.paper.spec.resume is not None]
        if sha256 in {entry.sha256 for resume in resumes for entry in resume.files.files}:
            return self._contents[sha256]
        raise RefusedError("unknown_blob", "cannot give the blob: no job here lets you read it")

    def missing(self, files: Manifest) -> tuple[str, ...]:
        """Return the hashes of which the content is not here."""
        wanted = dict.fromkeys(entry.sha256 for entry in files.files)
        return tuple(sha256 for sha256 in wanted if sha256 not in self._contents)

    def announce(self, job: OracleJob, results: Manifest) -> MissingBlobs:
        """Take the list of a job's results."""
        if job.report_digest and job.announced.digest == results.digest:
            return MissingBlobs()
        if job.state != "running":
            raise RefusedError("not_running", f"cannot do this: job {job.job_id} is {job.state}")
        job.announced = results
        return MissingBlobs(missing=self.missing(results))

    def save(self, job: OracleJob, sealed: Sealed) -> MissingBlobs:
        """Take a checkpoint; it is whole, and in the place of the one before, if all is here."""
        if job.paper.spec.checkpoint is None:
            raise RefusedError("no_checkpoint_folder", f"job {job.job_id} names no folder")
        manifest = open_checkpoint(sealed, job.job_id, US.node_id)
        before = job.saved[-1] if job.saved else None
        if before is not None and before.resume.checkpoint == sealed.digest:
            return MissingBlobs()
        if job.state != "running":
            raise RefusedError("not_running", f"cannot save job {job.job_id}: it is {job.state}")
        if before is not None and manifest.number <= before.resume.number:
            raise RefusedError("stale_checkpoint", f"{before.resume.number} is there already")
        missing = self.missing(manifest.files)
        if not missing:
            files = {entry.path: self._contents[entry.sha256] for entry in manifest.files.files}
            job.saved.append(Saved(resume_from(sealed, manifest), files))
        return MissingBlobs(missing=missing)
