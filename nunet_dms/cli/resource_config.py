"""`nunet resource-config`: the name by which users of the old DMS know the offered capacity."""

from __future__ import annotations

import typer

from nunet_dms import config, paths
from nunet_dms.cli import render
from nunet_dms.cli.config import set_all
from nunet_dms.config_keys import KEYS

app = typer.Typer()


@app.command(name="resource-config")
def resource_config(
    cpu: int | None = typer.Option(None, "-c", "--cpu", help="CPU to offer, in MHz."),
    memory: int | None = typer.Option(None, "-m", "--memory", help="RAM to offer, in MB."),
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Show the capacity on offer, or set it, as `nunet config set` does.

    Example: nunet resource-config --cpu 4000 --memory 2000
    """
    where = paths.resolve()
    given = {KEYS["capacity.cpu_mhz"]: cpu, KEYS["capacity.ram_mb"]: memory}
    values = {key: value for key, value in given.items() if value is not None}
    if values:
        set_all(where, values, as_json=as_json)
        return
    sold = config.load(where.config_file).capacity
    line = f"{sold.cpu_mhz} MHz, {sold.ram_mb} MB RAM, {sold.disk_mb} MB disk"
    render.show(render.Shown("nunet.resource-config/1", sold, (line,)), as_json)
