"""The platform's rules, held against the files of real machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from nunet_dms.config import DEFAULT_ORACLE_URL
from nunet_dms.errors import (
    EngineUnreachableError,
    ExitCode,
    NunetError,
    RefusedError,
    UsageError,
)
from nunet_dms.machine import fingerprint
from nunet_dms.machine.engine import EngineFacts
from nunet_dms.node.proof import Proof
from nunet_dms.node.proof_values import ProofCheck
from nunet_dms.paths import Paths
from nunet_dms.provider.doctor import patient as doctor_patient
from nunet_dms.provider.doctor.checks import diagnose
from nunet_dms.provider.doctor.findings import Finding, Severity
from nunet_dms.provider.doctor.patient import ProofFacts, examine
from nunet_dms.provider.first_contact import Contact
from tests.unit.machine.golden import NAMES, machine
from tests.unit.machine_world import MACHINE

OK, NOTE, WARNING, ERROR = Severity
AWAY = EngineFacts(answers=False, problem="cannot reach Docker: it is away", cure="start it")


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No engine and no Oracle answers; returns which Oracles were asked."""
    urls: list[str] = []

    def ask(url: str) -> Contact:
        urls.append(url)
        return Contact(url, None, "nothing listens there")

    monkeypatch.setattr(fingerprint, "read_engine", lambda: AWAY)
    monkeypatch.setattr(doctor_patient, "ask_oracle", ask)
    return urls


@pytest.fixture
def where(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "config", tmp_path / "state", tmp_path / "run")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def findings(name: str, root: Path, where: Paths) -> dict[str, Finding]:
    return {each.id: each for each in diagnose(examine(where, root=machine(name, root)))}


@pytest.mark.parametrize(
    ("name", "id_", "severity"),
    [
        ("virtualbox-nat", "platform.vm_network", WARNING),
        ("virtualbox-bridged", "platform.vm_network", OK),
        ("ubuntu-24.04-bare", "platform.vm_network", OK),
        ("firecracker", "platform.vm_network", NOTE),
        ("wsl2", "platform.vm_network", NOTE),
        ("wsl2", "platform.systemd", WARNING),
        ("wsl2-systemd", "platform.systemd", OK),
        ("wsl2", "platform.wsl_kernel", OK),
        ("wsl2", "platform.wsl_version", OK),
        ("wsl1", "platform.wsl_version", ERROR),
        ("wsl1", "platform.systemd", NOTE),
        ("docker", "platform.container", NOTE),
        ("ubuntu-24.04-bare", "platform.container", OK),
        ("debian-12-bare", "platform.systemd", OK),
    ],
)
def test_a_golden_machine_gets_the_findings_that_it_deserves(
    name: str, id_: str, severity: Severity, root: Path, where: Paths
) -> None:
    assert findings(name, root, where)[id_].severity is severity


@pytest.mark.parametrize("name", NAMES)
def test_every_golden_machine_can_be_examined_before_it_is_onboarded(
    name: str, root: Path, where: Paths
) -> None:
    found = findings(name, root, where)
    assert found["node.onboarded"].exit_code is ExitCode.NOT_ONBOARDED
    assert found["oracle.answers"].severity is NOTE
    assert not [id_ for id_ in found if id_.startswith(("keys.", "node.worker"))]
    assert not where.state_dir.exists()


def test_before_onboarding_the_oracle_of_the_environment_is_asked(
    where: Paths, root: Path, asked: list[str]
) -> None:
    examine(where, "https://o.example", root=root)
    examine(where, root=root)
    assert asked == ["https://o.example", DEFAULT_ORACLE_URL]


def test_the_whole_machine_s_settings_are_seen_from_a_user_s_scope(
    where: Paths, root: Path
) -> None:
    assert not examine(where, root=root).is_other_scope_onboarded
    (root / "etc/nunet-dms").mkdir(parents=True)
    (root / "etc/nunet-dms/config.toml").touch()
    assert examine(where, root=root).is_other_scope_onboarded


@pytest.mark.parametrize(
    "error",
    [UsageError("cannot use the Oracle URL 'x'"), RefusedError("not_found", "cannot answer")],
)
def test_an_oracle_that_cannot_be_asked_or_does_not_tell_is_a_problem(
    error: NunetError, root: Path, where: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_url: str) -> Contact:
        raise error

    monkeypatch.setattr(doctor_patient, "ask_oracle", refuse)
    oracle = examine(where, "https://mine.example", root=root).oracle
    assert oracle == Contact("https://mine.example", problem=str(error))


def test_settings_that_cannot_be_used_are_named_and_no_oracle_is_guessed(
    where: Paths, root: Path, asked: list[str]
) -> None:
    where.config_dir.mkdir()
    where.config_file.write_text("[capacty]\n[price]\nper_ghz_hour = -1\n")
    seen = examine(where, root=root)
    found = {each.id: each for each in diagnose(seen)}
    assert "[capacty] is unknown (did you mean [capacity]?)" in found["settings.valid"].found
    assert "[price] per_ghz_hour" in found["settings.valid"].found
    assert found["settings.valid"].cure == "to correct it: nunet config edit"
    assert "oracle.answers" not in found
    assert asked == []


HELD = ProofCheck("memory", True, "64 MB", "64 MB", "a job could take all memory")


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Proof((HELD,), 1.5), ProofFacts((HELD,))),
        (
            EngineUnreachableError("cannot reach Docker: gone", hint="docker info"),
            ProofFacts((), "cannot reach Docker: gone", "docker info", ExitCode.UNREACHABLE),
        ),
        (
            NunetError("cannot prove the engine: it lost an image"),
            ProofFacts((), "cannot prove the engine: it lost an image", "", ExitCode.UNEXPECTED),
        ),
        (
            PermissionError(13, "Permission denied"),
            ProofFacts(
                (),
                "cannot make a folder for the test container: [Errno 13] Permission denied",
                "",
                ExitCode.USAGE,
            ),
        ),
    ],
    ids=["holds", "engine-gone", "refused", "no-folder"],
)
def test_a_test_container_is_run_when_asked_and_whatever_comes_of_it_is_a_finding(
    outcome: Proof | Exception,
    expected: ProofFacts,
    where: Paths,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def prove(place: Path) -> Proof:
        assert place == where.state_dir
        assert where.state_dir.stat().st_mode & 0o077 == 0
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(fingerprint, "read_engine", lambda: MACHINE.engine)
    monkeypatch.setattr(doctor_patient, "prove_engine", prove)
    assert examine(where, root=root).proof is None
    assert examine(where, proves=True, root=root).proof == expected
    assert not where.state_dir.exists()


def test_no_test_container_is_tried_on_an_engine_that_is_away(where: Paths, root: Path) -> None:
    assert examine(where, proves=True, root=root).proof is None


def test_where_images_are_kept_is_measured_if_that_is_on_this_machine(
    where: Paths, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, is_here in ((tmp_path, True), (tmp_path / "elsewhere", False)):
        engine = EngineFacts(answers=True, root_dir=str(folder))
        monkeypatch.setattr(fingerprint, "read_engine", lambda engine=engine: engine)
        assert (examine(where, root=root).images_disk.free_mb is not None) is is_here
