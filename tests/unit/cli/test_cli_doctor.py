"""`nunet doctor`: every finding in text and JSON, and the worst one as the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from cli_world import Said

from nunet_dms.errors import ExitCode
from nunet_dms.machine import fingerprint
from nunet_dms.machine.engine import EngineFacts
from nunet_dms.paths import Paths
from nunet_dms.provider.doctor import patient as doctor_patient
from nunet_dms.provider.doctor.patient import Patient
from nunet_dms.provider.first_contact import Contact
from tests.unit.provider.doctor_changes import Change, all_of, engine, oracle, row, worker
from tests.unit.provider.doctor_machine_cases import MACHINE_CASES
from tests.unit.provider.doctor_node_cases import NODE_CASES
from tests.unit.provider.doctor_world import INFO, well

Nunet = Callable[..., Said]
CASES = (*MACHINE_CASES, *NODE_CASES)
PAUSED = row(accepting=False, hold="paused", hold_note="paused by its owner")

TEXT = """\
ok       platform.wsl_version   this is not WSL
ok       platform.wsl_kernel    the kernel is 6.1.0-18-amd64
ok       platform.systemd       systemd runs
ok       platform.vm_network    this is not a virtual machine with a network of its own
ok       platform.vm_user       this is not a virtual machine
ok       platform.gpu_in_vm     no GPU in a virtual machine
ok       platform.windows       no Windows partition
ok       platform.container     this is not a container
ok       requirements.cpu_jobs  the machine has all that is recommended for jobs on the CPU
ok       requirements.gpu_jobs  no GPU, so that there is nothing to require
ok       settings.offer         offered are 4000 MHz and 2000 MB of RAM
ok       engine.answers         Docker 27.0.1 answers
ok       engine.version         it speaks API 1.46
ok       engine.cgroups         control groups are of version 2, by systemd
ok       engine.storage         Docker's storage driver is overlay2
warning  engine.live_restore    jobs end when Docker is restarted: live-restore is off
         why:  every update of Docker ends all jobs, and they are not paid
         cure: put "live-restore": true into /etc/docker/daemon.json, then: sudo systemctl reload docker
ok       engine.warnings        Docker warns of nothing
ok       engine.rootless        Docker runs as root
ok       engine.proof           a test container was held to its limits, checks made: 1
ok       disk.jobs              100000 MB of disk are free where jobs live (/home/ann/.state/jobs)
ok       disk.images            100000 MB of disk are free where Docker keeps images (/var/lib/docker)
ok       gpu.driver             no GPU is here
ok       gpu.health             no GPU has a fault
ok       gpu.toolkit            no NVIDIA card is here that would need the container toolkit
ok       gpu.in_use             no process is seen to use a GPU
ok       settings.valid         the settings in /home/ann/.config/config.toml can be used
ok       files.config           only its owner may change /home/ann/.config/config.toml
ok       files.state_dir        /home/ann/.state is open to its owner alone
ok       keys.identity          the identity key can be used, and by its owner alone
ok       keys.settlement        the settlement key can be used, and by its owner alone
ok       keys.wallet            the wallet's key is /home/ann/.state/wallets/provider.skey: keep a copy of it
ok       keys.payee             rewards are paid to addr_test1vz6hluejqhltz30q7pw7cpw4wcwxymy0ke0eln63kk488psgut4u0
ok       clock.synchronised     something keeps this clock right
ok       oracle.answers         the Oracle at https://oracle.example answers (preprod)
ok       oracle.key             the Oracle's key is the pinned one, 6bb3-853c-34cf-cf3b-081e-5715-f3c8-2748
ok       oracle.warning         the Oracle warns of nothing
error    clock.oracle           this clock is 90 s behind the Oracle's
         why:  jobs come with a time; one more than 60 s off is refused
         cure: sudo timedatectl set-ntp true
ok       old_dms.installed      no trace of the historical NuNet DMS
ok       old_dms.running        nothing listens on the ports of the historical NuNet DMS
ok       node.onboarded         this machine is onboarded
ok       node.journal           the journal can be read, or is not made yet
ok       node.worker            the worker runs, process 4711
ok       node.version           the worker is of the installed version, 0.1.0
ok       node.reach             the worker reaches engine and Oracle
note     node.takes_jobs        no new jobs are taken: paused by its owner
         why:  its owner wants it so
         cure: nunet resume
