"""The jobs of a history: what is paid for, when, and what their programs do."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from tests.simulation.container import Program
from tests.simulation.faults import Plan
from tests.simulation.papers import CORE_MHZ, LEASE_S, TICKETS_EVERY_S, Shape

RESUMED_SHARE = 0.6
"""Of jobs with a checkpoint folder."""
SAVES_EVERY_S = 6.0
"""So often does a job write to its checkpoint folder, on average."""


@dataclass(frozen=True)
class Order:
    """A job that a requester pays for."""

    shape: Shape
    paid_s: float
    program: Program
    is_resumed: bool = False
    """Whether its requester pays again, once it has ended, to go on from its last checkpoint."""

    @property
    def image(self) -> str:
        """The reference of its image."""
        return f"job{self.shape.number}@sha256:" + f"{self.shape.number:x}" * 64


def draw_orders(chance: random.Random, plan: Plan) -> tuple[Order, ...]:
    """Draw one to three jobs of half a core to two cores, of a kind that meets what is planned."""
    span = int(min(plan.calm_s, 50.0)) // TICKETS_EVERY_S + 1
    orders = tuple(
        _draw_order(chance, number, span)
        for number in range(1, chance.choice((*[1] * 16, 2, 2, 3)) + 1)
    )
    if plan.saves:
        return tuple(_saving(chance, each) for each in orders)
    if any(kind == "oracle away" for _, kind in plan.nemeses):
        return tuple(_lasting(chance, each) for each in orders)
    return orders


def _draw_order(chance: random.Random, number: int, span: int) -> Order:
    limit_s = chance.choice((10, 40, 80, 120))
    cpu_mhz = chance.choice((CORE_MHZ // 2, CORE_MHZ, CORE_MHZ * 3 // 2, CORE_MHZ * 2))
    paid_s = chance.choice((0, 0, chance.randrange(span))) * float(TICKETS_EVERY_S)
    run_s = chance.choice((0.0, chance.uniform(0, 5), *[chance.uniform(5, 60)] * 2, limit_s * 1.3))
    program = _draw_program(chance, number, run_s, limit_s)
    return Order(Shape(number, cpu_mhz, limit_s), paid_s, program)


def _saving(chance: random.Random, order: Order) -> Order:
    """Return an order like this one, early, whose program saves where it stands."""
    limit_s = chance.choice((10, 25, 40))
    run_s = limit_s * chance.choice((0.9, 1.3, 1.3))
    times = tuple(sorted(chance.uniform(0, run_s) for _ in range(int(run_s / SAVES_EVERY_S))))
    return Order(
        replace(order.shape, time_limit_s=limit_s, saves=True),
        0.0,
        replace(order.program, run_s=run_s, time_limit_s=limit_s, saves=times),
        is_resumed=chance.random() < RESUMED_SHARE,
    )


def _lasting(chance: random.Random, order: Order) -> Order:
    """Return an order like this one, whose program may outlast its lease."""
    if chance.random() < 0.5:
        return order
    limit_s = int(3 * LEASE_S)
    run_s = chance.uniform(LEASE_S, 1.2 * limit_s)
    return replace(
        order,
        shape=replace(order.shape, time_limit_s=limit_s),
        program=replace(order.program, run_s=run_s, time_limit_s=limit_s),
    )


def _draw_program(chance: random.Random, number: int, run_s: float, limit_s: int) -> Program:
    kind = chance.choice(
        ("plain",) * 12 + ("oom", "giant", "no start", "pulled", "missing", "poison")
    )
    oom = kind == "oom"
    times = sorted(run_s * chance.random() ** 2 for _ in range(chance.choice((0, 2, 3, 5))))
    return Program(
        run_s=run_s,
        exit_code=137 if oom else chance.choice((0, 0, 0, 1, 127, 137, 143)),
        oom=oom,
        lines=tuple(
            (when_s, b"job %d line %d\n" % (number, line)) for line, when_s in enumerate(times)
        ),
        heeds_term=chance.random() < 0.7,
        fills_disk=kind == "giant",
        starts=kind != "no start",
        time_limit_s=limit_s,
        poison=chance.choice(("find_image", "usage", "history")) if kind == "poison" else "",
        image=kind if kind in {"pulled", "missing"} else "here",
    )
