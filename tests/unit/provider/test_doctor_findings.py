"""Every finding of the doctor, provoked: one thing is made wrong with a machine that is well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from nunet_dms.errors import ExitCode
from nunet_dms.provider.doctor.check import Check
from nunet_dms.provider.doctor.checks import CHECKS, diagnose
from nunet_dms.provider.doctor.files import FileFacts
from nunet_dms.provider.doctor.findings import Finding, Severity, summary, worst_exit_code
from nunet_dms.provider.doctor.patient import Patient
from tests.unit.provider.doctor_changes import (
    ERROR,
    NOT_ONBOARDED,
    NOTE,
    OK,
    SLOW_LINE,
    VM,
    WARNING,
    WSL1,
    Case,
    Change,
    all_of,
    card,
    engine,
    files,
    found,
    oracle,
    settings,
    worker,
)
from tests.unit.provider.doctor_machine_cases import MACHINE_CASES
from tests.unit.provider.doctor_node_cases import NODE_CASES
from tests.unit.provider.doctor_world import (
    well,
)

CASES = (*MACHINE_CASES, *NODE_CASES)


def finding(changed: Patient, id_: str) -> Finding:
    return next(each for each in diagnose(changed) if each.id == id_)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.id}-{case.severity.word}")
def test_what_is_wrong_is_found_with_its_reason_and_its_cure(case: Case) -> None:
    told = finding(case.change(well()), case.id)
    assert told.severity is case.severity
    assert case.found in told.found
    assert case.cure in told.cure
    assert told.why
    assert told.cure or case.severity is NOTE
    expected = {NOTE: ExitCode.FINE, WARNING: ExitCode.DEGRADED}.get(case.severity, case.exit_code)
    assert told.exit_code is expected


def test_a_machine_that_is_well_has_no_finding_but_fine_ones() -> None:
    findings = diagnose(well())
    assert [each for each in findings if each.severity is not OK] == []
    assert [each.id for each in findings] == [check.id for check in CHECKS]
    assert worst_exit_code(findings) is ExitCode.FINE
    assert summary(findings) == f"{len(CHECKS)} fine"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_every_severity_of_every_check_is_provoked_here(check: Check) -> None:
    assert {case.severity for case in CASES if case.id == check.id} == set(check.severities)


@settings_of_hypothesis(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(CASES), max_size=8))
def test_whatever_is_wrong_at_once_every_check_answers_as_it_declares(cases: list[Case]) -> None:
    """One thing may hide another, but nothing raises, and no other severity comes of it."""
    findings = diagnose(all_of(*(case.change for case in cases))(well()))
    declared = {check.id: {OK, *check.severities} for check in CHECKS}
    assert all(each.severity in declared[each.id] for each in findings)
    assert all(
        each.why and (each.cure or each.severity is NOTE) for each in findings if each.severity
    )


def test_ids_are_unique_and_dotted() -> None:
    ids = [check.id for check in CHECKS]
    assert len(set(ids)) == len(ids)
    assert all(id_.count(".") == 1 and id_.islower() for id_ in ids)


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        (engine(answers=False, problem="away; start it"), "engine."),
        (NOT_ONBOARDED, "keys."),
        (oracle(info=None, problem="away"), "oracle."),
        (worker(pid=None, row=None), "node."),
    ],
    ids=["engine", "settings", "oracle", "worker"],
)
def test_what_stands_on_something_missing_is_one_finding_not_many(
    change: Change, gone: str
) -> None:
    findings = [each for each in diagnose(change(well())) if each.severity is ERROR]
    assert len(findings) == 1
    left = [each.id for each in diagnose(change(well())) if each.id.startswith(gone)]
    assert len(left) < sum(check.id.startswith(gone) for check in CHECKS)


def test_before_onboarding_a_good_machine_ends_with_code_3() -> None:
    new = all_of(
        NOT_ONBOARDED,
        worker(pid=None, row=None, pinned_key=""),
        oracle(info=None, problem="nothing listens there"),
    )(well())
    assert worst_exit_code(diagnose(new)) is ExitCode.NOT_ONBOARDED


def test_the_first_error_of_the_table_gives_the_exit_code() -> None:
    engine_away = engine(answers=False, problem="away; start it")
    both = all_of(engine_away, worker(pid=None, row=None))(well())
    assert worst_exit_code(diagnose(both)) is ExitCode.UNREACHABLE
    with_warning = all_of(engine(live_restore=False), worker(pid=None, row=None))(well())
    assert worst_exit_code(diagnose(with_warning)) is ExitCode.WORKER_NOT_RUNNING


def test_the_summary_counts_the_worst_first() -> None:
    changed = all_of(
        worker(pid=None, row=None), engine(live_restore=False, storage_driver="vfs", rootless=True)
    )(well())
    assert summary(diagnose(changed)) == (
        f"1 error, 2 warnings, 1 note, {len(CHECKS) - 3 - 4} fine"
    )


def test_the_wallets_key_may_be_kept_elsewhere() -> None:
    elsewhere = files("wallet", there=False, key_hash="")(well())
    assert finding(elsewhere, "keys.wallet").severity is OK


def test_a_wallet_that_is_no_address_is_told_once() -> None:
    nonsense = settings("wallet", address="addr_test1" + "q" * 50)(well())
    assert finding(nonsense, "keys.wallet").severity is OK


def test_a_virtual_machine_needs_no_container_toolkit_and_its_gpu_is_told_once() -> None:
    changed = all_of(VM, card())(well())
    assert finding(changed, "gpu.toolkit").severity is OK
    assert finding(changed, "requirements.gpu_jobs").severity is NOTE


def test_wsl_1_is_not_also_asked_for_an_engine() -> None:
    changed = all_of(WSL1, engine(answers=False, problem="away; start it"))(well())
    assert "engine.answers" not in [each.id for each in diagnose(changed)]
    assert worst_exit_code(diagnose(changed)) is ExitCode.NO_CAPACITY


@pytest.mark.parametrize(("mode", "severity"), [(0o777, ERROR), (0o640, OK)])
def test_only_write_permission_for_everybody_makes_the_settings_unsafe(
    mode: int, severity: Severity
) -> None:
    assert finding(files("config_file", mode=mode)(well()), "files.config").severity is severity


def test_a_slow_line_refuses_the_machine() -> None:
    told = finding(found(speed=SLOW_LINE)(well()), "requirements.cpu_jobs")
    assert "download is 1 Mbps, at least 4 Mbps is needed" in told.found
    assert "nunet capacity --network" in told.cure


def test_a_state_folder_not_made_yet_is_no_complaint() -> None:
    new = replace(well().files, state_dir=FileFacts(Path("/home/new")))
    told = finding(replace(well(), files=new), "files.state_dir")
    assert (told.severity, told.found) == (OK, "/home/new is not made yet")
