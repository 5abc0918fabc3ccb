"""The NVIDIA container toolkit: found by its programs, judged by its version."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunet_dms.machine.nvidia_toolkit import read_toolkit, toolkit_problem

CTK = "NVIDIA Container Toolkit CLI version {}\ncommit: 62bd015475656ef795cb0d59cc4030a6bd4a9526"
CLI = "cli-version: {}\nlib-version: 0.11.0+jetpack\nbuild date: 2023-07-18T11:40+00:00"
OLD_CLI = "version: {}\nbuild date: 2019-03-26T03:56+00:00"
HOOK = "NVIDIA Container Runtime Hook version {}\ncommit: a5a5833c14a15fd9c86bcece85d5ec6621b65652"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(folder: Path, name: str, says: str, *, status: int = 0) -> None:
    program = folder / name
    program.write_text(
        f"#!/bin/sh\nwhile read -r l; do echo \"$l\"; done <<'E'\n{says}\nE\nexit {status}\n"
    )
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nvidia-ctk", CTK),
        ("nvidia-container-cli", CLI),
        ("nvidia-container-cli", OLD_CLI),
        ("nvidia-container-runtime-hook", HOOK),
    ],
)
def test_each_program_tells_the_version(
    programs: Path, tmp_path: Path, name: str, says: str
) -> None:
    install(programs, name, says.format("1.13.5"))
    assert read_toolkit(root=tmp_path) == "1.13.5"


def test_the_oldest_part_decides(programs: Path, tmp_path: Path) -> None:
    install(programs, "nvidia-ctk", CTK.format("1.17.10"))
    install(programs, "nvidia-container-cli", CLI.format("1.17.8-rc.1"))
    install(programs, "nvidia-container-runtime-hook", HOOK.format("1.17.8"))
    assert read_toolkit(root=tmp_path) == "1.17.8-rc.1"


@pytest.mark.parametrize("says", ["", "Segmentation fault", "version: latest", "\x00\x01"])
def test_a_program_that_tells_nothing_is_passed_over(
    programs: Path, tmp_path: Path, says: str
) -> None:
    install(programs, "nvidia-ctk", says, status=1)
    assert read_toolkit(root=tmp_path) is None
    assert read_toolkit(("nvidia", "runc"), tmp_path) == ""


def test_a_program_that_cannot_be_run_is_passed_over(programs: Path, tmp_path: Path) -> None:
    (programs / "nvidia-ctk").write_bytes(b"\x7fELF of another machine")
    (programs / "nvidia-ctk").chmod(0o755)
    assert read_toolkit(root=tmp_path) is None


@pytest.mark.parametrize("place", ["etc/cdi", "var/run/cdi"])
def test_a_cdi_specification_shows_that_a_toolkit_is_there(
    programs: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / place).mkdir(parents=True)
    assert read_toolkit(root=tmp_path) is None
    (tmp_path / place / "nvidia.yaml").touch()
    assert read_toolkit(root=tmp_path) == ""


@pytest.mark.parametrize(
    "version", [None, "1.17.8", "1.17.8-1", "1.17.10", "1.18.0-rc.1", "v2.0.0"]
)
def test_no_toolkit_and_a_safe_one_are_no_problem(version: str | None) -> None:
    assert toolkit_problem(version) == ""


@pytest.mark.parametrize(
    ("version", "holes"),
    [
        ("1.17.7", ("CVE-2025-23266",)),
        ("1.17.8-rc.1", ("CVE-2025-23266",)),
        ("1.17.8~rc.1-1", ("CVE-2025-23266",)),
        ("1.16.2", ("CVE-2025-23266",)),
        ("1.16.1", ("CVE-2024-0132", "CVE-2025-23266")),
        ("1.9.0", ("CVE-2024-0132", "CVE-2025-23266")),
        ("0.9.10", ("CVE-2024-0132", "CVE-2025-23266")),
    ],
)
def test_an_old_toolkit_is_refused_with_its_holes_and_the_cure(
    version: str, holes: tuple[str, ...]
) -> None:
    problem = toolkit_problem(version)
    assert [hole for hole in ("CVE-2024-0132", "CVE-2025-23266") if hole in problem] == list(holes)
    assert version in problem
    assert "1.17.8 or later" in problem


@pytest.mark.parametrize("version", ["", "latest", "1.17", "-1.2.3"])
def test_a_version_that_cannot_be_read_is_a_problem(version: str) -> None:
    assert "tells no version" in toolkit_problem(version)


@given(st.text())
def test_no_version_however_odd_raises(version: str) -> None:
    assert isinstance(toolkit_problem(version), str)
