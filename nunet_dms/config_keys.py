"""Settings by name, such as `capacity.cpu_mhz`: found, read from text, set, compared."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from nunet_dms.config import KINDS, SECTIONS, Config, about
from nunet_dms.config_file import Value
from nunet_dms.errors import UsageError

_BOOLS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of config.toml: where it stands, its type, and what it is for."""

    section: str
    name: str
    kind: type[Value]
    comment: str

    def __str__(self) -> str:
        """Return the name that people type."""
        return f"{self.section}.{self.name}"

    def value_in(self, settings: Config) -> Value:
        """Return this key's value."""
        value: Value = getattr(getattr(settings, self.section), self.name)
        return value


@dataclass(frozen=True, slots=True)
class Change:
    """One key that has another value than before; `was` is None where there was none."""

    key: Key
    value: Value
    was: Value | None

    def __str__(self) -> str:
        """Return the change as people read it: `capacity.cpu_mhz = 5000 (was 4000)`."""
        before = "" if self.was is None else f" (was {in_words(self.was)})"
        return f"{self.key} = {in_words(self.value)}{before}"


KEYS: Mapping[str, Key] = {
    str(key): key
    for key in (
        Key(section, each.name, KINDS[str(each.type)][0], about(each).comment)
        for section, kind in SECTIONS.items()
        for each in dataclasses.fields(kind)
    )
}
"""Every key, in the order of the file."""


def find(name: str) -> Key:
    """Return the key of that name; raises UsageError that names the nearest one."""
    if name in KEYS:
        return KEYS[name]
    near = [key for key in KEYS if key.endswith(f".{name}")]
    near += difflib.get_close_matches(name, KEYS, n=1)
    raise UsageError(
        f"cannot find the key {name!r:.80}: there is none of that name",
        hint=f"did you mean {near[0]}?" if near else "to see every key: nunet config show",
    )


def read_value(key: Key, text: str) -> Value:
    """Return a key's value as a person types it; raises UsageError for another type's.

    Whether it lies within bounds is for `config.check` to say.
    """
    if key.kind is str:
        return text
    if key.kind is bool:
        if text in _BOOLS:
            return _BOOLS[text]
    elif text.isascii() and text.removeprefix("-").isdecimal():
        return int(text[:30])  # far beyond any bound; int() refuses thousands of digits
    raise UsageError(f"cannot set {key} to {text!r:.60}: it must be {KINDS[key.kind.__name__][1]}")


def with_values(settings: Config, values: Mapping[Key, Value]) -> Config:
    """Return the settings with these values in place of their own."""
    sections = {key.section: getattr(settings, key.section) for key in values}
    for key, value in values.items():
        sections[key.section] = dataclasses.replace(sections[key.section], **{key.name: value})
    return dataclasses.replace(settings, **sections)


def changes(before: Config | None, after: Config) -> tuple[Change, ...]:
    """Return what differs, in the order of the file; all of it where nothing was before."""
    pairs = (
        (key, key.value_in(after), key.value_in(before) if before else None)
        for key in KEYS.values()
    )
    return tuple(Change(key, value, was) for key, value, was in pairs if value != was)


def in_words(value: Value) -> str:
    """Return a value as people type it; an empty text is shown by its quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) or '""'
