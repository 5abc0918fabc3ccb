"""Reading a folder while a program writes to it: whole, bounded, and of its own files only."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from nunet_dms.node import snapshot
from nunet_dms.node.folder import DEPTH_MAX, JobFolder
from nunet_dms.node.snapshot import BUSY, Known, Snapshot, Timing, Unfit, take

ME = f"{os.geteuid()}:{os.getegid()}"
LIMIT = 1000
LATER_MS = 10_000
"""After every change that a test makes."""


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    made = JobFolder(tmp_path / "job")
    made.make(ME, with_checkpoint=True)
    return made


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Writer:
    """A program that does something whenever the reader pauses, and time that passes in between."""

    def __init__(self, folder: JobFolder) -> None:
        self.folder = folder
        self.pauses = 0
        self.writes_until = 0
        self.after_ms = LATER_MS

    def write(self, path: str, content: bytes) -> None:
        target = self.folder.checkpoint / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def pause(self, _seconds: float) -> None:
        self.pauses += 1

    def now_ms(self) -> int:
        newest = max((each.stat().st_ctime_ns for each in self.files()), default=0)
        return newest // 1_000_000 + (0 if self.pauses < self.writes_until else self.after_ms)

    def files(self) -> list[Path]:
        return [path for path in self.folder.checkpoint.rglob("*") if path.is_file()]

    def take(self, known: Known | None = None) -> Snapshot | Unfit:
        return take(self.folder, known or Known(), LIMIT, Timing(self.now_ms, self.pause))

    def taken(self, known: Known | None = None) -> Snapshot:
        found = self.take(known)
        assert isinstance(found, Snapshot), found
        return found


@pytest.fixture
def writer(folder: JobFolder) -> Writer:
    return Writer(folder)


def spooled(folder: JobFolder) -> set[str]:
    return {path.name for path in folder.spool.iterdir()}


def test_a_quiet_folder_is_read_whole_and_copied_aside(writer: Writer, folder: JobFolder) -> None:
    writer.write("state", b"1")
    writer.write("sub/empty", b"")
    found = writer.taken()
    assert [(each.path, each.size, each.sha256) for each in found.files.files] == [
        ("state", 1, sha(b"1")), ("sub/empty", 0, sha(b"")),
    ]  # fmt: skip
    assert (found.left_out, writer.pauses) == (0, 0)
    writer.write("state", b"changed since")
    assert (folder.spool / sha(b"1")).read_bytes() == b"1"


def test_an_empty_folder_is_a_checkpoint_too(writer: Writer) -> None:
    assert writer.taken().files.files == ()


def test_what_the_oracle_has_is_neither_read_nor_copied_again(
    writer: Writer, folder: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write("same", b"same")
    writer.write("state", b"1")
    first = writer.taken()
    folder.empty_spool()
    known = Known(first.hashes, frozenset({sha(b"same"), sha(b"1")}))
    writer.write("state", b"2")
    read: list[str] = []
    real = snapshot.open_at
    monkeypatch.setattr(
        snapshot, "open_at", lambda folder, name: (read.append(name), real(folder, name))[1]
    )
    second = writer.taken(known)
    assert {each.path: each.sha256 for each in second.files.files} == {
        "same": sha(b"same"), "state": sha(b"2"),
    }  # fmt: skip
    assert read == ["state"]
    assert spooled(folder) == {sha(b"2")}


def test_what_is_known_but_kept_nowhere_is_copied_again(writer: Writer, folder: JobFolder) -> None:
    writer.write("state", b"1")
    first = writer.taken()
    assert writer.taken(Known(first.hashes)) == first  # from the spool
    folder.empty_spool()
    assert writer.taken(Known(first.hashes)) == first
    assert spooled(folder) == {sha(b"1")}


def test_a_change_of_the_same_length_with_its_old_date_is_seen(writer: Writer) -> None:
    writer.write("state", b"1")
    target = writer.folder.checkpoint / "state"
    first, before = writer.taken(), target.stat()
    while target.stat().st_ctime_ns == before.st_ctime_ns:  # within one tick no kernel can tell
        writer.write("state", b"2")
        os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = writer.taken(Known(first.hashes, frozenset({sha(b"1")})))
    assert found.files.files[0].sha256 == sha(b"2")


def test_a_file_that_changed_just_now_is_waited_for(writer: Writer) -> None:
    writer.write("state", b"1")
    writer.writes_until = 2
    assert writer.taken().files.files[0].sha256 == sha(b"1")
    assert writer.pauses == 2


def test_a_folder_that_is_never_quiet_is_left_for_the_next_time(writer: Writer) -> None:
    writer.write("state", b"1")
    writer.writes_until = 99
    assert writer.take() is BUSY
    assert writer.pauses == len(snapshot.PAUSES_S)


@pytest.mark.parametrize(
    "change",
    [
        lambda top: (top / "b").write_bytes(b"longer than before"),
        lambda top: (top / "c").write_bytes(b"new"),
        lambda top: (top / "a").unlink(),
        lambda top: (top / "b").rename(top / "z"),
    ],
    ids=["written", "new", "gone", "renamed"],
)
def test_what_changes_while_it_is_read_is_never_half_of_a_checkpoint(
    writer: Writer, monkeypatch: pytest.MonkeyPatch, change: object
) -> None:
    """The program changes the folder after the first file is open; the next try has all of it."""
    writer.write("a", b"first")
    writer.write("b", b"second")
    real, opened = snapshot.open_at, []

    def changing(folder: int, name: str) -> object:
        opened.append(name)
        file = real(folder, name)
        if len(opened) == 1:
            change(writer.folder.checkpoint)  # type: ignore[operator]
        return file

    monkeypatch.setattr(snapshot, "open_at", changing)
    found = writer.taken()
    assert writer.pauses == 1
    top = writer.folder.checkpoint
    assert {each.path: each.sha256 for each in found.files.files} == {
        path.name: sha(path.read_bytes()) for path in top.iterdir()
    }


def test_links_pipes_depths_and_names_that_cannot_travel_are_counted_and_left_out(
    writer: Writer, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the provider's")
    top = writer.folder.checkpoint
    (top / "link").symlink_to(secret)
    (top / "linked").symlink_to(tmp_path)
    os.mkfifo(top / "pipe")
    (top / "line\nbreak").write_bytes(b"x")
    writer.write("/".join(["d"] * (DEPTH_MAX + 1)) + "/deep", b"x")
    writer.write("good", b"good")
    found = writer.taken()
    assert [each.path for each in found.files.files] == ["good"]
    assert found.left_out == 5


@pytest.mark.parametrize(
    ("size", "why"), [(LIMIT, None), (LIMIT + 1, "holds 1001 bytes, the job has 1000")]
)
def test_a_folder_over_the_jobs_disk_is_not_read(writer: Writer, size: int, why: str) -> None:
    with (writer.folder.checkpoint / "sparse").open("wb") as file:
        file.truncate(size)
    found = writer.take()
    if why is None:
        assert isinstance(found, Snapshot)
    else:
        assert isinstance(found, Unfit)
        assert why in found.why
        assert not writer.folder.spool.exists()


def test_too_many_files_are_not_a_checkpoint(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "FILES_MAX", 2)
    for number in range(3):
        writer.write(str(number), b"")
    assert writer.take() == Unfit("it holds more than 2 files")
