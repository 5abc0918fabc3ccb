"""What counts as a change of a machine, and that a node cannot write what it likes into the log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nunet_dms.oracle.machines import TEXT_MAX_CHARACTERS, known_machine, logged_changes
from nunet_dms.protocol.machine import MachineFacts, MachineGpu

CARD = MachineGpu(vendor="nvidia", name="A", uuid="GPU-1", vram_mb=8192, health="ok")
OTHER = replace(CARD, uuid="GPU-2")
FACTS = MachineFacts(taken_s=1, cpu_model="i7", cores=4, ram_mb=16_000, gpus=(CARD, OTHER))


def test_changes_are_one_line() -> None:
    after = replace(FACTS, ram_mb=8_000, gpus=(CARD, replace(OTHER, health="lost")))
    assert logged_changes(FACTS, after) == (
        "GPU A: health was ok, is lost; RAM shrank from 16000 to 8000 MB"
    )


def test_what_is_measured_anew_is_no_change() -> None:
    again = replace(FACTS, taken_s=9, disk_free_mb=7_000, down_kbps=2, up_kbps=3, core_mhz=4)
    assert logged_changes(FACTS, again) == ""


def test_what_a_node_wrote_is_escaped_and_cut() -> None:
    told = logged_changes(FACTS, replace(FACTS, cpu_model="x\nERROR \x1b[31m\u202e" + "y" * 400))
    assert told.startswith("CPU was i7, is x\\nERROR \\x1b[31m\\u202eyy")
    assert told.isprintable()
    assert len(told) == TEXT_MAX_CHARACTERS


@pytest.mark.parametrize(
    "registration", ["", "{}", '{"payload":"{}","public_key":"","signature":""}']
)
def test_a_registration_of_another_version_has_no_machine(registration: str) -> None:
    assert known_machine(registration) is None
