"""What the doctor looks at beside the machine's facts: user, clock, files, ports, the old DMS."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import MappingProxyType

import pytest

from nunet_dms.cardano.keys import PaymentKey, write_key_file
from nunet_dms.errors import RefusedError, UnreachableError, UsageError
from nunet_dms.node.journal import Journal
from nunet_dms.node.lock import WorkerLock
from nunet_dms.paths import Paths
from nunet_dms.protocol import strict
from nunet_dms.protocol.keys import SigningKey, write_signing_key
from nunet_dms.provider import first_contact
from nunet_dms.provider.doctor.clock import ClockFacts, largest_error_us, read_clock
from nunet_dms.provider.doctor.files import FileFacts, KeyFacts, read_file, read_own_files
from nunet_dms.provider.doctor.listeners import Listener, read_listeners
from nunet_dms.provider.doctor.old_dms import OldDmsFacts, read_old_dms
from nunet_dms.provider.doctor.user import UserFacts, read_user
from nunet_dms.provider.doctor.worker_word import WorkerWord, read_worker_word
from nunet_dms.provider.first_contact import Contact, ask_oracle
from tests.unit.provider.doctor_world import INFO, KEY, ROW, URL

PASSWD = """\
root:x:0:0:root:/root:/bin/bash
ann:x:1000:1000:Ann,,,:/home/ann:/bin/bash
bob:x:1001:1001::/home/bob:/bin/sh
eve:x:1002:27::/home/eve:/bin/sh
a broken line
"""
GROUP = """\
root:x:0:
sudo:x:27:ann,dan
docker:x:998:bob
sudoers:x:30:bob
another broken line:
"""
TCP_HEAD = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"
    "  timeout inode\n"
)
UNIT = "lib/systemd/system/nunet-dms.service"
OLD_STANZA = """\
Package: nunet
Status: install ok installed
Architecture: all

Package: nunet-dms
Status: {status}
Priority: optional
Architecture: {architecture}
Version: 0.4.165
Description: NuNet Device Management Service
 Status: this line is of the description

