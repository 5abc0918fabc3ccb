"""Jobs that kill the worker: deaths counted, forgiven and held against a job; quarantine."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nunet_dms.node.backoff import Backoff
from nunet_dms.node.clock import Clock
from nunet_dms.node.deps import Deps
from nunet_dms.node.engine.types import Facts
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.inbox import InboxHandler
from nunet_dms.node.journal import Journal
from nunet_dms.node.journal_life import id_file, log_file
from nunet_dms.node.poison import POISON_LIFE_S, Breaker, is_poison
from nunet_dms.node.pool import Task
from nunet_dms.node.rows import JobRow
from nunet_dms.node.runner import Runner
from nunet_dms.node.states import State
from nunet_dms.protocol import strict
from nunet_dms.protocol.report import Reason, Report
from nunet_dms.protocol.signing import Sealed
from tests.unit.node.conftest import NOW_S, PLENTY, InlinePool, World

ENDED = Facts("c" * 64, "exited", NOW_S * 1000, NOW_S * 1000 + 700, 143, False, "")


@dataclass
class Engine:
    """An engine with one container of the job's, which notes that it was stopped."""

    facts_of_it: Facts | None = ENDED
    stopped: list[str] = field(default_factory=list)

    def stop(self, name: str, _grace_s: int) -> None:
        self.stopped.append(name)

    def facts(self, _name: str) -> Facts | None:
        return self.facts_of_it


@dataclass
class Machine:
    """A machine on which workers live and die with the same journal."""

    world: World
    folder: Path
    engine: Engine = field(default_factory=Engine)
    lives: int = 0
    boot_id: str = "boot"

    def life(self, after: Journal | None = None) -> tuple[Journal, Runner]:
        """Begin a worker's life: after a clean end, or after the sudden one of `after`'s."""
        self.lives += 1
        here = self.folder / str(self.lives)
        here.mkdir()
        if after is not None:
            for file in (after._path, log_file(after._path), id_file(after._path)):
                if file.exists():
                    shutil.copy(file, here)
        journal = Journal(here / "journal.db", lambda: NOW_S * 1000, self.boot_id)
        deps = Deps(
            journal=journal, engine=self.engine, oracle=object(), pool=InlinePool(),
            identity=self.world.us, clock=Clock(lambda: NOW_S, lambda: 0.0),
            backoff=Backoff(random.Random(1)), jobs_dir=self.folder / "jobs", core_mhz=1000,
            user="1:1", boot_id=self.boot_id,
        )  # fmt: skip
        runner = Runner(deps)
        InboxHandler(deps, runner, PLENTY, self.folder).resume()
        return journal, runner

    def turn(self, runner: Runner) -> None:
        """Let a runner ask for what is due, and take what comes of it."""
        runner.advance()
        for outcome in runner._deps.pool.collect():
            runner.handle(outcome)

    def job(self, journal: Journal, state: State) -> JobRow:
        """Take a job as far as a state."""
        values: dict[str, object] = {
            "job_id": self.world.request.job_id, "ticket_id": self.world.ticket.ticket_id,
            "cpu_mhz": 1000, "ram_mb": 64, "disk_mb": 16, "time_limit_s": 60, "price": 600_000,
            "image": "x", "offer": strict.encode(self.world.offer()),
        }  # fmt: skip
        journal.admit(values, PLENTY)
        return self.move(journal, state)

    def move(self, journal: Journal, state: State) -> JobRow:
        """Move the job on to a state on its way to RUNNING."""
        row = self.row(journal)
        way = [State.ADMITTED, State.ACCEPTED, State.CREATED, State.STARTING, State.RUNNING]
        for each in way[way.index(row.state) + 1 : way.index(state) + 1]:
            row = journal.move(row, each)
        JobFolder(self.folder / "jobs" / row.job_id).make("0:0")
        return row

    def row(self, journal: Journal) -> JobRow:
        return journal.job(self.world.request.job_id)


@pytest.fixture
def machine(world: World, tmp_path: Path) -> Machine:
    return Machine(world, tmp_path)


def story(journal: Journal, job: JobRow) -> list[str]:
    return [f"{event.what} {event.detail}".strip() for event in journal.events(job.job_id)]


def report_of(journal: Journal, job: JobRow) -> Report:
    sealed = strict.decode(Sealed, journal.report(job.job_id))
    return strict.decode(Report, sealed.payload)


def test_two_deaths_in_a_row_in_one_state_stop_a_job_for_good(machine: Machine) -> None:
    first, _ = machine.life()
    machine.job(first, State.RUNNING)
    second, runner = machine.life(first)
    row = machine.row(second)
    assert (row.deaths, row.death_state, is_poison(row)) == (1, "running", False)
    third, runner = machine.life(second)
    assert is_poison(machine.row(third))
    machine.turn(runner)
    row = machine.row(third)
    assert len(machine.engine.stopped) == 1
    why = "in quarantine: the worker died 2 times in a row with this job in state running"
    assert (row.state, row.reason, row.detail) == (State.EXITED, "node_fault", why)
    report = report_of(third, row)
    assert (report.reason, report.ran_ms, report.results_complete) == (
        Reason.NODE_FAULT, 700, False
    )  # fmt: skip
    died = "worker_died in state running; the worker of 2027-01-15 08:00:00 UTC ended suddenly"
    assert story(third, row)[-3:] == [died, died, "exited node_fault"]
    assert not is_poison(row)  # its report is delivered like any other


