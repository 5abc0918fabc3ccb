"""The machine as a whole: judged, put on the wire, and compared with what it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nunet_dms.machine.cpu import CpuFacts
from nunet_dms.machine.disk import DiskFacts
from nunet_dms.machine.fingerprint import (
    Fingerprint,
    figures_of,
    on_the_wire,
    verdicts,
)
from nunet_dms.machine.gpu import GpuFacts, GpuHealth, MigInstance
from nunet_dms.machine.memory import MemoryFacts
from nunet_dms.machine.requirements import Profile
from nunet_dms.machine.virtualization import Kind, VirtualizationFacts
from nunet_dms.protocol import strict
from nunet_dms.protocol.machine import DISK_LOW_MB, MachineFacts, changes
from tests.unit.machine_world import CARD, MACHINE, fingerprint, with_card

VIRTUAL = VirtualizationFacts(Kind.VM, "virtualbox", "dmi")


def refusals(found: Fingerprint, profile: Profile) -> tuple[str, ...]:
    return next(each.refusals for each in verdicts(found) if each.profile is profile)


def test_a_machine_without_a_card_is_judged_for_its_cpu_alone() -> None:
    assert [verdict.profile for verdict in verdicts(MACHINE)] == [Profile.CPU]
    assert [verdict.profile for verdict in verdicts(with_card())] == [Profile.CPU, Profile.GPU]


def test_the_owner_s_rate_of_a_core_goes_before_the_kernel_s() -> None:
    assert figures_of(MACHINE).total_mhz == 10_000
    assert figures_of(MACHINE, core_mhz=400).total_mhz == 1600
    assert refusals(MACHINE, Profile.CPU) == ()
    assert verdicts(MACHINE, core_mhz=400)[0].refusals == (
        "CPU is 1.6 GHz, at least 2 GHz is needed",
    )


def test_what_was_not_found_out_is_unknown() -> None:
    blank = fingerprint(
        cpu=CpuFacts("", 1, None, "nothing"),
        memory=MemoryFacts(None, None),
        disk=DiskFacts(None, None),
        speed=None,
    )
    figures = figures_of(blank)
    assert (figures.total_mhz, figures.ram_mb, figures.disk_free_mb, figures.down_kbps) == (
        None, None, None, None,
    )  # fmt: skip
    assert verdicts(blank)[0].word == "warned"


@pytest.mark.parametrize("kind", [Kind.WSL1, Kind.WSL2])
def test_wsl_raises_the_bar(kind: Kind) -> None:
    wsl = fingerprint(
        virtualization=VirtualizationFacts(kind, "hyperv", "x"), memory=MemoryFacts(4000, 3000)
    )
    assert refusals(wsl, Profile.CPU) == ("RAM is 4.194 GB, at least 5 GB is needed",)
    assert refusals(fingerprint(memory=MemoryFacts(4000, 3000)), Profile.CPU) == ()


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (replace(with_card(), virtualization=VIRTUAL), "is not run in a virtual machine"),
        (with_card(vendor="amd"), "the one here is of another make"),
        (with_card(health=GpuHealth.LOST), "the one here does not answer"),
        (with_card(vram_mb=2000), "GPU memory is 2.097 GB, at least 4 GB is needed"),
    ],
)
def test_ml_on_a_gpu_is_refused_with_its_reason_and_the_cpu_is_not(
    found: Fingerprint, why: str
) -> None:
    assert any(why in text for text in refusals(found, Profile.GPU))
    assert refusals(found, Profile.CPU) == ()


def test_a_card_under_wsl_is_no_virtual_machine_s() -> None:
    wsl = replace(with_card(), virtualization=VirtualizationFacts(Kind.WSL2, "hyperv", "x"))
    assert not any("virtual machine" in text for text in refusals(wsl, Profile.GPU))


def test_a_card_that_hides_its_memory_is_unknown_and_not_refused_for_it() -> None:
    verdict = next(v for v in verdicts(with_card(vram_mb=None)) if v.profile is Profile.GPU)
    assert verdict.refusals == ()
    assert "GPU memory could not be found out; at least 4 GB needed" in verdict.warnings


def test_the_largest_card_that_works_counts() -> None:
    small, large = replace(CARD, uuid="a", vram_mb=4000), replace(CARD, uuid="b", vram_mb=24_000)
    lost = replace(CARD, uuid="c", vram_mb=80_000, health=GpuHealth.LOST)
    assert figures_of(fingerprint(gpus=GpuFacts((small, large, lost), ()))).vram_mb == 24_000


def test_what_travels_is_strict_json_and_reads_back() -> None:
    wire = on_the_wire(with_card(name="x" * 9000))
    assert strict.decode(MachineFacts, strict.encode(wire)) == wire
    assert wire.gpus[0].name == "x" * 200


def after(**facts: object) -> tuple[str, ...]:
    return changes(on_the_wire(MACHINE), on_the_wire(fingerprint(**facts)))


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"memory": MemoryFacts(4000, 1)}, "RAM shrank from 8000 to 4000 MB"),
        ({"memory": MemoryFacts(16000, 1)}, "RAM grew from 8000 to 16000 MB"),
        ({"disk": DiskFacts(200_000, DISK_LOW_MB - 1)},
         f"disk low: {DISK_LOW_MB - 1} MB free, it was 100000 MB"),
        ({"cpu": replace(MACHINE.cpu, cores=2)}, "CPU cores was 4, is 2"),
        ({"cpu": replace(MACHINE.cpu, model="other")}, f"CPU was {MACHINE.cpu.model}, is other"),
        ({"virtualization": replace(MACHINE.virtualization, kind=Kind.WSL2)},
         "platform was native, is wsl2"),
        ({"platform": replace(MACHINE.platform, os_name="Debian GNU/Linux 13")},
         "system was Debian GNU/Linux 12, is Debian GNU/Linux 13"),
        ({"engine": replace(MACHINE.engine, cgroup_version=1)}, "cgroup version was 2, is 1"),
        ({"platform": replace(MACHINE.platform, kernel="7.0")},
         "kernel was 6.1.0-18-amd64, is 7.0"),
        ({"engine": replace(MACHINE.engine, version="28")},
         "container engine was 27.0.1, is 28"),
        ({"engine": replace(MACHINE.engine, storage_driver="vfs")},
         "storage driver was overlay2, is vfs"),
        ({"gpus": GpuFacts((CARD,), ())}, "GPU found: NVIDIA GeForce RTX 3060"),
    ],
)  # fmt: skip
def test_a_change_that_matters_is_told(facts: dict[str, object], text: str) -> None:
    assert after(**facts) == (text,)


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"memory": MemoryFacts(7900, 1)},
        {"memory": MemoryFacts(None, None)},
        {"disk": DiskFacts(200_000, 50_000)},
        {"disk": DiskFacts(None, None)},
        {"taken_s": 1_900_000_000},
        {"cpu": replace(MACHINE.cpu, core_mhz=2612)},
        {"speed": None},
    ],
)
def test_what_comes_and_goes_by_itself_is_no_change(facts: dict[str, object]) -> None:
    assert after(**facts) == ()


def test_an_engine_that_is_away_is_no_other_machine() -> None:
    away = replace(MACHINE.engine, answers=False, version="", storage_driver="")
    assert after(engine=away) == ()


@pytest.mark.parametrize(
    ("card", "text"),
    [
        (None, "GPU lost: NVIDIA GeForce RTX 3060"),
        ({"health": GpuHealth.DEGRADED},
         "GPU NVIDIA GeForce RTX 3060: health was ok, is degraded"),
        ({"mig": (MigInstance("m", "1g.5gb", 5000),) * 2},
         "GPU NVIDIA GeForce RTX 3060: MIG instances were 0, are 2"),
        ({"driver": "560.1"}, "GPU NVIDIA GeForce RTX 3060: driver was 550.54, is 560.1"),
    ],
)  # fmt: skip
def test_a_card_that_is_lost_sick_or_driven_otherwise_is_told(
    card: dict[str, object] | None, text: str
) -> None:
    now = MACHINE if card is None else with_card(**card)
    assert changes(on_the_wire(with_card()), on_the_wire(now)) == (text,)


def test_two_cards_alike_without_a_number_are_told_apart_by_their_place() -> None:
    pair = [replace(CARD, vendor="amd", uuid="", pci=f"0000:0{n}:00.0") for n in (1, 2)]
    both, one = (fingerprint(gpus=GpuFacts(tuple(cards), ())) for cards in (pair, pair[:1]))
    sick = fingerprint(gpus=GpuFacts((replace(pair[0], health=GpuHealth.DEGRADED), pair[1]), ()))
    name = CARD.name
    assert changes(on_the_wire(both), on_the_wire(one)) == (f"GPU lost: {name}",)
    assert changes(on_the_wire(both), on_the_wire(sick)) == (
        f"GPU {name}: health was ok, is degraded",
    )


def test_a_disk_that_was_cleared_is_told_too() -> None:
    low = fingerprint(disk=DiskFacts(200_000, 10))
    assert changes(on_the_wire(low), on_the_wire(MACHINE)) == (
        "disk is no longer low: 100000 MB free",
    )
