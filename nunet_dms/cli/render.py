"""The one module that prints: results as text or JSON, progress, problems, job logs.

Text from outside (job logs, names, messages of others) is never trusted: control and bidi
characters are shown as escapes, so that no job can move the cursor, set the title, or reorder
what an operator reads. rich is loaded for tables on a terminal and nowhere else.
"""

from __future__ import annotations

import codecs
import dataclasses
import getpass
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from nunet_dms.errors import NunetError, UsageError

CLEAR = "\x1b[H\x1b[J"
"""To the upper left corner, and erase all below (ECMA-48: CUP, ED)."""

WIPE = "\x1b[H\x1b[2J\x1b[3J"
"""To the upper left corner, erase the screen and what was scrolled off it (xterm's ED 3)."""

_CONTROL = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and newline, DEL, C1
    r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # bidi controls, line separators (UAX 9)
    r"\ud800-\udfff"  # lone surrogates: no encoding writes them
)
_HOSTILE = re.compile(f"[{_CONTROL}]")
_HOSTILE_IN_LINE = re.compile(f"[\t\n{_CONTROL}]")


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows of plain text; rich draws it on a terminal."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a command found: `facts` for scripts, `text` for people."""

    schema: str
    """Name and version of the JSON shape, such as `nunet.status/1`."""
    facts: object
    """A dataclass or a mapping of JSON values."""
    text: tuple[str | Table, ...] | Table = ()


def show(result: Shown, as_json: bool = False) -> None:
    """Print a result on stdout: one line of JSON with its schema, or lines and tables."""
    if as_json:
        _write(sys.stdout, json_line(result))
        return
    for part in (result.text,) if isinstance(result.text, Table) else result.text:
        if isinstance(part, str):
            _write(sys.stdout, escape(part, one_line=True) + "\n")
        else:
            _show_table(part)
    sys.stdout.flush()


def can_redraw() -> bool:
    """Say whether stdout is a terminal, where a result can take the place of the one before."""
    return sys.stdout.isatty()


def redraw(result: Shown) -> None:
    """Show a result for people on a terminal that is cleared first."""
    _write(sys.stdout, CLEAR)
    show(result)


def json_line(result: Shown) -> str:
    """Return a result as one line of JSON, the schema first."""
    facts = result.facts
    if dataclasses.is_dataclass(facts) and not isinstance(facts, type):
        facts = dataclasses.asdict(facts)
    if not isinstance(facts, Mapping):
        raise TypeError(f"facts of {result.schema} are neither a dataclass nor a mapping")
    text = json.dumps({"schema": result.schema, **facts}, allow_nan=False)
    return text.replace("\x7f", "\\u007f") + "\n"


def progress(text: str) -> None:
    """Say on stderr what is being done; one line, so that a log of it can be read too."""
    _write(sys.stderr, escape(text, one_line=True) + "\n")


def problem(error: NunetError) -> None:
    """Print an error on stderr, and below it what the user may do."""
    _write(sys.stderr, f"nunet: {escape(str(error))}\n")
    if error.hint:
        _write(sys.stderr, f"       {escape(error.hint)}\n")


def can_ask() -> bool:
    """Say whether somebody sits at a terminal to answer; commands never ask otherwise."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str) -> bool:
    """Ask a yes-or-no question on the terminal; anything but yes means no."""
    _write(sys.stderr, f"{escape(question, one_line=True)} [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def ask(question: str) -> str:
    """Ask for one line on the terminal; may be empty. Raises UsageError where nobody answers."""
    _write(sys.stderr, f"{escape(question, one_line=True)}: ")
    if not (line := sys.stdin.readline()):  # Ctrl-D, which is no empty answer
        _write(sys.stderr, "\n")
        raise UsageError("nothing was changed: no answer was given")
    return line.strip()


def ask_secret(question: str) -> str:
    """Ask for a line that the terminal does not show, such as a passphrase.

    Raises UsageError where nobody answers.
    """
    try:
        return getpass.getpass(f"{escape(question, one_line=True)}: ", stream=sys.stderr)
    except EOFError:
        raise UsageError("nothing was done: no answer was given") from None


def show_secret(lines: Sequence[str], question: str) -> None:
    """Show lines on the terminal until the question is answered, then wipe them off it.

    Only where `can_ask` holds: what is shown must not end in a file or pipe.
    """
    for line in lines:
        _write(sys.stderr, escape(line, one_line=True) + "\n")
    ask(question)
    wipe()


def wipe() -> None:
    """Wipe off the terminal what it shows and what was scrolled off it."""
    _write(sys.stderr, WIPE)


def escape(text: str, *, one_line: bool = False) -> str:
    """Return hostile text with what a terminal would obey written out, such as `\\x1b`.

    Newline and tab stay, unless the text must fit in one line.
    """
    return (_HOSTILE_IN_LINE if one_line else _HOSTILE).sub(_written_out, text)


class LogView:
    """A job's log on stdout: escaped on a terminal, byte for byte into a pipe or file.

    A character that two chunks share is put together, hence the state; call `close` at the end.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._is_terminal = sys.stdout.isatty()
        self._ends_line = True

    def write(self, data: bytes) -> None:
        """Print the next bytes of the log at once."""
        self._ends_line = data.endswith(b"\n") if data else self._ends_line
        if self._is_terminal:
            _write(sys.stdout, escape(self._decoder.decode(data)))
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def close(self, *, end_line: bool = False) -> None:
        """Print what is left of a character that was cut off; `end_line` if something follows."""
        if self._is_terminal:
            _write(sys.stdout, escape(self._decoder.decode(b"", final=True)))
        if end_line and not self._ends_line:
            _write(sys.stdout, "\n")


def _show_table(table: Table) -> None:
    cells = tuple(tuple(escape(cell, one_line=True) for cell in row) for row in table.rows)
    if not sys.stdout.isatty():
        for line in plain_table(table.columns, cells):
            _write(sys.stdout, line + "\n")
        return
    from rich.console import Console  # noqa: PLC0415 - 60 ms, for terminals only
    from rich.table import Table as RichTable  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    drawn = RichTable(*table.columns, box=None, pad_edge=False)
    for row in cells:
        drawn.add_row(*map(Text, row))  # Text, not str: a cell's [brackets] are no markup
    Console(highlight=False).print(drawn)


def plain_table(columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> list[str]:
    """Return a table as lines, columns aligned by spaces."""
    lines = ([name.upper() for name in columns], *rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _written_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    return {9: r"\t", 10: r"\n", 13: r"\r"}.get(code) or (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    )


def _write(stream: TextIO, text: str) -> None:
    """Write and flush; what the terminal's encoding lacks is written out instead of raising."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()
