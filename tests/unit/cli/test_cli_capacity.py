"""`nunet capacity`: what there is, what is offered, what is in use, and the verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_world import Said, admit, word

from nunet_dms.machine import fingerprint as machine_fingerprint
from nunet_dms.machine.cpu import CpuFacts
from nunet_dms.machine.disk import DiskFacts
from nunet_dms.machine.engine import EngineFacts
from nunet_dms.machine.fingerprint import Fingerprint
from nunet_dms.machine.memory import MemoryFacts
from nunet_dms.machine.network import SpeedFacts
from nunet_dms.node.journal import Journal
from nunet_dms.node.speed_file import read_speed
from nunet_dms.paths import Paths
from nunet_dms.provider import first_contact
from tests.unit.machine_world import fingerprint, with_card

Nunet = Callable[..., Said]
SPEED = SpeedFacts(5_000, 1_000, 1)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> list[Fingerprint]:
    """The machine that is found; a test may put another in its place."""
    found = [fingerprint()]

    def take(_at: Path, _now: int, speed: SpeedFacts | None) -> Fingerprint:
        from dataclasses import replace  # noqa: PLC0415 - beside its only use

        return replace(found[0], speed=speed)

    monkeypatch.setattr(machine_fingerprint, "take_fingerprint", take)
    return found


@pytest.mark.usefixtures("full_disk")
def test_a_measurement_that_cannot_be_kept_is_one_line(
    nunet: Nunet, home: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_contact, "measure_line", lambda _url: (SPEED, ""))
    assert nunet("capacity", "--network") == Said(
        1, "", f"nunet: cannot write {home.speed_file}: No space left on device\n"
    )


@pytest.mark.usefixtures("onboarded")
def test_the_whole_text_of_a_machine_with_a_job(nunet: Nunet, journal: Journal) -> None:
    admit(journal)
    assert nunet("capacity") == Said(
        0,
        """\
CPU     Intel(R) Core(TM) i5-4570 CPU @ 2.50GHz: 4 cores of 2500 MHz (the model's name)
GPU     none
system  Debian GNU/Linux 12, kernel 6.1.0-18-amd64, native
engine  Docker 27.0.1, cgroup v2, overlay2
RESOURCE  TOTAL   ONBOARDED  IN USE  FREE
CPU MHz   10000   4000       1000    3000
RAM MB    8000    2000       512     1488
disk MB   200000  10000      100     9900
CPU jobs: warned
REQUIREMENT  FOUND      MINIMUM  RECOMMENDED  VERDICT
CPU          10 GHz     2 GHz    3.5 GHz      fine
RAM          8.388 GB   4 GB     8-16 GB      fine
free disk    104.86 GB  10 GB    20 GB        fine
download     unknown    4 Mbps   10 Mbps      unknown
""",
        "",
    )


def test_it_works_before_onboarding(nunet: Nunet) -> None:
    said = nunet("capacity")
    assert said.code == 0
    assert "CPU MHz   10000   -          -       -\n" in said.out
    assert "not onboarded yet; type: nunet onboard\n" in said.out


@pytest.mark.usefixtures("onboarded")
def test_the_json_has_every_amount_and_the_verdict(nunet: Nunet, journal: Journal) -> None:
    admit(journal)
    facts = json.loads(nunet("capacity", "--json").out)
    assert facts["schema"] == "nunet.capacity/1"
    assert facts["amounts"][0] == {
        "resource": "CPU",
        "unit": "MHz",
        "total": 10_000,
        "onboarded": 4000,
        "in_use": 1000,
        "free": 3000,
    }
    assert facts["profiles"][0]["verdict"] == "warned"
    assert facts["core_mhz_source"] == "the model's name"


@pytest.mark.usefixtures("lock")
def test_what_is_free_is_of_what_the_machine_still_has(nunet: Nunet, journal: Journal) -> None:
    journal.write_worker(word(sold_cpu_mhz=3000, sold_ram_mb=1500))
    admit(journal)
    amounts = json.loads(nunet("capacity", "--json").out)["amounts"]
    assert [(each["onboarded"], each["free"]) for each in amounts[:2]] == [
        (4000, 2000),
        (2000, 988),
    ]


def test_a_card_has_a_table_of_its_own(nunet: Nunet, machine: list[Fingerprint]) -> None:
    machine[0] = with_card()
    said = nunet("capacity")
    assert "GPU     NVIDIA GeForce RTX 3060\n" in said.out
    assert "GPU jobs: warned\n" in said.out
    assert "GPU memory   12.884 GB  4 GB     8-12 GB      fine\n" in said.out


def test_what_was_not_found_out_is_said_and_is_no_error(
    nunet: Nunet, machine: list[Fingerprint]
) -> None:
    machine[0] = fingerprint(
        cpu=CpuFacts("", 1, None, "nothing: the kernel tells no rate"),
        memory=MemoryFacts(None, None),
        disk=DiskFacts(None, None),
    )
    said = nunet("capacity")
    assert said.code == 0
    assert "CPU     unknown model: 1 cores of an unknown rate (nothing: the kernel" in said.out
    assert "RAM          unknown  4 GB     8-16 GB      unknown\n" in said.out


def test_an_engine_that_is_away_is_said_with_its_cure(
    nunet: Nunet, machine: list[Fingerprint]
) -> None:
    machine[0] = fingerprint(engine=EngineFacts(answers=False, problem="cannot use Docker: no"))
    said = nunet("capacity")
    assert said.code == 0
    assert "engine  cannot use Docker: no\n" in said.out
    assert json.loads(nunet("capacity", "--json").out)["engine_version"] == ""


def test_the_line_is_measured_only_when_asked_and_then_kept(
    nunet: Nunet, home: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []

    def measure(url: str) -> tuple[SpeedFacts | None, str]:
        measured.append(url)
        return SPEED, ""

    monkeypatch.setattr(first_contact, "measure_line", measure)
    assert json.loads(nunet("capacity", "--json").out)["down_kbps"] is None
    words = ("capacity", "--network", "--oracle", "https://o.example", "--json")
    assert json.loads(nunet(*words).out)["down_kbps"] == 5000
    assert measured == ["https://o.example"]
    assert read_speed(home.speed_file) == SPEED
    assert json.loads(nunet("capacity", "--json").out)["up_kbps"] == 1000


def test_an_oracle_that_cannot_be_asked_is_said_and_the_rest_is_shown(
    nunet: Nunet, home: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_contact, "measure_line", lambda _: (None, "no route"))
    said = nunet("capacity", "--network")
    assert said.code == 0
    assert said.err == "the line was not measured: no route\n"
    assert not home.speed_file.exists()
