"""The command tree: exit codes, usage errors, and what stays unloaded."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from cli_world import Said

from nunet_dms import errors, paths
from nunet_dms.cli import main as cli_main
from nunet_dms.cli import status
from nunet_dms.cli.main import COMMANDS, LazyGroup, main_inner
from nunet_dms.errors import NotOnboardedError, NunetError, VerificationError

HEAVY = ("docker", "requests", "urllib3", "fastapi", "nacl", "cattrs", "rich", "psutil") + (
    ("tomlkit",) if sys.version_info >= (3, 11) else ()  # before, it stands in for tomllib
)
KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, NunetError)
]


def test_help_lists_the_commands_in_order_and_loads_none(nunet: Callable[..., Said]) -> None:
    said = nunet("--help")
    names = [line.split()[0] for line in said.out.split("Commands:")[1].splitlines() if line]
    assert said.code == 0
    assert names == [entry.name for entry in COMMANDS]
    assert names[:3] == ["onboard", "status", "jobs"]


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_every_command_has_help(entry: cli_main.Entry, nunet: Callable[..., Said]) -> None:
    said = nunet(entry.name, "--help")
    assert said.code == 0
    assert f"Usage: nunet {entry.name}" in said.out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("stauts",), "No such command 'stauts'. Did you mean status?"),
        (("xyzzy",), "No such command 'xyzzy'."),
        (("--nonsense",), "No such option"),
        (("onboard",), "--cpu and --ram are needed"),
        (("onboard", "--cpu", "4.5", "--ram", "1"), "Invalid value"),
        (("jobs", "show"), "Missing argument"),
        (("status", "extra"), "unexpected extra argument"),
    ],
)
def test_a_usage_error_exits_2_and_says_what_is_wrong(
    words: tuple[str, ...], text: str, nunet: Callable[..., Said]
) -> None:
    said = nunet(*words)
    assert (said.code, said.out) == (2, "")
    assert text in said.err


def test_version(nunet: Callable[..., Said]) -> None:
    assert nunet("--version") == Said(0, "nunet 0.1.0\n", "")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_main_turns_every_error_into_its_class_s_code_and_one_message(
    kind: type[NunetError], nunet: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    is_coded = issubclass(kind, VerificationError) and kind is not errors.MalformedError
    error = kind("a_code", "cannot do it: \x1b[2J") if is_coded else kind("cannot do it: \x1b[2J")
    error.hint = "do that"

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(status.config, "load", fail)
    said = nunet("status")
    assert said == Said(int(kind.exit_code), "", "nunet: cannot do it: \\x1b[2J\n       do that\n")


def test_main_inner_raises_what_main_catches() -> None:
    with pytest.raises(NotOnboardedError):
        main_inner(["status"])


def test_ctrl_c_exits_as_shells_have_it(
    nunet: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(status.config, "load", interrupt)
    assert nunet("status").code == 130


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "/x"), "No space left on device: /x"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (OSError("the bus is away"), "the bus is away"),
    ],
)
def test_what_the_system_refuses_is_one_line(
    error: OSError, words: str, nunet: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(status.config, "load", fail)
    assert nunet("status") == Said(1, "", f"nunet: cannot go on: {words}\n")


def run(*words: str, **streams: int | IO[bytes]) -> subprocess.CompletedProcess[bytes]:
    """Run `nunet` as a process of its own."""
    program = "from nunet_dms.cli.main import main; main()"
    return subprocess.run([sys.executable, "-c", program, *words], check=False, **streams)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def nobody() -> Iterator[int]:
    """A pipe to which one may write, and that nobody reads, as after `| head` has ended."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.parametrize("words", ["--help", "jobs --json", "status --check"])
def test_output_that_nobody_reads_is_no_reason_to_complain(words: str, nobody: int) -> None:
    assert run(*words.split(), stdout=nobody, stderr=subprocess.PIPE).stderr == b""


def test_errors_that_nobody_reads_leave_the_exit_code_as_it_is(nobody: int) -> None:
    assert run("status", stdout=subprocess.PIPE, stderr=nobody).returncode == 3


def test_output_that_finds_no_room_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        done = run("--version", stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == b"nunet: cannot go on: No space left on device\n"


def test_our_own_fault_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(status.config, "load", fail)
    monkeypatch.setattr(sys, "argv", ["nunet", "status"])
    with pytest.raises(ZeroDivisionError):
        cli_main.main()


@pytest.mark.parametrize("scope", ["system", "user"])
def test_the_scope_option_reaches_the_command_and_its_children(
    scope: str, nunet: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(paths.SCOPE_VARIABLE, "neither")
    nunet(f"--{scope}", "status")
    assert os.environ[paths.SCOPE_VARIABLE] == scope


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["status"],
        ["status", "--check"],
        ["jobs"],
        ["earnings"],
        ["config", "show"],
        ["config", "get", "capacity.cpu_mhz"],
        ["resource-config"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("journal", "lock")
def test_what_is_asked_often_loads_nothing_heavy(words: list[str]) -> None:
    program = (
        "import sys; from nunet_dms.cli.main import main_inner\n"
        "try: main_inner(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        f"sys.stderr.write(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout != ""


def test_a_command_s_module_is_loaded_only_when_it_is_named() -> None:
    group = LazyGroup(name="nunet")
    assert group.get_command(None, "nothing") is None
    assert group.get_command(None, "status").name == "status"
