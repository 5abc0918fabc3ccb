"""`nunet resume`: take new jobs again."""

from __future__ import annotations

import typer

from nunet_dms import config, paths
from nunet_dms.cli import render
from nunet_dms.node.pause import lift_pause

app = typer.Typer()


@app.command()
def resume(as_json: bool = typer.Option(False, "--json", help="One line of JSON.")) -> None:
    """Take new jobs again after `nunet pause`."""
    where = paths.resolve()
    config.check_exists(where.config_file)
    was_paused = lift_pause(where.pause_file)
    text = "new jobs are taken again" if was_paused else "it was not paused"
    facts = {"was_paused": was_paused}
    render.show(render.Shown("nunet.resume/1", facts, (text,)), as_json)
