"""The worker's eye on its machine: what it is, whether it changed, whether work is wanted now."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from nunet_dms.config import CapacityConfig, Config
from nunet_dms.errors import MalformedError
from nunet_dms.machine.disk import read_disk
from nunet_dms.machine.fingerprint import Fingerprint, on_the_wire, take_fingerprint
from nunet_dms.machine.load import read_cpu_time
from nunet_dms.machine.power import on_battery
from nunet_dms.node.allocator import sellable
from nunet_dms.node.availability import SAMPLE_EVERY_S, Availability, Hold, Surroundings
from nunet_dms.node.clock import Clock
from nunet_dms.node.journal import Journal
from nunet_dms.node.rows import Capacity, MachineRow
from nunet_dms.node.speed_file import read_speed
from nunet_dms.paths import Paths
from nunet_dms.protocol import strict
from nunet_dms.protocol.machine import MachineFacts, changes

log = logging.getLogger(__name__)

PATIENCE_S = 5.0
"""For the first fingerprint, before the node introduces itself without one: it takes a second, but
a sick GPU can hold up its driver for half a minute, and a stuck one for ever."""
LOOK_EVERY_S = 600.0
"""Between two fingerprints: a card that fails or memory that is gone is told within that time."""


@dataclass(frozen=True, slots=True)
class Looks:
    """Both may block, on a sick driver or a dead file server: they run in the pool."""

    take: Callable[[], Fingerprint]
    """The whole machine, every ten minutes."""
    sample: Callable[[], Surroundings]
    """What it is doing, every few seconds."""


class Lookout:
    """Asked at every step; what its looks find comes to `took` and `sampled`."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        availability: Availability,
        offered: CapacityConfig,
        looks: Looks,
    ) -> None:
        self.looks = looks
        self.machine: MachineFacts | None = None
        """As the Oracle is to know it; None before the first look of this process."""
        self.hold: Hold | None = None
        """Why no new jobs are wanted, or None."""
        self._journal = journal
        self._clock = clock
        self._availability = availability
        self._offered = offered
        self._next_look_s = self._next_sample_s = clock.monotonic_s()
        self._patient_until_s = clock.monotonic_s() + PATIENCE_S

    @property
    def is_worth_waiting_for(self) -> bool:
        """Whether the first fingerprint is still out and can be expected any moment."""
        return self.machine is None and self._clock.monotonic_s() < self._patient_until_s

    @property
    def capacity(self) -> Capacity:
        """What may be sold: what is offered, or less where the machine has become smaller."""
        return sellable(self._offered, self.machine)

    @property
    def note(self) -> str:
        """Say so where less may be sold than is offered; empty otherwise."""
        short = [
            f"{name} {getattr(self.capacity, name)} of {getattr(self._offered, name)}"
            for name in ("cpu_mhz", "ram_mb")
            if getattr(self.capacity, name) < getattr(self._offered, name)
        ]
        return f"the machine has become smaller, sold is {', '.join(short)}" if short else ""

    def look(self) -> bool:
        """Ask whether work is wanted; returns whether the answer differs from the last."""
        before, self.hold = self.hold, self._availability.hold(self._clock.wall_s())
        was, now = before and before.code, self.hold and self.hold.code
        if was is not now:
            log.info("hold_changed hold=%s", self.hold.note if self.hold else "none")
        return was is not now

    def is_sample_due(self) -> bool:
        """Whether it is time to see what the machine is doing."""
        return self._clock.monotonic_s() >= self._next_sample_s

    def sampled(self, seen: Surroundings) -> None:
        """Take what the machine is doing."""
        self._next_sample_s = self._clock.monotonic_s() + SAMPLE_EVERY_S
        self._availability.saw(seen, self._journal.jobs_cpu_ms() / 1000)

    def is_due(self) -> bool:
        """Whether it is time for another fingerprint."""
        return self._clock.monotonic_s() >= self._next_look_s

    def took(self, found: Fingerprint) -> bool:
        """Take a fingerprint; returns whether the Oracle should hear of it.

        It is held against what was last told, not last seen: many small steps make a large one.
        """
        now, before = on_the_wire(found), self.machine or self._told_before()
        changed = changes(before, now) if before is not None else ()
        is_news = self.machine is None or bool(changed)
        if is_news:
            for text in changed:
                log.warning("machine_changed %s", text)
            self._journal.write_machine(MachineRow(now.taken_s, strict.encode(now)), changed)
            self.machine = now
        self._next_look_s = self._clock.monotonic_s() + LOOK_EVERY_S
        return is_news

    def _told_before(self) -> MachineFacts | None:
        """Return the machine as the process before this one told it."""
        row = self._journal.machine()
        if row is None:
            return None
        try:
            return strict.decode(MachineFacts, row.facts)
        except MalformedError:  # another version wrote it; the next look writes ours
            return None


def make_lookout(paths: Paths, config: Config, journal: Journal, clock: Clock) -> Lookout:
    """Build a lookout on this machine as it is."""

    def sample() -> Surroundings:
        return Surroundings(on_battery(), read_cpu_time(), read_disk(paths.jobs_dir).free_mb)

    def take() -> Fingerprint:
        speed = read_speed(paths.speed_file)
        return take_fingerprint(paths.jobs_dir, int(clock.wall_s()), speed)

    availability = Availability(config.availability, paths.pause_file)
    return Lookout(journal, clock, availability, config.capacity, Looks(take, sample))
