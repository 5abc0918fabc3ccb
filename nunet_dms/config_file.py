"""One TOML file of flat sections: read whole and within bounds, changed with its comments kept."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nunet_dms.errors import ConfigError, NotOnboardedError
from nunet_dms.wholefile import write_whole

CONFIG_MAX_BYTES = 64 * 1024
"""Of config.toml; ours has about 3 KB with its comments. A worker that starts again takes it
along in its environment, where a text may have 128 KiB (execve(2): MAX_ARG_STRLEN)."""
MEND = "to correct it: nunet config edit"
CONFIG_MODE = 0o640
"""No secret is in it, but an address and a price are nobody else's business."""
_KEY = re.compile(r"[ \t]*[\w\"'.-]+[ \t]*=")

Value = int | str | bool


@dataclass(frozen=True, slots=True)
class Line:
    """One key: its value, and the comment that stands above it where we add it."""

    name: str
    value: Value
    comment: str


@dataclass(frozen=True, slots=True)
class Section:
    """One section: its keys, and the comment beside its name where we add it."""

    name: str
    comment: str
    lines: tuple[Line, ...]


def not_onboarded() -> NotOnboardedError:
    """Return the error for a machine without settings."""
    return NotOnboardedError(
        "this machine is not onboarded", hint="type: nunet onboard --cpu MHZ --ram MB"
    )


def read_text(path: Path) -> str:
    """Return the file's text; raises NotOnboardedError if there is none, else ConfigError."""
    try:
        with path.open("rb") as file:
            content = file.read(CONFIG_MAX_BYTES + 1)
    except FileNotFoundError:
        raise not_onboarded() from None
    except PermissionError:
        raise ConfigError(
            f"cannot read {path}: it is not yours to read",
            hint="use sudo, or --user for your own",
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > CONFIG_MAX_BYTES:
        raise ConfigError(f"cannot use {path}: it has over {CONFIG_MAX_BYTES} bytes", hint=MEND)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"cannot use {path}: byte {error.start} is not UTF-8", hint=MEND
        ) from None


def read_tree(text: str, source: str) -> dict[str, Any]:
    """Return what a TOML text holds; raises ConfigError that names the source and the line."""
    try:
        if sys.version_info >= (3, 11):
            import tomllib  # noqa: PLC0415 - not in 3.10

            return tomllib.loads(text)
        import tomlkit  # noqa: PLC0415 - 30 ms, only where tomllib is missing

        return tomlkit.parse(text).unwrap()
    except ValueError as error:
        raise ConfigError(f"cannot use {source}: it is not TOML: {error}", hint=MEND) from error


def write_sections(path: Path, header: tuple[str, ...], sections: tuple[Section, ...]) -> None:
    """Bring a file to these values, so that a crash leaves the old one or the new one.

    What the file says beside them stays: comments, order, layout. A new file begins with the
    header. Raises ConfigError if the file there is not TOML, is laid out so that a key cannot be
    set, or cannot be written.
    """
    target = Path(os.path.realpath(path))
    text = read_text(target) if target.exists() else "".join(f"# {line}\n" for line in header)
    tree = read_tree(text, str(path))
    if any(not isinstance(tree.get(each.name, {}), dict) for each in sections):
        raise _not_ours(path)
    try:
        text = _with_changes(text, tree, sections)
    except ValueError as error:  # tomlkit is stricter than tomllib in a corner or two
        raise _not_ours(path) from error
    for section in sections:
        text = _with_additions(text, tree.get(section.name), section)
    tree = read_tree(text, str(path))
    if any(_differing(tree.get(each.name, {}), each) for each in sections):
        raise _not_ours(path)
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Write or replace a file as a whole; raises ConfigError if that cannot be done."""
    target = Path(os.path.realpath(path))  # a link stays a link
    try:
        write_whole(target, text.encode(), CONFIG_MODE)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error


def _with_changes(text: str, tree: Mapping[str, Any], sections: tuple[Section, ...]) -> str:
    """Return the text with the values of now, for the keys and sections that it has."""
    import tomlkit  # noqa: PLC0415 - 30 ms that reading does not need

    document: Any = tomlkit.parse(text)
    for section in (each for each in sections if each.name in tree):
        known = tree[section.name]
        for line in _differing(known, section):
            # A section without a line of its own (`price = {...}`) has no place for a comment.
            if line.name in known or _heading(text, section.name) is None:
                document[section.name][line.name] = line.value
    return tomlkit.dumps(document)


def _with_additions(text: str, known: Mapping[str, Any] | None, section: Section) -> str:
    """Return the text with the keys that it lacked, each under its comment."""
    missing = [line for line in section.lines if known is None or line.name not in known]
    added = "".join(f"# {each.comment}\n{each.name} = {_toml(each.value)}\n" for each in missing)
    if known is None:
        return f"{_ended(text)}\n[{section.name}] # {section.comment}\n{added}"
    heading = _heading(text, section.name)
    if heading is None or not missing:
        return text
    rest = text[heading.end() :].splitlines(keepends=True)
    end = next((n for n, line in enumerate(rest) if line.lstrip().startswith("[")), len(rest))
    below = max((n + 1 for n in range(end) if _KEY.match(rest[n])), default=1)
    before = text[: heading.end()] + "".join(rest[:below])
    return _ended(before) + added + "".join(rest[below:])


def _heading(text: str, name: str) -> re.Match[str] | None:
    """Find the line on which a section begins, without its end."""
    return re.search(rf"^[ \t]*\[[ \t]*{name}[ \t]*\][^\n]*", text, re.MULTILINE)


def _differing(known: Mapping[str, Any], section: Section) -> list[Line]:
    """Return the keys that have another value, or none; `true` is not 1 here."""
    return [
        line
        for line in section.lines
        if type(known.get(line.name)) is not type(line.value) or known[line.name] != line.value
    ]


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _toml(value: Value) -> str:
    import tomlkit  # noqa: PLC0415 - as above

    return str(tomlkit.item(value).as_string())


def _not_ours(path: Path) -> ConfigError:
    return ConfigError(
        f"cannot change {path}: its layout is not the usual one",
        hint="write every key on a line of its own, below its section, such as [price]",
    )
