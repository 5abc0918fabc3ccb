"""Plutus data as uplc's machine handles it, but with maps that keep order and repeated keys.

Sizes are counted once, when a piece is made: the machine asks for them again and again.
Needs the extra `plutus`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from uplc import ast

from nunet_dms.cardano.data import Constr, Data, DataMap
from nunet_dms.errors import MalformedError

NODE_SIZE = 4
"""What the ledger's costing adds for each piece of data, in words."""


class SizedConstr(ast.PlutusConstr):  # type: ignore[misc] # uplc has no types
    """A constructor and its fields."""

    def __init__(self, number: int, fields: Iterable[Any]) -> None:
        super().__init__(number, list(fields))
        _set_size(self, self.fields)

    def ex_mem(self) -> int:
        """Return the size in words."""
        return int(self.size)


class SizedList(ast.PlutusList):  # type: ignore[misc]
    """A list."""

    def __init__(self, items: Iterable[Any]) -> None:
        super().__init__(list(items))
        _set_size(self, self.value)

    def ex_mem(self) -> int:
        """Return the size in words."""
        return int(self.size)


class SizedMap(ast.PlutusMap):  # type: ignore[misc]
    """Pairs in their order; equal only to the same pairs in the same order."""

    def __init__(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        object.__setattr__(self, "value", tuple(pairs))
        _set_size(self, [part for pair in self.value for part in pair])

    def ex_mem(self) -> int:
        """Return the size in words."""
        return int(self.size)


def to_uplc(data: Data) -> Any:
    """Return the data as uplc's constant."""
    if isinstance(data, int):
        return ast.PlutusInteger(data)
    if isinstance(data, bytes):
        return ast.PlutusByteString(data)
    if isinstance(data, tuple):
        return SizedList([to_uplc(item) for item in data])
    if isinstance(data, DataMap):
        return SizedMap([(to_uplc(key), to_uplc(value)) for key, value in data.pairs])
    return SizedConstr(data.number, [to_uplc(field) for field in data.fields])


def from_uplc(constant: Any) -> Data:
    """Return uplc's constant as data; raises MalformedError for what is none."""
    if isinstance(constant, ast.PlutusAtomic):
        value: int | bytes = constant.value
        return value
    if isinstance(constant, SizedList):
        return tuple([from_uplc(item) for item in constant.value])
    if isinstance(constant, SizedMap):
        return DataMap(tuple([(from_uplc(key), from_uplc(value)) for key, value in constant.value]))
    if isinstance(constant, SizedConstr):
        return Constr(constant.constructor, tuple([from_uplc(each) for each in constant.fields]))
    raise MalformedError("cannot take this constant for data")


def _set_size(node: Any, parts: Iterable[Any]) -> None:
    # uplc's classes are frozen, and these are still being made.
    object.__setattr__(node, "size", NODE_SIZE + sum(part.ex_mem() for part in parts))
