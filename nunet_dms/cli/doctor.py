"""`nunet doctor`: what keeps this machine from working, why it matters, and what to type."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from nunet_dms import paths
from nunet_dms.cli import render
from nunet_dms.cli.contact import ORACLE_VARIABLE

if TYPE_CHECKING:
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
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Find what keeps this machine from working, and the cure.

    Works before onboarding too, and changes nothing. The exit code tells the worst finding: 0 fine
    or notes, 5 warnings; of the first error: 2 settings, keys, permissions, 3 not onboarded,
    4 worker not running, 6 engine or Oracle unreachable, 7 not to be trusted, 8 requirements,
    1 a damaged journal.
    Example: nunet doctor --proof
    """
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
