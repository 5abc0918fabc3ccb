"""The `nunet` command: its tree, its global options, and the only place that catches errors."""

from __future__ import annotations

import difflib
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from nunet_dms import paths
from nunet_dms.cli import render
from nunet_dms.errors import ExitCode, NunetError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 + SIGINT."""


COMPLETION_VARIABLE = "_NUNET_COMPLETE"


@dataclass(frozen=True, slots=True)
class Entry:
    """A command or group: its module has it as `app`."""

    name: str
    module: str
    summary: str


COMMANDS = (
    Entry("onboard", "nunet_dms.cli.onboard", "Offer a share of this machine, and start working."),
    Entry("status", "nunet_dms.cli.status", "Show whether this machine works and earns."),
    Entry("jobs", "nunet_dms.cli.jobs", "List jobs, read their logs, cancel them."),
    Entry("earnings", "nunet_dms.cli.earnings", "Show what jobs earned, and what is pending."),
    Entry("gpu", "nunet_dms.cli.gpu", "Show this machine's GPUs, their health, who uses them."),
    Entry("capacity", "nunet_dms.cli.capacity", "Show what this machine has, offers and uses."),
    Entry(
        "doctor", "nunet_dms.cli.doctor", "Find what keeps this machine from working, and the cure."
    ),
    Entry("pause", "nunet_dms.cli.pause", "Take no new jobs for a while; what runs goes on."),
    Entry("resume", "nunet_dms.cli.resume", "Take new jobs again."),
    Entry("offboard", "nunet_dms.cli.offboard", "Finish all jobs, stop, and leave."),
    Entry("config", "nunet_dms.cli.config", "Show and change the settings of this machine."),
    Entry("worker", "nunet_dms.cli.worker", "Start or stop the process that runs jobs."),
    Entry("resource-config", "nunet_dms.cli.resource_config", "Show or set CPU and RAM for jobs."),
    Entry("wallet", "nunet_dms.cli.wallet", "Make, import and use wallets for mNTX."),
    Entry("request", "nunet_dms.cli.request", "Pay for a job, follow it, fetch its results."),
    Entry("receipt", "nunet_dms.cli.receipt", "Show a job's receipt; verify it, offline."),
    Entry("oracle", "nunet_dms.cli.oracle", "Run an Oracle: verify payments, match jobs, settle."),
    Entry("demo", "nunet_dms.cli.demo", "Pay for and run one real job here, from end to end."),
)
"""In the order of `nunet --help`."""


class LazyGroup(TyperGroup):
    """Loads the module of the one command that was typed: `nunet status` pays for status alone."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - Click's signature
        """Return the names in the order of the table."""
        return [entry.name for entry in COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - Click's signature
        """Return the command of that name, or None."""
        for entry in COMMANDS:
            if entry.name == cmd_name:
                command = get_command(import_module(entry.module).app)
                command.name = cmd_name
                return command
        return None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that `args` begin with; a usage error names the nearest one."""
        names = self.list_commands(ctx)
        if args[0] not in names:
            near = difflib.get_close_matches(args[0], names, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - as above
        """Write the list of commands without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(entry.name, entry.summary) for entry in COMMANDS])


app = typer.Typer(
    name="nunet",
    cls=LazyGroup,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: rich would double the start-up
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - 10 ms, for this option only

        number = version("nunet-dms")
        render.show(render.Shown("nunet.version/1", {"version": number}, (f"nunet {number}",)))
        raise typer.Exit


@app.callback()
def root(
    system: bool | None = typer.Option(
        None, "--system/--user", help="The whole machine's, or your own; root means --system."
    ),
    version: bool = typer.Option(  # noqa: ARG001 - its callback acts
        False, "--version", callback=_show_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Run paid container jobs on this machine, or have yours run on another."""
    if system is not None:
        # The environment, because the worker's process that a command starts needs it too.
        os.environ[paths.SCOPE_VARIABLE] = (
            paths.Scope.SYSTEM if system else paths.Scope.USER
        ).value


def main_inner(arguments: Sequence[str]) -> None:
    """Run one command line; raises what went wrong, and SystemExit at its end."""
    if COMPLETION_VARIABLE in os.environ:  # a shell asks, by the scripts in completions/
        from typer._completion_classes import completion_init  # noqa: PLC0415 - for shells only

        completion_init()
    app(args=list(arguments), prog_name="nunet")


def main() -> None:
    """Run `nunet`; every NunetError becomes a line on stderr and the exit code of its class.

    So does what the system refuses, where nothing nearer to it has words for it. Anything else is
    our fault: the interpreter prints its traceback and exits 1.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores one: then so do we
            signal.signal(number, _ended_by)
    try:
        main_inner(sys.argv[1:])
    except NunetError as error:
        _fail(error)
    except BrokenPipeError:  # nobody reads on, as after `nunet jobs | head`
        _end(int(ExitCode.UNEXPECTED))
    except OSError as error:
        of = f": {error.filename}" if error.filename else ""
        _fail(NunetError(f"cannot go on: {error.strerror or error}{of}"))
    except KeyboardInterrupt:
        _end(INTERRUPTED)


def _ended_by(number: int, _frame: object) -> NoReturn:
    """End as Ctrl-C does: what is under way, such as a test container, is cleared away first."""
    sys.exit(128 + number)


def _fail(error: NunetError) -> NoReturn:
    with suppress(OSError):  # nobody reads it; the exit code still tells
        render.problem(error)
    _end(int(error.exit_code))


def _end(code: int) -> NoReturn:
    """Exit; what can no longer be written is dropped, or the interpreter would exit with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)
