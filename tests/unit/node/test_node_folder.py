"""A job's folder: what a hostile job leaves is bounded, and nothing outside is ever read."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from nunet_dms.errors import VerificationError
from nunet_dms.node.folder import DEPTH_MAX, JobFolder
from nunet_dms.protocol.job import FileEntry, Manifest

ME = f"{os.geteuid()}:{os.getegid()}"


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    made = JobFolder(tmp_path / "job")
    made.make(ME)
    return made


def entry(path: str, content: bytes) -> FileEntry:
    return FileEntry(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def fetch_from(contents: dict[str, bytes]) -> object:
    by_hash = {hashlib.sha256(content).hexdigest(): content for content in contents.values()}

    def fetch(sha256: str, to: BinaryIO, size: int) -> None:
        to.write(by_hash[sha256])

    return fetch


def test_inputs_are_staged_whole_and_not_fetched_twice(folder: JobFolder) -> None:
    contents = {"a.py": b"print()", "data/b.csv": b"1,2"}
    manifest = Manifest(files=tuple(entry(path, body) for path, body in contents.items()))
    folder.stage(manifest, fetch_from(contents))
    folder.stage(manifest, None)  # everything is there: nothing is asked for
    for path, body in contents.items():
        assert (folder.inputs / path).read_bytes() == body


@pytest.mark.parametrize("sent", [b"other bytes", b"", b"right but longer"])
def test_an_input_with_other_bytes_is_refused_and_not_kept(folder: JobFolder, sent: bytes) -> None:
    manifest = Manifest(files=(entry("a", b"right"),))
    with pytest.raises(VerificationError, match="other bytes"):
        folder.stage(manifest, lambda _sha256, to, _size: to.write(sent))
    assert not (folder.inputs / "a").exists()


def test_folders_between_are_open_to_the_job_whatever_our_umask(folder: JobFolder) -> None:
    contents = {"deep/er/a": b"a"}
    manifest = Manifest(files=(entry("deep/er/a", b"a"),))
    before = os.umask(0o077)
    try:
        folder.stage(manifest, fetch_from(contents))
    finally:
        os.umask(before)
    for path in ("deep", "deep/er"):
        assert (folder.inputs / path).stat().st_mode & 0o777 == 0o755


def test_what_a_power_cut_left_in_a_staged_files_place_is_fetched_again(
    folder: JobFolder,
) -> None:
    manifest = Manifest(files=(entry("a", b"right"),))
    folder.inputs.joinpath("a").write_bytes(bytes(5))
    folder.stage(manifest, fetch_from({"a": b"right"}))
    assert (folder.inputs / "a").read_bytes() == b"right"


def test_a_checkpoint_is_put_back_where_the_job_may_write(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "job")
    folder.make(ME, with_checkpoint=True)
    manifest = Manifest(files=(entry("sub/state", b"7"),))
    folder.stage_checkpoint(manifest, fetch_from({"state": b"7"}), ME)
    restored = folder.checkpoint / "sub" / "state"
    assert restored.read_bytes() == b"7"
    assert os.access(restored, os.W_OK)
    wrong = Manifest(files=(entry("sub/state", b"8"),))
    with pytest.raises(VerificationError, match="other bytes"):
        folder.stage_checkpoint(wrong, lambda _sha256, to, _size: to.write(b"9"), ME)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_checkpoint_of_another_user_is_given_to_that_user(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "job")
    folder.make("10001:10001", with_checkpoint=True)
    manifest = Manifest(files=(entry("sub/state", b"7"),))
    folder.stage_checkpoint(manifest, fetch_from({"state": b"7"}), "10001:10001")
    for path in ("", "sub", "sub/state"):
        assert (folder.checkpoint / path).stat().st_uid == 10001


def test_a_checkpoint_counts_as_disk_and_is_cleaned_away(folder: JobFolder) -> None:
    folder.make(ME, with_checkpoint=True)
    before = folder.used_bytes()
    (folder.checkpoint / "state").write_bytes(bytes(100_000))
    folder.spool.mkdir()
    assert folder.used_bytes() >= before + 100_000
    folder.clean()
    assert list(folder.path.iterdir()) == []


def test_results_are_collected_sorted_with_size_and_hash(folder: JobFolder) -> None:
    (folder.outputs / "sub").mkdir()
    (folder.outputs / "sub" / "b").write_bytes(b"bb")
    (folder.outputs / "a").write_bytes(b"a")
    manifest, whole = folder.collect(1000)
    assert (manifest.files, whole) == ((entry("a", b"a"), entry("sub/b", b"bb")), True)
    with folder.open_result("sub/b") as file:
        assert file.read() == b"bb"


def test_links_pipes_and_sockets_are_left_out_and_said_so(
    folder: JobFolder, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the provider's")
    (folder.outputs / "link").symlink_to(secret)
    (folder.outputs / "linked").symlink_to(tmp_path)
    os.mkfifo(folder.outputs / "pipe")
    (folder.outputs / "good").write_bytes(b"x")
    manifest, whole = folder.collect(1000)
    assert ([file.path for file in manifest.files], whole) == (["good"], False)
    for path in ("link", "linked/secret"):
        with pytest.raises(OSError, match=r"symbolic|directory"):
            folder.open_result(path)


def test_a_sparse_giant_is_not_read(folder: JobFolder) -> None:
    with (folder.outputs / "giant").open("wb") as file:
        file.truncate(10**12)
    (folder.outputs / "small").write_bytes(b"x")
    manifest, whole = folder.collect(1000)
    assert ([file.path for file in manifest.files], whole) == (["small"], False)


def test_what_lies_too_deep_is_left_out(folder: JobFolder) -> None:
    deep = folder.outputs.joinpath(*["d"] * (DEPTH_MAX + 1))
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"x")
    assert folder.collect(1000) == (Manifest(), False)


def test_a_name_that_cannot_travel_is_left_out(folder: JobFolder) -> None:
    (folder.outputs / "line\nbreak").write_bytes(b"x")
    assert folder.collect(1000) == (Manifest(), False)


def test_many_empty_files_count_as_disk(folder: JobFolder) -> None:
    for number in range(10):
        (folder.outputs / str(number)).touch()
    assert folder.used_bytes() >= 10 * 4096


def test_cleaning_leaves_the_log_alone(folder: JobFolder) -> None:
    folder.log.write_bytes(b"said")
    (folder.outputs / "a").write_bytes(b"a")
    folder.clean()
    assert [path.name for path in folder.path.iterdir()] == ["log"]
