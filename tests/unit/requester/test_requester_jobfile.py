"""A job.toml is read strictly: what is wrong in it is named, and nothing outside it is sent."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from nunet_dms.errors import ConfigError
from nunet_dms.protocol.bounds import FILES_MAX
from nunet_dms.requester import jobfile
from nunet_dms.requester.jobfile import read_job

IMAGE = "demo@sha256:" + "a" * 64
MINIMAL = f"""
image = "{IMAGE}"
time_limit_s = 60
resources = {{ cpu_mhz = 1000, ram_mb = 256 }}
"""


def job_in(folder: Path, text: str) -> Path:
    """Write a job.toml."""
    path = folder / "job.toml"
    path.write_text(text)
    return path


def problem_of(folder: Path, text: str) -> ConfigError:
    """Return what is said about a job.toml that is wrong."""
    with pytest.raises(ConfigError) as caught:
        read_job(job_in(folder, text))
    return caught.value


def test_a_minimal_job_has_the_defaults(tmp_path: Path) -> None:
    job = read_job(job_in(tmp_path, MINIMAL))
    assert job.spec.image == IMAGE
    assert (job.spec.network, job.spec.outputs, job.inputs) == ("none", "/nunet/out", ())


def test_every_key_of_a_job_spec_may_stand_in_the_file(tmp_path: Path) -> None:
    job = read_job(
        job_in(
            tmp_path,
            MINIMAL + 'command = ["a", "b"]\nkind = "service"\nnetwork = "egress"\n'
            'outputs = "/data"\n[env]\nA_B = "1"\n[checkpoint]\nfolder = "/ck"\ninterval_s = 60\n',
        )
    )
    assert job.spec.command == ("a", "b")
    assert job.spec.env == {"A_B": "1"}
    assert job.spec.checkpoint is not None
    assert job.spec.checkpoint.interval_s == 60


def test_inputs_are_files_and_folders_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_bytes(b"print()")
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "b.csv").write_bytes(b"")
    (tmp_path / "data" / "deep" / "a.csv").write_bytes(b"1,2")
    job = read_job(job_in(tmp_path, MINIMAL + 'inputs = ["./train.py", "data/"]'))
    entries = [(entry.path, entry.size, entry.sha256) for entry in job.spec.inputs.files]
    assert entries == [
        ("train.py", 7, hashlib.sha256(b"print()").hexdigest()),
        ("data/b.csv", 0, hashlib.sha256(b"").hexdigest()),
        ("data/deep/a.csv", 3, hashlib.sha256(b"1,2").hexdigest()),
    ]
    assert [file.source.read_bytes() for file in job.inputs] == [b"print()", b"", b"1,2"]


def test_the_image_may_be_given_beside_the_file(tmp_path: Path) -> None:
    text = MINIMAL.replace(IMAGE, "demo")
    assert "image by digest" in str(problem_of(tmp_path, text))
    assert read_job(job_in(tmp_path, text), image=IMAGE).spec.image == IMAGE


@pytest.mark.parametrize(
    ("addition", "named", "hint"),
    [
        ("time_limits = 1", "unknown key time_limits", "did you mean time_limit_s?"),
        ("zzz = 1", "unknown key zzz", "known keys: image, command"),
        ("[checkpoint]\nfolders = 1", "checkpoint.folders", "did you mean checkpoint.folder?"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_known_one(
    tmp_path: Path, addition: str, named: str, hint: str
) -> None:
    error = problem_of(tmp_path, MINIMAL + addition)
    assert named in str(error)
    assert hint in error.hint


def test_an_unknown_key_of_a_table_is_named_with_its_table(tmp_path: Path) -> None:
    error = problem_of(tmp_path, MINIMAL.replace("ram_mb", "ram"))
    assert "unknown key resources.ram" in str(error)
    assert error.hint == "did you mean resources.ram_mb?"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("image = ", "it is not TOML"),
        (MINIMAL + "time_limit_s = 2", "it is not TOML"),
        (MINIMAL.replace("60", "60.5"), "job.time_limit_s: must be an integer"),
        (MINIMAL.replace("60", "0"), "job.time_limit_s: must be from 1"),
        (MINIMAL.replace("60", "1979-05-27"), "job.time_limit_s: must be an integer"),
        (MINIMAL.replace("1000", "-1"), "job.resources.cpu_mhz"),
        (MINIMAL.replace("time_limit_s = 60", ""), "missing key"),
        (MINIMAL + 'command = "a b"', "job.command: must be a list"),
        (MINIMAL + "env = {NUNET_X = '1'}", "NUNET_X is set by the node"),
        (MINIMAL + "env = {A = 1}", "job.env"),
        (MINIMAL + 'outputs = "/nunet/in/x"', "outputs may not lie in /nunet/in"),
        (MINIMAL + 'inputs = "train.py"', "inputs must be a list of paths"),
        (MINIMAL + "inputs = [1]", "inputs must be a list of paths"),
        (MINIMAL + "resources = 1", "it is not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(tmp_path: Path, text: str, named: str) -> None:
    error = problem_of(tmp_path, text)
    assert named in str(error)
    assert str(tmp_path / "job.toml") in str(error)


@pytest.mark.parametrize(
    "path", ["../secret", "/etc/passwd", "a/../b", "", ".", "a//b", "a\tb", "x" * 256]
)
def test_an_input_outside_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    error = problem_of(tmp_path, MINIMAL + f"inputs = ['{path}']")
    assert "input" in str(error)


def test_an_input_that_is_absent_is_named(tmp_path: Path) -> None:
    error = problem_of(tmp_path, MINIMAL + 'inputs = ["train.py"]')
    assert f"{tmp_path / 'train.py'}: No such file" in str(error)


@pytest.mark.parametrize("inputs", ["link", "folder/link", "way/file", "folder"])
def test_symbolic_links_are_refused_wherever_they_stand(tmp_path: Path, inputs: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("x")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder" / "link").symlink_to("file")
    (tmp_path / "way").symlink_to("folder")
    error = problem_of(tmp_path, MINIMAL + f'inputs = ["{inputs}"]')
    assert "it is a symbolic link" in str(error)


def test_a_pipe_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    error = problem_of(tmp_path, MINIMAL + 'inputs = ["pipe"]')
    assert "neither a file nor a folder" in str(error)


def test_a_file_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_text("x")
    error = problem_of(tmp_path, MINIMAL + 'inputs = ["data", "data/a"]')
    assert "stands twice" in str(error)


def test_a_file_name_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "data") + b"/\xff")).write_text("x")
    assert "not UTF-8" in str(problem_of(tmp_path, MINIMAL + 'inputs = ["data"]'))


def test_too_many_files_are_refused_before_all_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobfile, "FILES_MAX", 3)
    (tmp_path / "data").mkdir()
    for number in range(5):
        (tmp_path / "data" / str(number)).write_text("x")
    assert "more than 3 input files" in str(problem_of(tmp_path, MINIMAL + 'inputs = ["data"]'))
    assert FILES_MAX == 10_000


def test_a_huge_file_in_the_place_of_a_job_is_refused(tmp_path: Path) -> None:
    text = "#" * (jobfile.JOB_FILE_MAX_BYTES + 1)
    assert "longer than" in str(problem_of(tmp_path, text))


@pytest.mark.parametrize("name", ["absent.toml", "."])
def test_a_job_file_that_cannot_be_read_is_a_config_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_job(tmp_path / name)
