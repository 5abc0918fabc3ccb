"""What is printed: hostile text written out, JSON with its schema, logs byte for byte."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunet_dms.cli import render
from nunet_dms.cli.render import Shown, Table


class Terminal(io.TextIOWrapper):
    """A stream that says that it is a terminal."""

    def __init__(self, text: str = "", encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(text.encode()), encoding=encoding)

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("a\rb", "a\\rb"),
        ("\x7f\x80\x9b31m", "\\x7f\\x80\\x9b31m"),
        ("admin\u202egnp.exe", "admin\\u202egnp.exe"),
        ("\u2066\u2069\u200e\u061c\u2028", "\\u2066\\u2069\\u200e\\u061c\\u2028"),
        ("\ud800", "\\ud800"),
        ("[red]näme[/red] 日本", "[red]näme[/red] 日本"),
        ("tab\tline\n", "tab\tline\n"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(hostile: str, shown: str) -> None:
    assert render.escape(hostile) == shown


def test_in_one_line_newlines_and_tabs_are_written_out_too() -> None:
    assert render.escape("a\n\tb", one_line=True) == "a\\n\\tb"


@given(st.text(st.characters()))
def test_nothing_that_was_escaped_controls_a_terminal(text: str) -> None:
    shown = render.escape(text, one_line=True)
    assert shown.isprintable() or not any(
        ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in shown
    )
    shown.encode()


@dataclass(frozen=True)
class Facts:
    name: str


def test_json_is_one_line_that_begins_with_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    render.show(Shown("nunet.x/1", Facts("\x1b\x7f\u202e\n"), ("text",)), as_json=True)
    out = capsys.readouterr().out
    assert out == '{"schema": "nunet.x/1", "name": "\\u001b\\u007f\\u202e\\n"}\n'
    assert json.loads(out)["name"] == "\x1b\x7f\u202e\n"


def test_facts_that_are_no_object_are_our_fault() -> None:
    with pytest.raises(TypeError, match=r"nunet\.x/1"):
        render.json_line(Shown("nunet.x/1", [1]))


def test_lines_and_tables_are_plain_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(("job", "state"), (("a\x1b", "running"), ("longer", "[b]")))
    render.show(Shown("nunet.x/1", {}, ("first\nline", table)))
    assert capsys.readouterr().out == (
        "first\\nline\nJOB     STATE\na\\x1b   running\nlonger  [b]\n"
    )


def test_a_table_alone_and_an_empty_one_have_their_heads(
    capsys: pytest.CaptureFixture[str],
) -> None:
    render.show(Shown("nunet.x/1", {}, Table(("a", "b"), ())))
    assert capsys.readouterr().out == "A  B\n"


def test_on_a_terminal_rich_draws_cells_without_reading_markup(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    render.show(Shown("nunet.x/1", {}, Table(("name",), (("[red]x[/red]\x1b[31m",),))))
    assert "[red]x[/red]\\x1b[31m" in terminal.text
    assert "\x1b[3" not in terminal.text


def test_what_the_encoding_lacks_is_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    render.show(Shown("nunet.x/1", {}, ("näme",)))
    assert terminal.text == "n\\xe4me\n"


def test_a_log_in_a_pipe_is_byte_for_byte(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    hostile = bytes(range(256))
    view = render.LogView()
    view.write(hostile)
    view.close()
    assert capfdbinary.readouterr().out == hostile


def test_a_log_on_a_terminal_is_escaped_and_characters_are_put_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    view = render.LogView()
    euro = "€".encode()
    for part in (b"\x1b[2J ", euro[:1], euro[1:], b"\xff", euro[:2]):
        view.write(part)
    view.close()
    assert terminal.text == "\\x1b[2J €\\xff\\xe2\\x82"


@pytest.mark.parametrize(
    ("answer", "meant"),
    [("y\n", True), ("YES\n", True), ("n\n", False), ("", False), ("\n", False)],
)
def test_only_yes_means_yes(
    answer: str, meant: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    assert render.confirm("Do it?") is meant
    assert capsys.readouterr().err == "Do it? [y/N] "


def test_an_answer_is_one_line_without_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(" addr \nmore"))
    assert render.ask("Where?") == "addr"


def test_nobody_is_asked_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert render.can_ask() is False
