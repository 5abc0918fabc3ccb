"""A registration carries the machine; the Oracle keeps it, and logs what changed."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from oracle_world import Node, World

from nunet_dms.errors import RefusedError
from nunet_dms.oracle import nodes
from nunet_dms.oracle.machines import known_machine
from nunet_dms.protocol.api import Done
from nunet_dms.protocol.machine import MachineFacts, MachineGpu

CARD = MachineGpu(vendor="nvidia", name="A", uuid="GPU-1", vram_mb=8192, health="ok")
FACTS = MachineFacts(taken_s=1, cpu_model="i7", cores=4, ram_mb=16_000, gpus=(CARD,))


def stored(world: World, node: Node) -> MachineFacts | None:
    with world.oracle.store.reading() as db:
        found = nodes.find(db, node.node_id)
    assert found is not None
    return known_machine(found.registration)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [record.getMessage() for record in caplog.records]
    return [line for line in lines if line.startswith("node_machine_changed")]


def test_a_changed_machine_replaces_the_old_one_and_the_log_names_what_changed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    node = Node(world)
    assert node.register() == Done()
    assert stored(world, node) is None
    node.register(machine=FACTS)
    assert stored(world, node) == FACTS
    measured_again = replace(FACTS, taken_s=2, disk_free_mb=7)
    node.register(machine=measured_again)
    assert node.register(machine=measured_again) == Done(duplicate=True)
    assert told(caplog) == []
    without_card = replace(FACTS, gpus=(), ram_mb=8_000)
    node.register(machine=without_card)
    assert stored(world, node) == without_card
    assert told(caplog) == [
        f"node_machine_changed node={node.node_id} GPU lost: A; RAM shrank from 16000 to 8000 MB"
    ]


def test_a_refused_registration_changes_no_machine(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    node = Node(world)
    node.register(machine=FACTS)
    with pytest.raises(RefusedError, match="a newer one is known"):
        node.register(machine=replace(FACTS, cores=1), issued_s=5)
    assert stored(world, node) == FACTS
    assert told(caplog) == []