1 error, 1 warning, 1 note, 42 fine
"""  # noqa: E501 - as it is printed


@dataclass
class Ward:
    """The patient that is found, and what was asked of the examination."""

    patient: Patient = field(default_factory=well)
    asked: list[tuple[Paths, str, bool]] = field(default_factory=list)

    def change(self, change: Change) -> None:
        self.patient = change(well())


@pytest.fixture
def ward(monkeypatch: pytest.MonkeyPatch) -> Ward:
    """A patient in place of this machine."""
    found = Ward()

    def examine(where: Paths, url: str, *, proves: bool) -> Patient:
        found.asked.append((where, url, proves))
        return found.patient

    monkeypatch.setattr(doctor_patient, "examine", examine)
    return found


def test_the_whole_text_of_a_machine_with_an_error_a_warning_and_a_note(
    nunet: Nunet, ward: Ward
) -> None:
    ward.change(all_of(engine(live_restore=False), PAUSED, oracle(ahead_s=-90)))
    assert nunet("doctor") == Said(7, TEXT, "")


def test_the_json_has_the_same_findings_the_worst_and_the_exit_code(
    nunet: Nunet, ward: Ward
) -> None:
    ward.change(engine(live_restore=False))
    said = nunet("doctor", "--json")
    facts = json.loads(said.out)
    assert said.code == 5
    assert [*facts] == ["schema", "findings", "worst", "exit_code"]
    assert (facts["schema"], facts["worst"], facts["exit_code"]) == ("nunet.doctor/1", "warning", 5)
    bad = [each for each in facts["findings"] if each["severity"] != "ok"]
    assert bad == [
        {
            "id": "engine.live_restore",
            "severity": "warning",
            "found": "jobs end when Docker is restarted: live-restore is off",
            "why": "every update of Docker ends all jobs, and they are not paid",
            "cure": 'put "live-restore": true into /etc/docker/daemon.json, then:'
            " sudo systemctl reload docker",
        }
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (all_of(), ExitCode.FINE),
        (PAUSED, ExitCode.FINE),
        (engine(storage_driver="vfs"), ExitCode.DEGRADED),
        (worker(pid=None, row=None), ExitCode.WORKER_NOT_RUNNING),
        *((case.change, case.exit_code) for case in CASES if case.severity.word == "error"),
    ],
)
def test_the_exit_code_tells_the_worst_finding(
    change: Change, code: ExitCode, nunet: Nunet, ward: Ward
) -> None:
    ward.change(change)
    assert nunet("doctor").code == code


def test_what_others_wrote_cannot_move_the_cursor(nunet: Nunet, ward: Ward) -> None:
    ward.change(oracle(info=replace(INFO, warning="\x1b[2Jno value")))
    said = nunet("doctor")
    assert "the Oracle says: \\x1b[2Jno value" in said.out
    assert "\x1b" not in said.out


def test_the_proof_is_asked_for_and_said_on_stderr(
    nunet: Nunet, ward: Ward, home: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUNET_ORACLE", "https://o.example")
    assert nunet("doctor").err == ""
    said = nunet("doctor", "--proof", "--json")
    assert said.err == "looking at this machine, and running a test container\n"
    assert ward.asked == [(home, "https://o.example", False), (home, "https://o.example", True)]


def test_it_runs_on_this_machine_as_it_is_before_onboarding_and_writes_nothing(
    nunet: Nunet, home: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = EngineFacts(answers=False, problem="cannot reach Docker: away", cure="start it")
    monkeypatch.setattr(fingerprint, "read_engine", lambda: away)
    monkeypatch.setattr(doctor_patient, "ask_oracle", lambda url: Contact(url, problem="away"))
    said = nunet("doctor", "--json")
    findings = {each["id"]: each for each in json.loads(said.out)["findings"]}
    assert findings["engine.answers"]["cure"] == "start it"
    assert findings["node.onboarded"]["severity"] == "error"
    assert said.code in {ExitCode.UNREACHABLE, ExitCode.NO_CAPACITY}
    assert list(home.config_dir.iterdir()) == []
