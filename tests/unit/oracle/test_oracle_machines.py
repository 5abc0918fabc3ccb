"""What counts as a change of a machine, and that a node cannot write what it likes into the log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nunet_dms.oracle.machines import changes, known_machine
from nunet_dms.protocol.machine import MachineFacts, MachineGpu

CARD = MachineGpu(vendor="nvidia", name="A", uuid="GPU-1", vram_mb=8192, health="ok")
OTHER = replace(CARD, uuid="GPU-2")
FACTS = MachineFacts(taken_s=1, cpu_model="i7", cores=4, ram_mb=16_000, gpus=(CARD, OTHER))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"cores": 2}, ("cores 4 -> 2",)),
        ({"ram_mb": 8_000}, ("ram_mb 16000 -> 8000",)),
        ({"ram_mb": None}, ("ram_mb 16000 -> None",)),
        ({"kind": "vm"}, ("kind 'unknown' -> 'vm'",)),
        ({"gpus": (OTHER, CARD)}, ()),
        ({"gpus": (CARD,)}, ("gpus 2 -> 1", "gpu_uuids ['GPU-1', 'GPU-2'] -> ['GPU-1']")),
        (
            {"gpus": (CARD, replace(CARD, uuid="GPU-3"))},
            ("gpu_uuids ['GPU-1', 'GPU-2'] -> ['GPU-1', 'GPU-3']",),
        ),
        ({"gpus": (CARD, replace(OTHER, health="lost"))}, ("gpus_not_ok [] -> ['lost']",)),
        ({"taken_s": 9, "disk_free_mb": 1, "down_kbps": 2, "up_kbps": 3, "core_mhz": 4}, ()),
    ],
)
def test_a_change_is_named_and_what_is_measured_anew_is_none(
    changed: dict[str, object], told: tuple[str, ...]
) -> None:
    assert changes(FACTS, replace(FACTS, **changed)) == told  # type: ignore[arg-type]


def test_what_a_node_wrote_is_escaped_and_cut() -> None:
    (told,) = changes(FACTS, replace(FACTS, cpu_model="x\nERROR " + "y" * 400))
    assert "\n" not in told
    assert len(told) < 150


@pytest.mark.parametrize(
    "registration", ["", "{}", '{"payload":"{}","public_key":"","signature":""}']
)
def test_a_registration_of_another_version_has_no_machine(registration: str) -> None:
    assert known_machine(registration) is None
