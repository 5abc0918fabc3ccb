"""`nunet gpu`: the GPUs that this machine has, how they are, who uses them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import typer

from nunet_dms.cli import render
from nunet_dms.errors import ExitCode, UsageError
from nunet_dms.machine.gpu import Gpu, GpuFacts, GpuProcess, name_processes, read_gpus

WATCH_EVERY_S = 2.0
UNKNOWN = "-"
NOT_SOLD = "GPU jobs are not sold yet: this is what the machine has, not what it offers"

app = typer.Typer(
    no_args_is_help=True,
    help="Show this machine's GPUs. GPU jobs are not sold yet: such offers are refused, and what"
    " is shown here is what the machine has.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUnit:
    """What one job could have: a whole GPU, or one MIG instance of it; MiB."""

    vendor: str
    index: int
    uuid: str
    pci: str
    name: str
    vram_mb: int | None
    driver: str
    health: str
    """Of the card: ok, degraded, lost or unknown."""
    is_mig_instance: bool


@dataclass(frozen=True, slots=True)
class GpuCapacity:
    """The facts of `nunet gpu capacity --json`, schema nunet.gpu.capacity/1."""

    units: tuple[GpuUnit, ...]
    problems: tuple[str, ...]
    sold: bool = False
    """Whether jobs that need a GPU are taken."""


@app.command()
def status(
    watch: bool = typer.Option(False, "--watch", help="Again every 2 s, until Ctrl-C."),
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Show each GPU: memory, load, temperature, power, health, processes.

    GPU jobs are not sold yet; this is what the machine has. The exit code is 0 if all is well,
    also without any GPU, and 5 if a GPU has a fault or cannot be used; what to do is shown below
    the table. Example: nunet gpu status --watch
    """
    if watch:
        _watch(as_json)
    facts = read_gpus()
    render.show(_status(facts), as_json)
    raise typer.Exit(_exit_code(facts))


@app.command()
def capacity(as_json: bool = typer.Option(False, "--json", help="One line of JSON.")) -> None:
    """Show what a job could have: each GPU, or each MIG instance where a GPU is divided.

    GPU jobs are not sold yet; this is what the machine has. The exit code is as that of
    `nunet gpu status`. Example: nunet gpu capacity --json
    """
    facts = read_gpus()
    found = GpuCapacity(tuple(_units(facts)), facts.problems)
    text = _capacity_text(found, facts)
    render.show(render.Shown("nunet.gpu.capacity/1", found, text), as_json)
    raise typer.Exit(_exit_code(facts))


def _watch(as_json: bool) -> NoReturn:
    """Show the status again and again; Ctrl-C is the only end."""
    if not as_json and not render.can_redraw():
        raise UsageError(
            "cannot watch: the output is no terminal", hint="add --json: one line every 2 s"
        )
    pause = threading.Event()  # never set
    while True:
        shown = _status(read_gpus())
        if as_json:
            render.show(shown, as_json)
        else:
            render.redraw(shown)
        pause.wait(WATCH_EVERY_S)


def _exit_code(facts: GpuFacts) -> int:
    is_whole = not facts.problems and not any(gpu.faults for gpu in facts.gpus)
    return int(ExitCode.FINE if is_whole else ExitCode.DEGRADED)


def _status(facts: GpuFacts) -> render.Shown:
    table = render.Table(
        ("gpu", "name", "VRAM MB", "load", "temp", "power", "health", "processes"),
        tuple(
            (
                _label(gpu), gpu.name or UNKNOWN, _memory(gpu), _with(gpu.utilization_percent, "%"),
                _with(gpu.temperature_c, "C"), _with(gpu.power_w, "W"), gpu.health.value,
                _processes(gpu.processes),
            )
            for gpu in facts.gpus
        ),
    )  # fmt: skip
    first: str | render.Table = table if facts.gpus else "this machine has no GPU that works"
    if not facts.gpus and not facts.problems:
        first = "this machine has no GPU"
    lines = [line for gpu in facts.gpus for line in _details(gpu)]
    text = (first, *lines, *_unread_log(facts), *_problems(facts))
    return render.Shown("nunet.gpu.status/1", facts, text)