def test_deaths_in_different_states_are_no_sign_of_poison(machine: Machine) -> None:
    journal, _ = machine.life()
    machine.job(journal, State.ADMITTED)
    for state in (State.ACCEPTED, State.CREATED, State.STARTING, State.RUNNING):
        journal, _ = machine.life(journal)
        assert (machine.row(journal).deaths, is_poison(machine.row(journal))) == (1, False)
        machine.move(journal, state)
    assert machine.engine.stopped == []


def test_a_reboot_counts_against_no_job(machine: Machine) -> None:
    journal, _ = machine.life()
    machine.job(journal, State.RUNNING)
    for boot in ("second", "third"):
        machine.boot_id = boot
        journal, _ = machine.life(journal)
    assert (machine.row(journal).deaths, machine.row(journal).death_state) == (0, "")


def test_an_orderly_end_counts_against_no_job(machine: Machine) -> None:
    journal, _ = machine.life()
    machine.job(journal, State.RUNNING)
    for _ in range(2):
        journal.close()
        journal, _ = machine.life(journal)
    assert machine.row(journal).deaths == 0


def test_what_the_worker_lived_well_with_is_held_against_a_job_only_later(
    machine: Machine,
) -> None:
    journal, runner = machine.life()
    machine.job(journal, State.RUNNING)
    runner.take(machine.row(journal), runner_job(machine))
    breaker = Breaker(journal, runner.replace)
    breaker.look(runner.rows(), 0.0)
    breaker.look(runner.rows(), POISON_LIFE_S - 0.1)
    assert machine.row(journal).death_state == ""
    breaker.look(runner.rows(), POISON_LIFE_S)
    assert machine.row(journal).death_state == "running"
    for deaths in (0, 1, 2):
        journal, runner = machine.life(journal)
        assert machine.row(journal).deaths == deaths
    assert is_poison(machine.row(journal))


def test_a_death_is_forgotten_where_the_worker_then_lives_well(machine: Machine) -> None:
    journal, _ = machine.life()
    machine.job(journal, State.RUNNING)
    journal, runner = machine.life(journal)
    breaker = Breaker(journal, runner.replace)
    assert runner.rows()[0].deaths == 1
    breaker.look(runner.rows(), 0.0)
    breaker.look(runner.rows(), POISON_LIFE_S)
    assert (runner.rows()[0].deaths, machine.row(journal).deaths) == (0, 0)


def test_a_new_state_is_lived_with_anew(machine: Machine) -> None:
    journal, runner = machine.life()
    machine.job(journal, State.STARTING)
    runner.take(machine.row(journal), runner_job(machine))
    breaker = Breaker(journal, runner.replace)
    breaker.look(runner.rows(), 0.0)
    runner.replace(machine.move(journal, State.RUNNING))
    breaker.look(runner.rows(), POISON_LIFE_S - 1)
    breaker.look(runner.rows(), POISON_LIFE_S + 1)
    assert machine.row(journal).death_state == ""


def test_a_report_whose_delivery_kills_the_worker_waits_until_it_lives_well(
    machine: Machine,
) -> None:
    journal, _ = machine.life()
    machine.job(journal, State.RUNNING)
    for _ in range(2):
        journal, runner = machine.life(journal)
    machine.turn(runner)
    assert machine.row(journal).state is State.EXITED
    for _ in range(2):
        journal, runner = machine.life(journal)
    breaker = Breaker(journal, runner.replace)
    for now_s in (0.0, POISON_LIFE_S - 1):
        runner.advance()
        breaker.look(runner.rows(), now_s)
        assert not runner._deps.pool.is_busy(Task(machine.row(journal).job_id, "deliver"))
    breaker.look(runner.rows(), POISON_LIFE_S)
    runner.advance()
    row = machine.row(journal)
    assert runner._deps.pool.is_busy(Task(row.job_id, "deliver"))
    assert (row.state, journal.outbox_waiting()) == (State.EXITED, 1)


def test_a_job_that_kills_before_it_is_accepted_is_given_up(machine: Machine) -> None:
    journal, _ = machine.life()
    machine.job(journal, State.ADMITTED)
    for _ in range(2):
        journal, runner = machine.life(journal)
    runner.advance()
    assert machine.row(journal).state is State.LOST
    assert journal.reserved().cpu_mhz == 0


def runner_job(machine: Machine) -> object:
    """Return the verified job, which none of these tests looks into."""
    return machine.world
