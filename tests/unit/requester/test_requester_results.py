"""Result files land below their folder or nowhere, and only with the announced content."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from nunet_dms.errors import OracleUnreachableError, UsageError, VerificationError
from nunet_dms.protocol.job import FileEntry, Manifest
from nunet_dms.requester.results import save_results


def entry(path: str, content: bytes) -> FileEntry:
    """Return the manifest's line for a content."""
    return FileEntry(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())


class Contents:
    """Gives contents by hash, and remembers which were asked for."""

    def __init__(self, *contents: bytes) -> None:
        self._by_hash = {hashlib.sha256(content).hexdigest(): content for content in contents}
        self.fetched: list[str] = []

    def __call__(self, wanted: FileEntry, to: BinaryIO) -> None:
        """Write the content."""
        self.fetched.append(wanted.path)
        to.write(self._by_hash[wanted.sha256])


def files_below(folder: Path) -> dict[str, bytes]:
    """Return everything that lies in a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_files_are_written_under_their_paths(tmp_path: Path) -> None:
    manifest = Manifest(files=(entry("a", b"1"), entry("deep/er/b", b"2"), entry("empty", b"")))
    save_results(manifest, Contents(b"1", b"2", b""), tmp_path / "new" / "out")
    assert files_below(tmp_path / "new" / "out") == {"a": b"1", "deep/er/b": b"2", "empty": b""}


def test_a_file_that_is_there_already_is_not_fetched_again(tmp_path: Path) -> None:
    manifest = Manifest(files=(entry("a", b"1"), entry("b", b"2")))
    (tmp_path / "a").write_bytes(b"1")
    contents = Contents(b"1", b"2")
    save_results(manifest, contents, tmp_path)
    assert contents.fetched == ["b"]


def test_another_file_is_kept_unless_forced(tmp_path: Path) -> None:
    manifest = Manifest(files=(entry("a", b"new"),))
    (tmp_path / "a").write_bytes(b"precious")
    with pytest.raises(UsageError, match="another file is there"):
        save_results(manifest, Contents(b"new"), tmp_path)
    assert files_below(tmp_path) == {"a": b"precious"}
    save_results(manifest, Contents(b"new"), tmp_path, force=True)
    assert files_below(tmp_path) == {"a": b"new"}


@pytest.mark.parametrize("content", [b"", b"evil", b"good and more"])
def test_a_content_that_is_not_the_announced_one_is_not_kept(
    tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(VerificationError) as caught:
        save_results(
            Manifest(files=(entry("a", b"good"),)),
            lambda _entry, to: to.write(content),
            tmp_path,
        )
    assert caught.value.code == "hash_mismatch"
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def breaks(_entry: FileEntry, to: BinaryIO) -> None:
        to.write(b"go")
        raise OracleUnreachableError("gone")

    with pytest.raises(OracleUnreachableError):
        save_results(Manifest(files=(entry("x/a", b"good"),)), breaks, tmp_path)
    assert files_below(tmp_path) == {}


@pytest.mark.parametrize("force", [False, True])
def test_links_on_the_way_are_not_followed(tmp_path: Path, force: bool) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "link").symlink_to(outside)
    manifest = Manifest(files=(entry("sub/link/a", b"1"),))
    with pytest.raises(UsageError, match="'link' is not a folder"):
        save_results(manifest, Contents(b"1"), folder, force=force)
    assert files_below(outside) == {}


def test_a_link_in_a_files_place_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"1")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a").symlink_to("../target")
    manifest = Manifest(files=(entry("a", b"1"),))
    with pytest.raises(UsageError, match="another file is there"):
        save_results(manifest, Contents(b"1"), folder)
    manifest = Manifest(files=(entry("a", b"2"),))
    save_results(manifest, Contents(b"2"), folder, force=True)
    assert (tmp_path / "target").read_bytes() == b"1"
    assert not (folder / "a").is_symlink()
    assert (folder / "a").read_bytes() == b"2"


def test_a_file_where_a_folder_must_be_is_refused(tmp_path: Path) -> None:
    manifest = Manifest(files=(entry("a", b"1"), entry("a/b", b"2")))
    with pytest.raises(UsageError, match="'a' is not a folder"):
        save_results(manifest, Contents(b"1", b"2"), tmp_path)


def test_a_folder_in_a_files_place_is_refused_even_with_force(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(UsageError):
        save_results(Manifest(files=(entry("a", b"1"),)), Contents(b"1"), tmp_path, force=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_pipe_in_a_files_place_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    with pytest.raises(UsageError, match="another file is there"):
        save_results(Manifest(files=(entry("a", b"1"),)), Contents(b"1"), tmp_path)


def test_results_are_not_executable(tmp_path: Path) -> None:
    save_results(Manifest(files=(entry("a", b"1"),)), Contents(b"1"), tmp_path)
    assert (tmp_path / "a").stat().st_mode & 0o111 == 0
