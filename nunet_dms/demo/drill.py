"""A drill on this machine: a job is paid for, the worker or the Oracle is killed, and all is well.

Each trial pays for a canary, does its harm while that runs, and holds what is left in the end
against what must be there. How long it took to heal is measured.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from nunet_dms.demo.canary import Canary, losses
from nunet_dms.demo.drill_stage import Stage, StartWorker, staged, start_as_usual
from nunet_dms.demo.stage import start_oracle, tokens_of, url_of
from nunet_dms.errors import NunetError
from nunet_dms.machine.docker_errors import DOCKER_ERRORS
from nunet_dms.node.states import State

REPORTED = frozenset({State.REPORTED, State.SIGNED, State.SETTLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One thing that was killed, and what came of it; times in seconds."""

    name: str
    done: str
    """What was done, in words."""
    job_id: str = ""
    lost: tuple[str, ...] = ()
    problem: str = ""
    """Why it could not be carried through; then what was lost is not known."""
    recovered_s: float | None = None
    """From the kill, or from when what was killed is back, until work goes on: see `recovered`."""
    recovered: str = ""
    settled_s: float | None = None
    """From the same moment until the job was paid."""

    @property
    def holds(self) -> bool:
        """Whether it was carried through and nothing was lost."""
        return not (self.lost or self.problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """What a drill shows, schema nunet.drill/1."""

    holds: bool
    trials: tuple[Trial, ...]
    not_run: tuple[str, ...]
    """Trials that were left out, since the one before could not be carried through."""
    set_up_s: float
    beside: str
    """What else runs here, so that times may be long; empty if nothing of ours does."""
    kept: str
    """Where the logs of a drill that failed are; empty if it did not."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A trial to be: `act` does the harm and returns when it began to heal, and when it had."""

    name: str
    done: str
    recovered: str
    canary: Canary
    act: Callable[[Stage, str], tuple[float, float]]


def _worker_dies(stage: Stage, _job_id: str) -> tuple[float, float]:
    began_s = time.monotonic()
    stage.kill_worker()
    stage.revive_worker()
    return began_s, time.monotonic()


def _oracle_dies(stage: Stage, job_id: str) -> tuple[float, float]:
    stage.oracle.kill()
    stage.oracle.wait()
    stage.wait("the job's end", lambda: stage.job(job_id).state is State.EXITED)
    stage.oracle = start_oracle(stage.folder / "oracle", stage.listen)
    url_of(stage.folder / "oracle", stage.oracle)
    began_s = time.monotonic()
    stage.wait("the report", lambda: stage.job(job_id).state in REPORTED)
    return began_s, time.monotonic()


def _worker_is_dead_at_the_end(stage: Stage, job_id: str) -> tuple[float, float]:
    stage.kill_worker()
    stage.wait("the job's end", lambda: stage.has_container_ended(job_id))
    began_s = time.monotonic()
    stage.start_worker(stage.provider)
    stage.wait("the report", lambda: stage.job(job_id).state in REPORTED)
    return began_s, time.monotonic()


PLANS = (
    Plan(
        "worker killed",
        "SIGKILL to the worker while the job ran, started again at once",
        "a worker had the job in hand again",
        Canary(12),
        _worker_dies,
    ),
    Plan(
        "Oracle cut",
        "SIGKILL to the Oracle while the job ran, started again after the job's end",
        "the report was delivered, from when the Oracle was back",
        Canary(6),
        _oracle_dies,
    ),
    Plan(
        "worker away at the end",
        "SIGKILL to the worker while the job ran, started again after the job's end",
        "the report was delivered, from the worker's start on",
        Canary(6),
        _worker_is_dead_at_the_end,
    ),
)


def drill(
    tell: Callable[[str], None],
    beside: str = "",
    plans: tuple[Plan, ...] = PLANS,
    start_worker: StartWorker = start_as_usual,
) -> Drilled:
    """Play every trial; raises NunetError where the drill cannot even begin.

    `beside` says what else runs here. What fails in a trial is in its outcome, not raised.
    """
    began_s = time.monotonic()
    with staged(tell, start_worker) as (stage, place):
        set_up_s = round(time.monotonic() - began_s, 2)
        trials = _play(stage, tell, plans)
        place.logs_stay = not all(each.holds for each in trials)
    return Drilled(
        holds=not place.logs_stay,
        trials=trials,
        not_run=tuple(plan.name for plan in plans[len(trials) :]),
        set_up_s=set_up_s,
        beside=beside,
        kept=str(place.folder) if place.logs_stay else "",
    )


def _play(stage: Stage, tell: Callable[[str], None], plans: tuple[Plan, ...]) -> tuple[Trial, ...]:
    """Try one thing after the other, until one cannot be carried through."""
    trials: list[Trial] = []
    for plan in plans:
        tell(f"{plan.name}: {plan.done}")
        trials.append(_try(stage, plan, len(trials)))
        if trials[-1].problem:
            break
    return tuple(trials)


def _try(stage: Stage, plan: Plan, number: int) -> Trial:
    job_id = ""
    try:
        before = tokens_of(stage.provider, "provider")
        job_id = stage.submit(f"canary-{number}", plan.canary)
        began_s, recovered_s = plan.act(stage, job_id)
        stage.wait("the payout", lambda: stage.job(job_id).state is State.SETTLED)
        settled_s = time.monotonic()
        stage.wait("the end of its container", lambda: not stage.containers(job_id))
        lost = losses(plan.canary, stage.found(job_id, before))
    except (NunetError, subprocess.TimeoutExpired, *DOCKER_ERRORS) as error:
        return Trial(name=plan.name, done=plan.done, job_id=job_id, problem=str(error))
    return Trial(
        name=plan.name,
        done=plan.done,
        job_id=job_id,
        lost=lost,
        recovered_s=round(recovered_s - began_s, 2),
        recovered=plan.recovered,
        settled_s=round(settled_s - began_s, 2),
    )
