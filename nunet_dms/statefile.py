"""Small JSON files that hold one frozen dataclass of whole numbers, flags and None.

Commands and worker leave each other such notes. They are read without the protocol's decoder,
which `nunet status` would pay for at every start.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, TypeVar

from nunet_dms.wholefile import failing_to, write_whole

FILE_MAX_BYTES = 4096
"""The largest of ours has under 100."""
NUMBER_MAX = 2**53 - 1
"""Largest integer that every JSON reader keeps exactly (RFC 8259, section 6)."""

T = TypeVar("T")


def write_state(path: Path, value: object) -> None:
    """Write or replace the file whole, mode 0600; raises NunetError where that cannot be done."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"cannot write {path}: not a dataclass")
    with failing_to("write", path):
        write_whole(path, json.dumps(dataclasses.asdict(value)).encode())


def read_state(path: Path, kind: type[T]) -> T | None:
    """Return what the file holds, None if there is none.

    Raises ValueError for what was not written here, and OSError where it cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(FILE_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    try:
        known = json.loads(content)
        values = {field.name: known[field.name] for field in fields}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"cannot read {path}: it is not what was written there") from error
    if not all(_fits(field, values[field.name]) for field in fields):
        raise ValueError(f"cannot read {path}: it is not what was written there")
    return kind(**values)


def _fits(field: dataclasses.Field[Any], value: object) -> bool:
    kinds = str(field.type).split(" | ")
    if value is None:
        return "None" in kinds
    if type(value) is bool:
        return "bool" in kinds
    return "int" in kinds and type(value) is int and 0 <= value <= NUMBER_MAX