Package: other
Status: install ok installed
Architecture: amd64
"""


def put(root: Path, name: str, content: str | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def where(folder: Path) -> Paths:
    return Paths(folder / "config", folder / "state", folder / "run")


@pytest.mark.parametrize(
    ("uid", "expected"),
    [
        (0, UserFacts(0, "root", True)),
        (1000, UserFacts(1000, "ann", True)),
        (1001, UserFacts(1001, "bob", False)),
        (1002, UserFacts(1002, "eve", True)),
        (4242, UserFacts(4242, "", None)),
    ],
    ids=["root", "by-group", "in-none", "by-first-group", "of-a-directory-service"],
)
def test_who_may_use_sudo_is_told_by_passwd_and_group(
    uid: int, expected: UserFacts, tmp_path: Path
) -> None:
    put(tmp_path, "etc/passwd", PASSWD)
    put(tmp_path, "etc/group", GROUP)
    assert read_user(uid, tmp_path) == expected


def test_a_system_without_user_files_tells_nothing(tmp_path: Path) -> None:
    assert read_user(1000, tmp_path) == UserFacts(1000, "", None)


@pytest.mark.parametrize(
    ("error_us", "expected"), [(15_999_999, True), (16_000_000, False), (None, None)]
)
def test_a_clock_is_kept_right_if_the_kernel_s_estimate_of_its_error_says_so(
    error_us: int | None, expected: bool | None
) -> None:
    assert read_clock(lambda: error_us) == ClockFacts(expected)


def test_this_kernel_tells_an_error_or_refuses_to() -> None:
    error_us = largest_error_us()
    assert error_us is None or 0 <= error_us <= 10**10


def socket(port: int, state: str, inode: int, address: str = "0100007F") -> str:
    return (
        f"   0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000"
        f"  1000        0 {inode} 1 0000000000000000 100 0 0 10 0\n"
    )


def has_open(root: Path, pid: int, inode: int, program: str) -> None:
    files = root / f"proc/{pid}/fd"
    files.mkdir(parents=True)
    (files / "3").symlink_to(f"socket:[{inode}]")
    (files / "4").symlink_to("/dev/null")
    (root / f"proc/{pid}/exe").symlink_to(program)


def test_who_listens_is_found_by_the_sockets_of_processes(tmp_path: Path) -> None:
    tcp = socket(9999, "0A", 1) + socket(9000, "01", 2) + socket(80, "0A", 3)
    put(tmp_path, "proc/net/tcp", TCP_HEAD + tcp)
    put(tmp_path, "proc/net/udp6", TCP_HEAD + socket(9000, "07", 4, "0" * 32))
    has_open(tmp_path, 17, 1, "/usr/bin/nunet")
    has_open(tmp_path, 18, 2, "/usr/bin/curl")
    put(tmp_path, "proc/version", "Linux")
    assert read_listeners(frozenset({9000, 9999}), tmp_path) == (
        Listener("tcp", 9999, 17, "nunet"),
        Listener("udp", 9000, None, ""),
    )


def test_a_listener_for_both_internet_protocols_is_one(tmp_path: Path) -> None:
    put(tmp_path, "proc/net/tcp", TCP_HEAD + socket(9000, "0A", 1))
    put(tmp_path, "proc/net/tcp6", TCP_HEAD + socket(9000, "0A", 2, "0" * 32))
    assert read_listeners(frozenset({9000}), tmp_path) == (Listener("tcp", 9000),)


def test_nobody_listens_where_there_is_no_proc(tmp_path: Path) -> None:
    assert read_listeners(frozenset({9000}), tmp_path) == ()


def test_the_old_dms_is_told_from_ours_by_the_architecture_of_its_package(tmp_path: Path) -> None:
    installed = "install ok installed"
    put(tmp_path, "var/lib/dpkg/status", OLD_STANZA.format(status=installed, architecture="amd64"))
    assert read_old_dms(tmp_path).package == "0.4.165"
    put(tmp_path, "var/lib/dpkg/status", OLD_STANZA.format(status=installed, architecture="all"))
    assert read_old_dms(tmp_path) == OldDmsFacts()


def test_an_old_package_that_was_removed_is_not_installed(tmp_path: Path) -> None:
    removed = OLD_STANZA.format(status="deinstall ok config-files", architecture="amd64")
    put(tmp_path, "var/lib/dpkg/status", removed)
    assert read_old_dms(tmp_path).package == ""


@pytest.mark.parametrize(
    ("name", "content", "is_old"),
    [
        ("usr/bin/nunet", b"\x7fELF\x02\x01", True),
        ("usr/bin/nunet-dms", b"\x7fELF\x02\x01", True),
        ("usr/bin/nunet", b"#!/bin/bash\nset -e\n", True),
        ("usr/bin/nunet", b"#!/usr/bin/env bash\n", True),
        ("usr/bin/nunet", b"#!/usr/bin/python3\nimport sys\n", False),
        ("usr/bin/nunet", b"#!/bin/sh\n'''exec' /opt/python\n", False),
        (
            "lib/systemd/system/nunet-dms.service",
            b"[Service]\nExecStart=/usr/bin/nunet run\n",
            True,
        ),
        (
            "lib/systemd/system/nunet-dms.service",
            b"[Service]\nExecStart=/usr/bin/nunet-dms\n",
            False,
        ),
    ],
)
def test_the_old_dms_s_programs_and_unit_are_told_from_ours(
    name: str, content: bytes, is_old: bool, tmp_path: Path
) -> None:
    put(tmp_path, name, content)
    assert read_old_dms(tmp_path).programs == ((f"/{name}",) if is_old else ())


def test_what_the_old_dms_left_behind_is_named(tmp_path: Path) -> None:
    put(tmp_path, "etc/nunet/metadataV2.json", "{}")
    assert read_old_dms(tmp_path) == OldDmsFacts(leftovers=("/etc/nunet/metadataV2.json",))


def test_a_file_tells_its_mode_and_owner_or_that_it_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "a file"
    assert read_file(file) == FileFacts(file)
    assert read_file(tmp_path / "no folder" / "x").mode is None
    file.touch()
    file.chmod(0o604)
    assert read_file(file) == FileFacts(file, 0o604, os.geteuid())
    assert read_file(file).mode_text == "0604"


def test_what_cannot_be_looked_at_is_a_problem_and_raises_nothing(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert read_file(loop).problem.startswith(f"cannot look at {loop}: ")


def test_keys_are_read_and_those_open_to_others_are_refused(tmp_path: Path) -> None:
    paths, key = where(tmp_path), PaymentKey.generate()
    write_signing_key(paths.identity_key, SigningKey.generate())
    write_key_file(paths.settlement_key, key)
    paths.identity_key.chmod(0o640)
    files = read_own_files(paths)
    assert files.settlement == KeyFacts(paths.settlement_key, True, key_hash=key.key_hash.hex())
    assert "lets others in" in files.identity.problem
    assert files.identity.cure == f"chmod 600 {paths.identity_key}"
    assert not files.wallet.there
    assert files.state_dir.mode is not None


def test_a_key_that_may_not_be_read_is_not_taken_for_a_missing_one(tmp_path: Path) -> None:
    paths = where(tmp_path)
    put(tmp_path, "state/keys", b"a file in the folder's place")
    assert not read_own_files(paths).identity.there
    (tmp_path / "state/keys").unlink()
    paths.keys_dir.symlink_to(paths.keys_dir)  # a loop: it cannot be looked into
    assert read_own_files(paths).identity.problem.startswith("cannot read key file")


def test_the_worker_s_word_is_what_the_process_that_holds_the_lock_said(tmp_path: Path) -> None:
    paths = where(tmp_path)
    assert read_worker_word(paths) == WorkerWord()
    lock, journal = WorkerLock(paths.lock_file), Journal(paths.journal, lambda: 0)
    journal.pin_oracle(URL, strict.encode(INFO))
    ours = replace(ROW, pid=os.getpid(), heartbeat_s=0)
    journal.write_worker(ours)
    assert read_worker_word(paths) == WorkerWord(os.getpid(), ours, KEY)
    lock.release()
    assert read_worker_word(paths) == WorkerWord(None, None, KEY)
    journal.close()


def test_the_word_of_a_former_worker_is_not_that_of_this_one(tmp_path: Path) -> None:
    paths = where(tmp_path)
    lock, journal = WorkerLock(paths.lock_file), Journal(paths.journal, lambda: 0)
    journal.write_worker(ROW)
    assert read_worker_word(paths) == WorkerWord(os.getpid())
    journal.close()
    lock.release()


def test_an_oracle_s_words_that_are_no_longer_understood_pin_nothing(tmp_path: Path) -> None:
    paths = where(tmp_path)
    journal = Journal(paths.journal, lambda: 0)
    journal.pin_oracle(URL, b'{"of": "another version"}')
    assert read_worker_word(paths).pinned_key == ""
    journal.close()


def test_a_damaged_journal_is_a_problem_and_raises_nothing(tmp_path: Path) -> None:
    paths = where(tmp_path)
    put(tmp_path, "state/journal.db", b"this is no database" * 100)
    assert "cannot use the journal" in read_worker_word(paths).problem


def test_a_damaged_page_of_the_journal_is_a_problem_too(tmp_path: Path) -> None:
    paths = where(tmp_path)
    with Journal(paths.journal, lambda: 0) as journal:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'worker'"
        page = journal._db.execute(query).fetchone()[0]
        journal.write_worker(ROW)
    with paths.journal.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)
    assert "it is damaged" in read_worker_word(paths).problem


class Line:
    """Stands in for OracleHttp: one answer, or an error."""

    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""
    error: Exception | None = None

    def __init__(self, url: str) -> None:
        assert url == URL

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get_bytes(
        self, path: str, *, to: BytesIO, limit: int, timeout_s: float
    ) -> Mapping[str, str]:
        assert (path, limit, timeout_s) == ("/v1/oracle", 65_536, 3)
        if self.error:
            raise self.error
        to.write(self.body)
        return self.headers


@pytest.mark.parametrize(
    ("date", "ahead_s"),
    [
        ("Thu, 01 Jan 1970 00:16:40 GMT", 0),
        ("Thu, 01 Jan 1970 00:15:40 GMT", 60),
        ("Thu, 01 Jan 1970 00:17:40 GMT", -60),
        ("", None),
        ("yesterday", None),
        ("Thu, 99 Jan 1970 00:16:40 GMT", None),
    ],
)
def test_the_oracle_s_clock_is_read_from_its_answer(
    date: str, ahead_s: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_contact, "OracleHttp", Line)
    monkeypatch.setattr(Line, "body", strict.encode(INFO))
    monkeypatch.setattr(Line, "headers", {"Date": date})
    times = iter((999.0, 1001.0))
    assert ask_oracle(URL, lambda: next(times)) == Contact(URL, INFO, "", ahead_s)


def test_an_oracle_that_is_away_or_none_at_all_is_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(first_contact, "OracleHttp", Line)
    monkeypatch.setattr(Line, "body", b"<html>")
    assert ask_oracle(URL).problem.startswith(f"what answers at {URL} is no Oracle: ")
    monkeypatch.setattr(Line, "error", UnreachableError("cannot reach it"))
    assert ask_oracle(URL) == Contact(URL, None, "cannot reach it")


def test_an_oracle_that_does_not_tell_who_it_is_has_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(first_contact, "OracleHttp", Line)
    monkeypatch.setattr(Line, "error", RefusedError("not_found", "cannot answer: not found"))
    with pytest.raises(RefusedError):
        ask_oracle(URL)


def test_what_is_no_url_of_an_oracle_is_not_asked() -> None:
    with pytest.raises(UsageError, match="it must be https"):
        ask_oracle("http://far.example")
