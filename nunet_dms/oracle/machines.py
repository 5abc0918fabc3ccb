"""What changed in a node's machine between two registrations, as it may stand in the log."""

from __future__ import annotations

from functools import lru_cache

from nunet_dms.errors import MalformedError
from nunet_dms.protocol import strict
from nunet_dms.protocol.machine import MachineFacts, changes
from nunet_dms.protocol.node import NodeRegistration
from nunet_dms.protocol.platform import Platform, platform_of
from nunet_dms.protocol.signing import Sealed

PLATFORMS_KEPT = 1024
"""Registrations that need not be read again: a quote asks for those of all nodes at the worst."""
TEXT_MAX_CHARACTERS = 160
"""Of one change in the log; names of cards and processors are the node's own words."""


def known_machine(registration: str) -> MachineFacts | None:
    """Return the machine of a stored registration; None without one, or from another version."""
    try:
        sealed = strict.decode(Sealed, registration)
        return strict.decode(NodeRegistration, sealed.payload).machine
    except MalformedError:
        return None


@lru_cache(maxsize=PLATFORMS_KEPT)
def known_platform(registration: str) -> Platform | None:
    """Return the platform of a stored registration; None without a machine in it."""
    machine = known_machine(registration)
    return None if machine is None else platform_of(machine)


def logged_changes(before: MachineFacts, after: MachineFacts) -> str:
    """Return what changed in one line; whatever a node wrote stands there escaped and cut."""
    texts = (ascii(text)[1:-1][:TEXT_MAX_CHARACTERS] for text in changes(before, after))
    return "; ".join(texts)
