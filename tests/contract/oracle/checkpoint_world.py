"""A job that saves itself, and a node's side of that, against a real Oracle."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from nunet_dms.protocol.checkpoint import CheckpointManifest, resume_from, seal_checkpoint
from nunet_dms.protocol.job import Checkpoint, JobSpec, Manifest
from nunet_dms.protocol.machine import MachineFacts
from nunet_dms.protocol.node import MissingBlobs
from nunet_dms.protocol.platform import Platform, platform_of
from nunet_dms.protocol.signing import Sealed
from tests.contract.oracle.oracle_world import START_S, Node, Requester, World, entry, spec

LINUX = MachineFacts(
    taken_s=int(START_S), cpu_model="i7", cores=4, kind="native", kernel="6.1.0",
    architecture="x86_64", cpu_flags=("avx", "sse2"),
)  # fmt: skip
WSL = replace(LINUX, kind="wsl2", kernel="6.6.87.2-microsoft-standard-WSL2")
CHECKPOINT = Checkpoint(folder="/ckpt", interval_s=10)


def saving_spec(**changes: object) -> JobSpec:
    return spec(checkpoint=CHECKPOINT, **changes)


@dataclass
class Saving:
    """A running job that its node saves; counts what it uploads."""

    world: World
    node: Node
    job_id: str
    ticket_id: str
    uploads: int = 0

    def manifest(
        self, number: int, files: dict[str, bytes], **changes: object
    ) -> CheckpointManifest:
        plain = CheckpointManifest(
            job_id=self.job_id,
            number=number,
            taken_ms=int(self.world.clock() * 1000),
            ran_ms=1000,
            trigger="interval",
            platform=platform_of(LINUX),
            files=Manifest(files=tuple(entry(path, data) for path, data in files.items())),
        )
        return replace(plain, **changes)  # type: ignore[arg-type]

    def announce(self, sealed: Sealed) -> tuple[str, ...]:
        path = f"/v1/jobs/{self.job_id}/checkpoint"
        return self.node.http.call("PUT", path, sealed, MissingBlobs).missing

    def upload(self, *contents: bytes) -> None:
        for content in contents:
            sha256 = hashlib.sha256(content).hexdigest()
            self.node.http.put_bytes(f"/v1/blobs/{sha256}", content)
            self.uploads += 1

    def save(self, number: int, files: dict[str, bytes], **changes: object) -> Sealed:
        """Announce, upload what is missing, and announce again."""
        sealed = seal_checkpoint(self.manifest(number, files, **changes), self.node.key)
        missing = self.announce(sealed)
        by_hash = {hashlib.sha256(data).hexdigest(): data for data in files.values()}
        self.upload(*(by_hash[sha256] for sha256 in missing))
        assert self.announce(sealed) == ()
        return sealed

    def end(self, **changes: object) -> None:
        self.node.send_report(self.node.report(self.job_id, self.ticket_id, **changes))
        self.world.step()


def begin(
    world: World, requester: Requester, node: Node, job_spec: JobSpec | None = None
) -> Saving:
    """Pay for a job that saves itself, and let the node take it."""
    job = requester.order(job_spec or saving_spec())
    world.step()
    return Saving(world, node, job.job_id, node.take(job.job_id))


def last(requester: Requester, job_id: str) -> Sealed:
    return requester.http.call("GET", f"/v1/jobs/{job_id}/checkpoint", None, Sealed)


def going_on(sealed: Sealed, manifest: CheckpointManifest, **changes: object) -> JobSpec:
    """Return the spec of a job that goes on from a checkpoint."""
    resume = replace(resume_from(sealed, manifest), **changes)  # type: ignore[arg-type]
    return spec(checkpoint=replace(CHECKPOINT, resume=resume))


def platform(**changes: object) -> Platform:
    return replace(platform_of(LINUX), **changes)  # type: ignore[arg-type]
