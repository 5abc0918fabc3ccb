"""`nunet oracle conflicts`: reports that contradict the one a job already has."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nunet_dms.cli import render
from nunet_dms.cli.oracle_disputes import DIR, JSON, opened
from nunet_dms.cli.times import clock_time
from nunet_dms.errors import ExitCode

if TYPE_CHECKING:
    from nunet_dms.oracle.conflicts import Conflict


def conflicts(
    seen: str = typer.Option("", help="A job's id: its second reports were looked at."),
    folder: Path | None = DIR,
    as_json: bool = JSON,
) -> None:
    """List reports that were refused because their job had another one, signed by the same node.

    The exit code is 5 while there is one that nobody has looked at. With --json each comes with
    its text, as the node sealed it. Example: nunet oracle conflicts --seen JOB
    """
    with opened(folder) as oracle:
        from nunet_dms.oracle.conflicts import find, mark_seen  # noqa: PLC0415 - extra `oracle`

        if seen:
            mark_seen(oracle, seen)
        found = find(oracle)
    facts = {"conflicts": [asdict(each) for each in found]}
    lines = tuple(_line(each) for each in found) or ("no report contradicts another",)
    render.show(render.Shown("nunet.oracle.conflicts/1", facts, lines), as_json)
    if not all(each.is_seen for each in found):
        raise typer.Exit(int(ExitCode.DEGRADED))


def _line(conflict: Conflict) -> str:
    state = "seen" if conflict.is_seen else "new"
    return (
        f"{state}: job {conflict.job_id}, node {conflict.node_id}: report"
        f" {conflict.report_hash[:16]} refused {conflict.times} times since"
        f" {clock_time(conflict.first_ms / 1000)}; {conflict.taken_hash[:16]} counts"
    )
