"""The verdict on every golden machine, as onboarding would give it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nunet_dms.machine import fingerprint as machine_fingerprint
from nunet_dms.machine.disk import DiskFacts
from nunet_dms.machine.fingerprint import Fingerprint, on_the_wire, take_fingerprint, verdicts
from nunet_dms.machine.network import SpeedFacts
from nunet_dms.protocol import strict
from nunet_dms.protocol.machine import MachineFacts
from tests.unit.machine.golden import NAMES, machine
from tests.unit.machine_world import MACHINE

Looked = Callable[[str], Fingerprint]

LITTLE_RAM = "RAM is {} GB, {} GB is recommended"
WARNINGS = {
    "arm-no-frequency": (
        "CPU could not be found out; at least 2 GHz needed",
        LITTLE_RAM.format(4.002, "8-16"),
    ),
    "raspberry-pi-4": (LITTLE_RAM.format(3.977, "8-16"),),
    "virtualbox-bridged": (LITTLE_RAM.format(4.115, "8-16"),),
    "wsl2": (LITTLE_RAM.format(8.211, "10-20"),),
}
"""What is below the recommendation, or was not found out; the other machines are fine."""
REFUSALS = {"docker": ("RAM is 2.147 GB, at least 4 GB is needed",)}


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Looked:
    """Look at a golden machine with plenty of disk, a good line, and an engine that answers."""
    monkeypatch.setattr(machine_fingerprint, "read_engine", lambda: MACHINE.engine)
    monkeypatch.setattr(machine_fingerprint, "read_disk", lambda _: DiskFacts(500_000, 400_000))

    def looked(name: str) -> Fingerprint:
        return take_fingerprint(tmp_path, 1, SpeedFacts(99_000, 1, 1), machine(name, tmp_path))

    return looked


@pytest.mark.parametrize("name", NAMES)
def test_the_verdict_on_a_machine(name: str, look: Looked) -> None:
    (verdict,) = verdicts(look(name))
    assert verdict.refusals == REFUSALS.get(name, ())
    assert verdict.warnings == WARNINGS.get(name, ())


@pytest.mark.parametrize("name", NAMES)
def test_every_machine_can_be_put_on_the_wire(name: str, look: Looked) -> None:
    wire = on_the_wire(look(name))
    assert strict.decode(MachineFacts, strict.encode(wire)) == wire


def test_every_machine_named_here_is_there() -> None:
    assert {*WARNINGS, *REFUSALS} <= set(NAMES)
