"""A job's checkpoint folder in its spec, and what a node signs of its content."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nunet_dms.errors import MalformedError, VerificationError
from nunet_dms.protocol import strict
from nunet_dms.protocol.checkpoint import (
    CheckpointManifest,
    open_checkpoint,
    resume_from,
    seal_checkpoint,
)
from nunet_dms.protocol.job import Checkpoint, FileEntry, JobSpec, Manifest, Resources
from nunet_dms.protocol.keys import SigningKey, node_id_of
from nunet_dms.protocol.platform import Platform

PLATFORM = Platform(os_family="linux", architecture="x86_64", kernel="6.1.0")
STATE = FileEntry(path="state.json", size=2, sha256="b" * 64)
MANIFEST = CheckpointManifest(
    job_id="a" * 32, number=3, taken_ms=5000, ran_ms=4000, trigger="interval", platform=PLATFORM,
    files=Manifest(files=(STATE,)),
)  # fmt: skip
KEY = SigningKey.generate()
NODE = node_id_of(KEY.public)


def spec(folder: str, outputs: str = "/nunet/out") -> JobSpec:
    return JobSpec(
        image="busybox@sha256:" + "a" * 64, resources=Resources(cpu_mhz=1, ram_mb=8),
        time_limit_s=60, outputs=outputs, checkpoint=Checkpoint(folder=folder, interval_s=10),
    )  # fmt: skip


@pytest.mark.parametrize("folder", ["/nunet/ckpt", "/ckpt", "/scratch/ckpt", "/nunet/outer"])
def test_a_folder_of_its_own_can_be_saved(folder: str) -> None:
    found = strict.decode(JobSpec, strict.encode(spec(folder)))
    assert found.checkpoint == Checkpoint(folder=folder, interval_s=10)


@pytest.mark.parametrize(
    "folder",
    [
        "/nunet/out", "/nunet/out/ckpt", "/nunet", "/nunet/in", "/nunet/in/a", "/proc/1", "/dev",
        "/" + "tmp", "/a/../etc", "/a/./b",
    ],
)  # fmt: skip
def test_a_folder_that_is_shared_with_something_is_refused(folder: str) -> None:
    with pytest.raises(MalformedError) as caught:
        spec(folder)
    assert caught.value.where == "$.checkpoint.folder"


def test_outputs_may_not_lie_above_the_checkpoint() -> None:
    with pytest.raises(MalformedError):
        spec("/work/ckpt", outputs="/work")


def test_files_to_resume_from_must_be_a_tree() -> None:
    twice = replace(MANIFEST, files=Manifest(files=(STATE, STATE)))
    resume = resume_from(seal_checkpoint(twice, KEY), twice)
    checkpoint = Checkpoint(folder="/ckpt", interval_s=10, resume=resume)
    with pytest.raises(MalformedError) as caught:
        replace(spec("/ckpt"), checkpoint=checkpoint)
    assert caught.value.where == "$.checkpoint.resume.files"


def test_a_checkpoint_is_its_nodes_and_its_jobs() -> None:
    sealed = seal_checkpoint(MANIFEST, KEY)
    assert open_checkpoint(sealed, MANIFEST.job_id, NODE) == MANIFEST
    other = SigningKey.generate()
    for forged, job_id, code in (
        (seal_checkpoint(MANIFEST, other), MANIFEST.job_id, "foreign_key"),
        (replace(sealed, payload=sealed.payload.replace("4000", "4001")), "a" * 32,
         "bad_signature"),
        (sealed, "c" * 32, "foreign_checkpoint"),
    ):  # fmt: skip
        with pytest.raises(VerificationError) as caught:
            open_checkpoint(forged, job_id, NODE)
        assert caught.value.code == code


def test_a_spec_goes_on_from_exactly_what_was_signed() -> None:
    sealed = seal_checkpoint(MANIFEST, KEY)
    resume = resume_from(sealed, MANIFEST)
    assert (resume.checkpoint, resume.number) == (sealed.digest, 3)
    assert (resume.platform, resume.files) == (PLATFORM, MANIFEST.files)
