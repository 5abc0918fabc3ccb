"""Contents on the disk: whole and checked, or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from nunet_dms.errors import RefusedError
from nunet_dms.oracle.blobs import BlobStore

DATA = b"some content"
SHA = hashlib.sha256(DATA).hexdigest()


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def receive(blobs: BlobStore, content: bytes) -> None:
    with blobs.upload(SHA, len(DATA)) as upload:
        upload.write(content[:3])
        upload.write(content[3:])
        upload.check()
        upload.finish()


def test_a_content_is_there_after_finish_and_not_before(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    with blobs.upload(SHA, len(DATA)) as upload:
        upload.write(DATA)
        upload.check()
        assert not blobs.has(SHA, len(DATA))
        upload.finish()
    assert blobs.has(SHA, len(DATA))
    assert not blobs.has(SHA, len(DATA) + 1)
    assert blobs.path(SHA).read_bytes() == DATA
    assert files_in(tmp_path) == [SHA]
    blobs.remove(SHA)
    blobs.remove(SHA)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (DATA[:-1], "size_mismatch"),
        (DATA + b"!", "size_mismatch"),
        (b"", "size_mismatch"),
        (DATA[::-1], "hash_mismatch"),
    ],
)
def test_anything_else_is_refused_and_leaves_nothing(
    tmp_path: Path, content: bytes, code: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        receive(BlobStore(tmp_path), content)
    assert refused.value.code == code
    assert files_in(tmp_path) == []


def test_an_upload_that_breaks_off_keeps_an_older_whole_copy(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    receive(blobs, DATA)
    with blobs.upload(SHA, len(DATA)) as upload:
        upload.write(DATA[:4])
    assert blobs.path(SHA).read_bytes() == DATA
    assert files_in(tmp_path) == [SHA]


def test_what_a_crash_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    receive(blobs, DATA)
    with blobs.upload(SHA, len(DATA)) as upload:
        upload.write(DATA)
        assert len(files_in(tmp_path)) == 2
        BlobStore(tmp_path)
        assert files_in(tmp_path) == [SHA]
