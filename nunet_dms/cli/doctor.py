"""`nunet doctor`: what keeps this machine from working, why it matters, and what to type."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import typer

from nunet_dms import paths
from nunet_dms.cli import render
from nunet_dms.cli.contact import ORACLE_VARIABLE
from nunet_dms.cli.status import look
from nunet_dms.errors import ExitCode, NunetError, UsageError

if TYPE_CHECKING:
    from nunet_dms.demo.drill import Drilled, Trial
    from nunet_dms.provider.doctor.findings import Finding

app = typer.Typer()


@dataclass(frozen=True, slots=True)
class FindingFacts:
    """One finding for scripts; severity is ok, note, warning or error."""

    id: str
    severity: str
    found: str
    why: str
    cure: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The facts of `nunet doctor --json`, schema nunet.doctor/1."""

    findings: tuple[FindingFacts, ...]
    worst: str
    exit_code: int


@app.command()
def doctor(
    proof: bool = typer.Option(False, "--proof", help="Run a test container too: some seconds."),
    drill: bool = typer.Option(
        False, "--drill", help="Kill a worker and an Oracle of its own under a job: a minute."
    ),
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Find what keeps this machine from working, and the cure.

    Works before onboarding too, and changes nothing. The exit code tells the worst finding: 0 fine
    or notes, 5 warnings; of the first error: 2 settings, keys, permissions, 3 not onboarded,
    4 worker not running, 6 engine or Oracle unreachable, 7 not to be trusted, 8 requirements,
    1 a damaged journal.
    With --drill it does something else: beside your own node, and without touching it, a small job
    is paid for and run while its worker, and then its Oracle, is killed; told are what was lost and
    how long it took to heal. The exit code is 0 if nothing was lost, else 5.
    Example: nunet doctor --proof
    """
    if drill:
        _drill(as_json, proof=proof)
    from nunet_dms.provider.doctor.checks import diagnose  # noqa: PLC0415 - docker, requests
    from nunet_dms.provider.doctor.findings import (  # noqa: PLC0415 - as above
        summary,
        worst,
        worst_exit_code,
    )
    from nunet_dms.provider.doctor.patient import examine  # noqa: PLC0415 - as above

    if proof:
        render.progress("looking at this machine, and running a test container")
    patient = examine(paths.resolve(), os.environ.get(ORACLE_VARIABLE, ""), proves=proof)
    findings = diagnose(patient)
    code = worst_exit_code(findings)
    facts = Diagnosis(tuple(map(_facts, findings)), worst(findings).word, int(code))
    text = (*_lines(facts.findings), summary(findings))
    render.show(render.Shown("nunet.doctor/1", facts, text), as_json)
    raise typer.Exit(int(code))


def _drill(as_json: bool, *, proof: bool) -> NoReturn:
    from nunet_dms.demo.drill import drill  # noqa: PLC0415 - docker, for this option only

    if proof:
        raise UsageError("cannot do both at once: type --drill or --proof")
    beside = _beside()
    if beside:
        render.progress(beside)
    drilled = drill(render.progress, beside)
    render.show(render.Shown("nunet.drill/1", drilled, drill_text(drilled)), as_json)
    raise typer.Exit(int(ExitCode.FINE if drilled.holds else ExitCode.DEGRADED))


def _beside() -> str:
    """Say so where this machine's own worker has jobs in hand just now."""
    try:
        seen = look(paths.resolve())
    except NunetError:  # what is wrong with it, `nunet doctor` tells
        return ""
    count = seen.running + seen.coming if seen.pid is not None else 0
    jobs = f"{count} job" if count == 1 else f"{count} jobs"
    return f"this machine's own worker has {jobs} in hand: times may be long" if count else ""


def drill_text(drilled: Drilled) -> tuple[str | render.Table, ...]:
    """Return a drill in words: a row for each trial, what it means, and the sum."""
    rows = [
        (each.name, each.done, _lost(each), _seconds(each.recovered_s), _seconds(each.settled_s))
        for each in drilled.trials
    ]
    rows += [(name, "not run", "", "", "") for name in drilled.not_run]
    table = render.Table(("trial", "what was done", "lost", "recovered", "paid"), tuple(rows))
    held = sum(each.holds for each in drilled.trials)
    count = len(drilled.trials) + len(drilled.not_run)
    return (
        table,
        "",
        *(
            f"{each.name}: recovered means {each.recovered}"
            for each in drilled.trials
            if each.holds
        ),
        *(f"{each.name}: {loss}" for each in drilled.trials for loss in each.lost),
        *(f"{each.name}: {each.problem}" for each in drilled.trials if each.problem),
        f"{held} of {count} trials lost nothing",
        *([f"the logs of the drill: {drilled.kept}"] if drilled.kept else []),
    )


def _lost(trial: Trial) -> str:
    if trial.problem:
        return "not known"
    return f"{len(trial.lost)}, see below" if trial.lost else "nothing"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f} s"


def _facts(finding: Finding) -> FindingFacts:
    return FindingFacts(finding.id, finding.severity.word, finding.found, finding.why, finding.cure)


def _lines(findings: tuple[FindingFacts, ...]) -> tuple[str, ...]:
    """Return a line for each finding, and below a worse one why it matters and what to type."""
    width = max(len(each.id) for each in findings)
    lines = []
    for each in findings:
        lines.append(f"{each.severity:7}  {each.id:{width}}  {each.found}")
        lines += [f"         why:  {each.why}"] if each.why else []
        lines += [f"         cure: {each.cure}"] if each.cure else []
    return tuple(lines)
