"""What befalls a node from outside, drawn by name into the plan of a history."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.papers import LEASE_S

if TYPE_CHECKING:
    from tests.simulation.container import Container
    from tests.simulation.world import World


def crash_now(world: World) -> None:
    if world.life is not None and not world.faults.is_calm:
        world.faults.crash("by itself")


def drain(world: World) -> None:
    """`nunet worker restart`: the next life takes over."""
    if world.life is None or world.is_draining:
        return
    world.say("worker drains")
    world.is_draining = True
    try:
        world.life.worker.drain()
    finally:
        world.is_draining = False
    world.end_life()
    world.begin_later(world.choice((0.1, 2.0)))


def stall(world: World) -> None:
    """The worker's process gets no turn for long."""
    if world.life is not None:
        world.life.stall(world.choice((20.0, 60.0, 1.2 * LEASE_S)))


def restart_engine(world: World, *, live_restore: bool) -> None:
    if world.daemon.is_away:
        return
    world.faults.met.add("engine away")
    if world.keeps_running is None:  # its owner's setting, for the whole of a history
        world.keeps_running = live_restore
    live_restore = world.daemon.live_restore = world.keeps_running
    asked = world.chance.random() < 0.5
    how = "is asked to end" if asked else "is killed"
    world.say(f"engine {how}, live-restore {'on' if live_restore else 'off'}")
    world.daemon.go(asked=asked)
    world.after(world.choice((1.0, 10.0, 60.0)), lambda: _engine_back(world))


def _engine_back(world: World) -> None:
    if world.daemon.is_away:
        world.say("engine comes back")
        world.daemon.come_back()


def reboot(world: World) -> None:
    world.say("host reboots")
    was_alive = world.life is not None
    world.end_life()
    world.boot += 1
    world.booted_s = world.now_s
    world.daemon.reboot()
    if was_alive:
        world.begin_later(world.choice((5.0, 40.0)))


def jump_clock(world: World) -> None:
    by_s = world.choice((3600.0, -3600.0, 3 * 86400.0, -3 * 86400.0))
    world.wall_offset_s += by_s
    world.clock_set_s.append(world.now_s)
    world.say(f"wall clock jumps by {by_s:+.0f} s")
    if world.chance.random() < 0.5:  # who reads the clock anew is not its reader
        world.after(world.draw(0, 5), lambda: drain(world))


def fill_disk(world: World) -> None:
    world.faults.disk_is_full = True
    world.say("disk is full")
    world.after(world.choice((5.0, 20.0, 60.0)), lambda: _disk_free(world))


def _disk_free(world: World) -> None:
    if world.faults.disk_is_full:
        world.faults.disk_is_full = False
        world.say("disk has room again")


def take_oracle_away(world: World) -> None:
    world.oracle.is_away = True
    world.say("oracle goes away")
    world.after(world.choice((10.0, 1.2 * LEASE_S, 1.2 * LEASE_S)), lambda: _oracle_back(world))


def _oracle_back(world: World) -> None:
    world.oracle.is_away = False
    world.say("oracle is back")


def cancel_as_requester(world: World) -> None:
    if world.oracle.jobs:
        world.oracle.cancel(world.choice(sorted(world.oracle.jobs)))


def cancel_as_provider(world: World) -> None:
    if world.oracle.jobs:
        job_id = world.choice(sorted(world.oracle.jobs))
        world.say(f"provider cancels {job_id[:4]}")
        world.faults.met.add(f"provider cancels {job_id}")
        world.wishes.ask(job_id)


def meddle(world: World, how: str) -> None:
    """Somebody does something to one of our containers by hand."""
    here = list(world.daemon.containers.values())
    if not here or world.daemon.is_away:
        return
    found: Container = world.choice(here)
    world.faults.met.add(f"{how} {found.job_id}")
    world.say(f"by hand: {how} {found.job_id[:4]}, {found.status}")
    if how == "remove":
        world.daemon.take_away(found.spec.name, "hand")
    elif how == "rotate":
        world.daemon.rotate(found)
    elif found.status == "running":
        (world.daemon.kill if how == "kill" else world.daemon.stop_by_hand)(found)


NEMESES: dict[str, Callable[[World], None]] = {
    "crash": crash_now,
    "drain": drain,
    "stall": stall,
    "engine restart": lambda world: restart_engine(world, live_restore=False),
    "engine restart, live-restore": lambda world: restart_engine(world, live_restore=True),
    "reboot": reboot,
    "clock jump": jump_clock,
    "disk full": fill_disk,
    "remove by hand": lambda world: meddle(world, "remove"),
    "stop by hand": lambda world: meddle(world, "stop"),
    "kill by hand": lambda world: meddle(world, "kill"),
    "rotate log": lambda world: meddle(world, "rotate"),
    "oracle away": take_oracle_away,
    "requester cancels": cancel_as_requester,
    "provider cancels": cancel_as_provider,
}
