"""`nunet config`: show and change the settings of this machine; a running worker follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from nunet_dms import config, config_file, config_keys, paths
from nunet_dms.cli import editor, render
from nunet_dms.config import Config
from nunet_dms.config_file import Value
from nunet_dms.config_keys import KEYS, Key, in_words
from nunet_dms.errors import NunetError, UsageError
from nunet_dms.node.lock import holder

FOLLOWS = "the running worker picks this up within a few seconds"
NOTHING = "nothing changes"

app = typer.Typer(no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class ChangedKey:
    """One changed key, as scripts see it."""

    key: str
    value: Value
    was: Value | None


@dataclass(frozen=True, slots=True)
class Changed:
    """The facts of `nunet config set --json`, schema nunet.config.set/1."""

    changes: tuple[ChangedKey, ...]
    worker_pid: int | None
    """Of the worker that follows; None if none runs."""


@app.command()
def show(as_json: bool = typer.Option(False, "--json", help="One line of JSON.")) -> None:
    """Show every key, its value and what it is for.

    Example: nunet config show
    """
    settings = config.load(paths.resolve().config_file)
    lines = [
        line
        for key in KEYS.values()
        for line in (f"# {key.comment}", f"{key} = {in_words(key.value_in(settings))}")
    ]
    render.show(render.Shown("nunet.config/1", settings, tuple(lines)), as_json)


@app.command()
def get(
    key: str = typer.Argument(help="Such as capacity.cpu_mhz."),
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Print one value.

    Example: nunet config get capacity.cpu_mhz
    """
    known = config_keys.find(key)
    value = known.value_in(config.load(paths.resolve().config_file))
    text = value if isinstance(value, str) else in_words(value)
    facts = {"key": str(known), "value": value}
    render.show(render.Shown("nunet.config.get/1", facts, (text,)), as_json)


@app.command(name="set")
def set_values(
    words: Annotated[
        list[str], typer.Argument(metavar="KEY VALUE ...", help="As many pairs as you like.")
    ],
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Change values: all of them, or none if one is wrong.

    Example: nunet config set capacity.cpu_mhz 5000 availability.hours "mon-fri 18:00-08:00"
    """
    if len(words) % 2:
        raise UsageError(
            f"cannot set {words[-1]}: its value is missing",
            hint="such as: nunet config set capacity.cpu_mhz 5000",
        )
    keys = [config_keys.find(name) for name in words[::2]]
    values = {
        key: config_keys.read_value(key, text) for key, text in zip(keys, words[1::2], strict=True)
    }
    set_all(paths.resolve(), values, as_json=as_json)


@app.command()
def edit() -> None:
    """Edit the file in $VISUAL or $EDITOR; only a text without a problem takes its place."""
    from nunet_dms.provider.settings import check_change  # noqa: PLC0415 - see set_all

    where = paths.resolve()
    if not render.can_ask():
        raise UsageError(
            "cannot edit: there is no terminal", hint="type: nunet config set KEY VALUE"
        )
    text = config_file.read_text(where.config_file)
    copy = editor.write_copy(text)
    try:
        edited = editor.edit(copy)
        before, after = _settings_or_none(text), config.loads(edited, str(copy))
        check_change(before, after, where.journal)
        if config_file.read_text(where.config_file) != text:
            raise UsageError(f"cannot write {where.config_file}: it was changed in the meantime")
        if edited != text:
            config_file.write_text(where.config_file, edited)
    except NunetError as error:
        error.hint = _kept(copy, text)
        raise
    copy.unlink()
    _show_changes(where, before, after)


@app.command()
def path(as_json: bool = typer.Option(False, "--json", help="One line of JSON.")) -> None:
    """Print where the settings are, or would be."""
    file = str(paths.resolve().config_file)
    render.show(render.Shown("nunet.config.path/1", {"path": file}, (file,)), as_json)


@app.command()
def check(as_json: bool = typer.Option(False, "--json", help="One line of JSON.")) -> None:
    """Check the file: prints ok, or every problem with exit code 2."""
    from nunet_dms.provider.settings import (  # noqa: PLC0415 - see set_all
        check_oracle_url,
        check_wallet,
    )

    where = paths.resolve()
    file = where.config_file
    settings = config.load(file)
    check_wallet(settings, where.journal)
    check_oracle_url(settings)
    render.show(
        render.Shown("nunet.config.check/1", {"path": str(file), "ok": True}, ("ok",)), as_json
    )


def set_all(where: paths.Paths, values: Mapping[Key, Value], *, as_json: bool) -> None:
    """Write these values if all of them will do, and show what changed.

    Raises UsageError that names what is wrong; then nothing is written.
    """
    from nunet_dms.provider.settings import changed  # noqa: PLC0415 - show and get need no rules

    before = config.load(where.config_file)
    after = changed(before, values, where.journal)
    if after != before:
        config.save(where.config_file, after)
    _show_changes(where, before, after, as_json=as_json)


def _show_changes(
    where: paths.Paths, before: Config | None, after: Config, *, as_json: bool = False
) -> None:
    found = config_keys.changes(before, after)
    pid = holder(where.lock_file)
    lines = [str(each) for each in found] or [NOTHING]
    if before is not None and before.oracle.ticket_key and not after.oracle.ticket_key:
        lines.append(
            "the former Oracle's key is dropped, the new one's is pinned at first contact; to name"
            " it yourself: nunet config set oracle.ticket_key KEY"
        )
    if found and pid is not None:
        lines.append(FOLLOWS)
    facts = Changed(tuple(ChangedKey(str(each.key), each.value, each.was) for each in found), pid)
    render.show(render.Shown("nunet.config.set/1", facts, tuple(lines)), as_json)


def _settings_or_none(text: str) -> Config | None:
    """Return the settings before an edit; None if they were wrong: then that is being mended."""
    try:
        return config.loads(text, "")
    except UsageError:
        return None


def _kept(copy: Path, original: str) -> str:
    """Say where the edited text is now; a copy that nobody changed is removed."""
    if copy.exists() and copy.read_bytes() != original.encode():
        return f"nothing was changed; your text is kept in {copy}"
    copy.unlink(missing_ok=True)
    return "nothing was changed"
