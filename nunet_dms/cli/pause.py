"""`nunet pause`: take no new jobs for a while; what runs goes on."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import typer

from nunet_dms import config, paths
from nunet_dms.cli import render
from nunet_dms.cli.times import clock_time
from nunet_dms.errors import UsageError
from nunet_dms.node.pause import Pause, write_pause

UNITS_S = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400}
LONGEST_S = 366 * 86_400
"""A pause for longer is one without end."""

_SPAN = re.compile(r"([0-9]{1,9})(s|min|m|h|d)")

app = typer.Typer()


@dataclass(frozen=True, slots=True)
class Paused:
    """The facts of `nunet pause --json`, schema nunet.pause/1; times are Unix seconds."""

    since_s: int
    until_s: int | None


@app.command()
def pause(
    span: str = typer.Option("", "--for", help="For how long: 30min, 2h, 1d; else until resumed."),
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Take no new jobs; those that run go on, and are paid.

    It holds across restarts of the worker and of the machine. Example: nunet pause --for 2h
    """
    where = paths.resolve()
    config.check_exists(where.config_file)
    now_s = int(time.time())
    until_s = now_s + seconds_of(span) if span else None
    write_pause(where.pause_file, Pause(since_s=now_s, until_s=until_s))
    until = "until you type: nunet resume" if until_s is None else f"until {clock_time(until_s)}"
    text = f"no new jobs are taken {until}; those that run go on"
    render.show(render.Shown("nunet.pause/1", Paused(now_s, until_s), (text,)), as_json)


def seconds_of(span: str) -> int:
    """Return `30min`, `2h`, `1h30min` or `1d` in seconds; raises UsageError."""
    parts = _SPAN.findall(span)
    if not parts or "".join(number + unit for number, unit in parts) != span:
        raise UsageError(
            f"cannot pause for {span!r:.40}: give a length of time such as 30min, 2h, 1d"
        )
    seconds = sum(int(number) * UNITS_S[unit] for number, unit in parts)
    if not 0 < seconds <= LONGEST_S:
        raise UsageError(f"cannot pause for {span!r:.40}: it must be over 0 and at most 366d")
    return seconds
