"""Strict JSON: decoded once, at the edge, into frozen dataclasses; encoded to canonical bytes.

Unknown keys, duplicate keys, floats, NaN, wrong types and values out of bounds are refused with
the path of the bad key. Canonical bytes follow RFC 8785 (JCS) for the values we use: objects with
ASCII keys, text, booleans, null, and integers up to 2**53 - 1.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_origin

from nunet_dms.errors import MalformedError

if TYPE_CHECKING:  # cattrs takes 60 ms to load: `nunet status` decodes nothing and does without
    import cattrs

DEPTH_MAX = 16
"""Nesting of objects and lists; the deepest value of ours has 6."""
TEXT_MAX_BYTES = 4 * 1024 * 1024
"""Of one JSON document: a manifest of the most files fits with room."""

T = TypeVar("T")
_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def decode(kind: type[T], data: bytes | str, *, at: str = "$") -> T:
    """Return `data` as a `kind`; raises MalformedError with the path of the first bad key."""
    return structure(kind, parse(data, at=at), at=at)


def structure(kind: type[T], tree: object, *, at: str = "$") -> T:
    """Return parsed JSON as a `kind`; raises MalformedError with the path of the first bad key."""
    try:
        return _converter().structure(tree, kind)
    except Exception as error:
        message, where = _first_problem(error, at)
        raise MalformedError(f"cannot read {where}: {message}", where=where) from error


def parse(data: bytes | str, *, at: str = "$") -> object:
    """Return JSON as plain values, refusing duplicates, floats and depth; raises MalformedError."""
    if len(data) > TEXT_MAX_BYTES:
        raise MalformedError(f"cannot read {at}: over {TEXT_MAX_BYTES} bytes", where=at)
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        tree: object = json.loads(
            text, object_pairs_hook=_pairs, parse_float=_no_float, parse_constant=_no_float
        )
        json.dumps(tree, ensure_ascii=False).encode("utf-8")  # lone surrogates raise here
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"cannot read {at}: not strict JSON: {error}", where=at) from error
    if _depth(tree) > DEPTH_MAX:
        raise MalformedError(f"cannot read {at}: nested over {DEPTH_MAX} deep", where=at)
    return tree


def encode(value: object) -> bytes:
    """Return the canonical JSON bytes of a dataclass or of plain values."""
    return _CANONICAL.encode(to_plain(value)).encode("utf-8")


def to_plain(value: object) -> Any:
    """Return a dataclass as dicts, lists and scalars."""
    kind: type = type(value)
    if (names := _field_names(kind)) is not None:
        return {name: to_plain(getattr(value, name)) for name in names}
    if isinstance(value, list | tuple):
        return [to_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: to_plain(each) for key, each in value.items()}
    return value


@functools.cache
def _field_names(kind: type) -> tuple[str, ...] | None:
    """Return the fields of a dataclass, which may have none; None for any other type."""
    if not dataclasses.is_dataclass(kind):
        return None
    return tuple(field.name for field in dataclasses.fields(kind))


def digest(data: bytes) -> str:
    """Return blake2b-256 of bytes, as hex."""
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {twice!r:.60} stands twice")
    return found


def _no_float(text: str) -> object:
    raise ValueError(f"{text:.40} is not an integer")


def _depth(tree: object) -> int:
    deepest, level = 0, [tree]
    while level:
        deepest += 1
        level = [
            child
            for node in level
            if isinstance(node, (dict, list))
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    return deepest


def _first_problem(error: BaseException, at: str) -> tuple[str, str]:
    """Walk cattrs' exception groups down to the first leaf, and name its path."""
    path = at
    while (inner := getattr(error, "exceptions", None)) is not None:
        for note in getattr(inner[0], "__notes__", []):
            if (name := getattr(note, "name", None)) is not None:
                path += f".{name}"
            elif (index := getattr(note, "index", None)) is not None:
                path += f"[{index}]"
        error = inner[0]
    if (extra := getattr(error, "extra_fields", None)) is not None:
        unknown = min(map(str, extra))
        return "unknown key", f"{path}.{unknown:.60}"
    if isinstance(error, KeyError):
        return "missing key", path
    return str(error), path


def _exact(value: object, kind: type[object]) -> object:
    if type(value) is not kind:
        raise ValueError(f"must be {_JSON_NAMES[kind]}, not {_json_name(value)}")
    return value


def _scalar(value: object, kind: Any) -> object:
    return _choice(value, kind) if issubclass(kind, Enum) else _exact(value, kind)


def _choice(value: object, kind: Any) -> object:
    choices = get_args(kind) or tuple(member.value for member in kind)
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return value if get_args(kind) else kind(value)
    raise ValueError(f"must be one of {', '.join(map(repr, choices))}, not {value!r:.40}")


def _list(value: object, kind: Any) -> tuple[Any, ...]:
    _exact(value, list)
    return tuple(_converter().structure(value, list[get_args(kind)[0]]))  # type: ignore[arg-type, misc]


def _bounded(value: object, kind: Any) -> object:
    base, *bounds = get_args(kind)
    plain = _converter().structure(value, base)
    for bound in bounds:
        if (problem := bound.problem(plain)) is not None:
            raise ValueError(problem)
    return plain


def _object_hook(kind: Any, converter: cattrs.Converter) -> Any:
    from cattrs.gen import make_dict_structure_fn  # noqa: PLC0415 - see above

    inner = make_dict_structure_fn(kind, converter, _cattrs_forbid_extra_keys=True)

    def hook(value: object, of: Any) -> object:
        _exact(value, dict)
        return inner(value, of)  # type: ignore[arg-type]

    return hook


def _map(value: object, kind: Any) -> dict[str, Any]:
    _exact(value, dict)
    of = get_args(kind)[1]
    return {key: _converter().structure(item, of) for key, item in value.items()}  # type: ignore[attr-defined]


_JSON_NAMES = {int: "an integer", str: "a text", bool: "true or false", dict: "an object",
               list: "a list", type(None): "null"}  # fmt: skip


def _json_name(value: object) -> str:
    return _JSON_NAMES.get(type(value), type(value).__name__)


def _origin_is(*origins: object) -> Callable[[Any], bool]:
    return lambda kind: get_origin(kind) in origins


@functools.cache
def _converter() -> cattrs.Converter:
    """Build the one converter. Bounds need real types: value modules must not use PEP 563."""
    import cattrs  # noqa: PLC0415 - see above

    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    converter.register_structure_hook_factory(dataclasses.is_dataclass, _object_hook)
    for predicate, hook in (
        (_origin_is(Literal), _choice),
        (_origin_is(dict), _map),
        (_origin_is(tuple), _list),
        (_origin_is(Annotated), _bounded),
    ):
        converter.register_structure_hook_func(predicate, hook)
    for scalar in (int, str, bool):  # cattrs looks these up by class, their enums included
        converter.register_structure_hook(scalar, _scalar)
    return converter
