"""The protocol's values as JSON Schema, bounds included, for the page at /docs."""

from __future__ import annotations

import dataclasses
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from nunet_dms.protocol.api import ErrorBody
from nunet_dms.protocol.bounds import Length, Pattern, Range, RelativePath

JSON = "application/json"
BYTES = "application/octet-stream"
RAW_SCHEMA: dict[str, object] = {"type": "string", "format": "binary"}
_SCALARS = {int: "integer", str: "string", bool: "boolean"}
_UNIONS = (Union, UnionType)


def shapes(
    body: type[object] | tuple[type[object], ...] | None, answer: type[object] | None
) -> dict[str, Any]:
    """Return the OpenAPI parts of a call; None as `answer` is raw bytes."""
    content = {BYTES: {"schema": RAW_SCHEMA}} if answer is None else _content(answer)
    parts: dict[str, Any] = {
        "responses": {
            "200": {"description": "done", "content": content},
            "4XX": {"description": "refused; `code` says why", "content": _content(ErrorBody)},
        }
    }
    if body is not None:
        kinds = body if isinstance(body, tuple) else (body,)
        schemas = [schema_of(kind) for kind in kinds]
        schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
        parts["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    return parts


def raw_body(answer: type[object]) -> dict[str, Any]:
    """Return the OpenAPI parts of a call whose body is raw bytes."""
    body = {"required": True, "content": {BYTES: {"schema": RAW_SCHEMA}}}
    return shapes(None, answer) | {"requestBody": body}


def schema_of(kind: Any) -> dict[str, Any]:
    """Return the JSON Schema of a type of the protocol."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _bounded(kind)
    if origin is Literal:
        return {"enum": list(get_args(kind))}
    if origin is tuple:
        return {"type": "array", "items": schema_of(get_args(kind)[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(get_args(kind)[1])}
    if origin in _UNIONS:
        return {"anyOf": [schema_of(part) for part in get_args(kind)]}
    return _plain(kind)


def _content(kind: type[object]) -> dict[str, Any]:
    return {JSON: {"schema": schema_of(kind)}}


def _plain(kind: Any) -> dict[str, Any]:
    if kind is type(None):
        return {"type": "null"}
    if kind in _SCALARS:
        return {"type": _SCALARS[kind]}
    if issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    hints = get_type_hints(kind, include_extras=True)
    fields = dataclasses.fields(kind)
    return {
        "title": kind.__name__,
        "description": (kind.__doc__ or "").split("\n")[0],
        "type": "object",
        "properties": {field.name: schema_of(hints[field.name]) for field in fields},
        "required": [field.name for field in fields if _is_required(field)],
        "additionalProperties": False,
    }


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _bounded(kind: Any) -> dict[str, Any]:
    base, *bounds = get_args(kind)
    schema = schema_of(base)
    for bound in bounds:
        schema |= _bound(bound, str(schema.get("type")))
    return schema


_LENGTH_NAMES = {"string": "Length", "array": "Items", "object": "Properties"}


def _bound(bound: object, kind: str) -> dict[str, Any]:
    match bound:
        case Range():
            return {"minimum": bound.low, "maximum": bound.high}
        case Pattern():
            return {"pattern": f"^{bound.expression}$", "description": bound.meaning}
        case Length():
            name = _LENGTH_NAMES[kind]
            return {f"min{name}": bound.low, f"max{name}": bound.high}
        case RelativePath():
            return {"description": "a relative path without . and .."}
        case _:
            return {}
