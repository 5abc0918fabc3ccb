"""What changed in a node's machine between two registrations."""

from __future__ import annotations

from nunet_dms.errors import MalformedError
from nunet_dms.protocol import strict
from nunet_dms.protocol.machine import MachineFacts
from nunet_dms.protocol.node import NodeRegistration
from nunet_dms.protocol.signing import Sealed

WATCHED = (
    "cpu_model",
    "cores",
    "ram_mb",
    "kind",
    "hypervisor",
    "os_name",
    "kernel",
    "engine_version",
    "cgroup_version",
    "storage_driver",
)
"""Facts that stay while nobody changes the machine; rates and free disk never do."""


def known_machine(registration: str) -> MachineFacts | None:
    """Return the machine of a stored registration; None without one, or from another version."""
    try:
        sealed = strict.decode(Sealed, registration)
        return strict.decode(NodeRegistration, sealed.payload).machine
    except MalformedError:
        return None


def changes(before: MachineFacts, after: MachineFacts) -> tuple[str, ...]:
    """Return each change in a few words; whatever a node wrote stands there escaped and cut."""
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in WATCHED]
    pairs.append(("gpus", len(before.gpus), len(after.gpus)))
    pairs.append(("gpu_uuids", _uuids(before), _uuids(after)))
    pairs.append(("gpus_not_ok", _not_ok(before), _not_ok(after)))
    return tuple([f"{name} {old!r:.60} -> {new!r:.60}" for name, old, new in pairs if old != new])


def _uuids(facts: MachineFacts) -> list[str]:
    return sorted(gpu.uuid for gpu in facts.gpus)


def _not_ok(facts: MachineFacts) -> list[str]:
    return sorted(gpu.health for gpu in facts.gpus if gpu.health != "ok")
