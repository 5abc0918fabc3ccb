"""In place of the worker's `Lookout`: a machine that stays as it is, but for a full disk.

What a machine is and whether its owner wants work has tests of its own, and costs a third of a
history's time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nunet_dms.node.availability import Hold
from nunet_dms.node.lookout import Looks
from nunet_dms.node.rows import Capacity, HoldCode
from tests.simulation.papers import CORE_MHZ

if TYPE_CHECKING:
    from nunet_dms.machine.fingerprint import Fingerprint
    from nunet_dms.node.availability import Surroundings
    from tests.simulation.faults import Faults

SOLD = Capacity(cpu_mhz=2 * CORE_MHZ, ram_mb=1000, disk_mb=1000)
FULL = Hold(HoldCode.DISK_LOW, "0 MB of disk are free")


class Looking:
    """Has the face of a Lookout."""

    is_worth_waiting_for = False
    capacity = SOLD
    machine = None
    note = ""
    looks: Looks

    def __init__(self, faults: Faults) -> None:
        self.hold: Hold | None = None
        self._faults = faults

    def look(self) -> bool:
        before, self.hold = self.hold, FULL if self._faults.disk_is_full else None
        return before is not self.hold

    def is_sample_due(self) -> bool:
        return False

    def is_due(self) -> bool:
        return False

    def sampled(self, _seen: Surroundings) -> None:
        """Never asked for."""

    def took(self, _found: Fingerprint) -> bool:
        return False