def _label(gpu: Gpu) -> str:
    return f"{gpu.vendor} {gpu.index}"


def _memory(gpu: Gpu) -> str:
    """Return used and all memory; the used share is what is not free."""
    if gpu.vram_mb is None or gpu.free_vram_mb is None:
        return f"{UNKNOWN} / {UNKNOWN if gpu.vram_mb is None else gpu.vram_mb}"
    return f"{gpu.vram_mb - gpu.free_vram_mb} / {gpu.vram_mb}"


def _with(number: int | None, unit: str) -> str:
    return UNKNOWN if number is None else f"{number} {unit}"


def _processes(processes: tuple[GpuProcess, ...] | None) -> str:
    """Name a few; all of them are in the JSON."""
    return UNKNOWN if processes is None else name_processes(processes) or "none"


def _details(gpu: Gpu) -> Iterator[str]:
    """Say what the table has no column for."""
    label = f"{_label(gpu)}  "
    for fault in gpu.faults:
        yield f"{label}{fault}"
    for part in gpu.mig:
        yield f"{label}instance {part.name}: {_with(part.vram_mb, 'MB')}, {part.uuid}"
    if gpu.mig_enabled and not gpu.mig:
        yield f"{label}{_undivided(gpu)}"
    if gpu.xids:
        yield f"{label}XIDs since the machine started: {', '.join(map(str, gpu.xids))}"


def _undivided(gpu: Gpu) -> str:
    return (
        "MIG is on, but no instance is made, so that no program can use it:"
        f" see nvidia-smi mig -i {gpu.index} -lgip"
    )


def _unread_log(facts: GpuFacts) -> Iterator[str]:
    if any(gpu.vendor == "nvidia" and gpu.xids is None for gpu in facts.gpus):
        yield "XIDs are unknown: this user may not read the kernel's log"


def _problems(facts: GpuFacts) -> Iterator[str]:
    for problem in facts.problems:
        yield f"problem   {problem}"


def _units(facts: GpuFacts) -> Iterator[GpuUnit]:
    """Return what could be given away as one piece; of a divided GPU only its instances."""
    for gpu in facts.gpus:
        pieces = [(each.uuid, each.name, each.vram_mb) for each in gpu.mig]
        if not gpu.mig_enabled:
            pieces = [(gpu.uuid, gpu.name, gpu.vram_mb)]
        for uuid, name, vram_mb in pieces:
            yield GpuUnit(
                vendor=gpu.vendor,
                index=gpu.index,
                uuid=uuid,
                pci=gpu.pci,
                name=name,
                vram_mb=vram_mb,
                driver=gpu.driver,
                health=gpu.health.value,
                is_mig_instance=gpu.mig_enabled,
            )


def _capacity_text(found: GpuCapacity, facts: GpuFacts) -> tuple[str | render.Table, ...]:
    table = render.Table(
        ("gpu", "name", "VRAM MB", "driver", "health", "uuid"),
        tuple(
            (
                f"{unit.vendor} {unit.index}",
                unit.name or UNKNOWN,
                UNKNOWN if unit.vram_mb is None else str(unit.vram_mb),
                unit.driver or UNKNOWN,
                unit.health,
                unit.uuid or UNKNOWN,
            )
            for unit in found.units
        ),
    )
    first: str | render.Table = table if found.units else "this machine has no GPU to give to a job"
    undivided = [
        f"{_label(gpu)}  {_undivided(gpu)}" for gpu in facts.gpus if gpu.mig_enabled and not gpu.mig
    ]
    faults = [f"{_label(gpu)}  {fault}" for gpu in facts.gpus for fault in gpu.faults]
    return (first, *undivided, *faults, *_problems(facts), NOT_SOLD)
