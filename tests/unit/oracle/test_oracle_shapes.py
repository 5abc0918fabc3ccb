"""What is shown at /docs is what is enforced, and every error has one shape and one status."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import pytest

from nunet_dms.errors import (
    CapacityError,
    InvalidTransitionError,
    MalformedError,
    NunetError,
    RefusedError,
    UnreachableError,
    VerificationError,
)
from nunet_dms.oracle.app import make_app
from nunet_dms.oracle.clockwork import Clockwork
from nunet_dms.oracle.composition import open_oracle
from nunet_dms.oracle.config import OracleConfig, init
from nunet_dms.oracle.openapi import schema_of
from nunet_dms.oracle.problems import body_of, status_of
from nunet_dms.protocol import api
from nunet_dms.protocol.bounds import Hex16, Length, Range
from nunet_dms.protocol.job import FileEntry, JobSpec
from nunet_dms.protocol.submission import JobView


def _table() -> set[tuple[str, str]]:
    """Return method and path of each call in the protocol's table."""
    lines = (api.__doc__ or "").splitlines()
    cells = [line.split("|")[1].split() for line in lines if "/v1/" in line]
    return {(method.lower(), path.partition("?")[0]) for method, path in cells}


def test_every_call_of_the_protocol_is_served_and_documented_and_no_other(tmp_path: Path) -> None:
    config = OracleConfig(folder=tmp_path / "o")
    init(config)
    oracle = open_oracle(config, lambda: 1000.0)
    try:
        paths = make_app(oracle, Clockwork(oracle)).openapi()["paths"]
    finally:
        oracle.close()
    served = {(method, path) for path, calls in paths.items() for method in calls}
    assert served == _table()
    for calls in paths.values():
        for call in calls.values():
            assert call["description"]
            assert {"200", "4XX"} <= set(call["responses"])


def test_a_spec_s_schema_has_its_keys_and_bounds() -> None:
    schema = schema_of(JobSpec)
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {field.name for field in dataclasses.fields(JobSpec)}
    assert schema["required"] == ["image", "resources", "time_limit_s"]
    assert schema["properties"]["time_limit_s"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 30 * 86_400,
    }
    assert schema["properties"]["network"] == {"enum": ["none", "egress"]}
    assert schema["properties"]["checkpoint"]["anyOf"][1] == {"type": "null"}
    assert schema["properties"]["inputs"]["properties"]["files"]["items"] == schema_of(FileEntry)


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (
            Hex16,
            {
                "type": "string",
                "pattern": "^[0-9a-f]{32}$",
                "description": "16 bytes as lower-case hex",
            },
        ),
        (Annotated[int, Range(1, 2)], {"type": "integer", "minimum": 1, "maximum": 2}),
        (Annotated[str, Length(1, 2)], {"type": "string", "minLength": 1, "maxLength": 2}),
        (
            Annotated[tuple[bool, ...], Length(0, 3)],
            {"type": "array", "items": {"type": "boolean"}, "minItems": 0, "maxItems": 3},
        ),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    ],
)
def test_each_kind_of_bound_is_shown(kind: object, schema: dict[str, object]) -> None:
    assert schema_of(kind) == schema


def test_only_what_may_be_absent_from_a_view_may_be_null() -> None:
    properties = schema_of(JobView)["properties"]
    nullable = {
        name for name, schema in properties.items() if {"type": "null"} in schema.get("anyOf", [])
    }
    assert nullable == {
        "reason",
        "exit_code",
        "provider_amount",
        "requester_amount",
        "settlement_tx_id",
        "log_complete",
        "started_ms",
        "finished_ms",
        "settled_ms",
        "window_ends_s",
        "files_until_s",
        "phase",
        "checkpoint",
    }


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (MalformedError("cannot read $: no"), 400, "malformed"),
        (RefusedError("not_authenticated", "no"), 401, "not_authenticated"),
        (RefusedError("not_a_node", "no"), 403, "not_a_node"),
        (RefusedError("unknown_job", "no"), 404, "unknown_job"),
        (RefusedError("not_offered", "no"), 409, "not_offered"),
        (CapacityError("no"), 409, "no_capacity"),
        (RefusedError("log_full", "no"), 413, "log_full"),
        (VerificationError("underpaid", "no"), 422, "underpaid"),
        (RefusedError("hash_mismatch", "no"), 422, "hash_mismatch"),
        (UnreachableError("no"), 503, "chain_unreachable"),
        (InvalidTransitionError("a secret"), 500, "internal"),
        (NunetError("a secret"), 500, "internal"),
    ],
)
def test_each_error_has_its_status_and_code(error: NunetError, status: int, code: str) -> None:
    assert (status_of(error), body_of(error).code) == (status, code)
    assert "secret" not in body_of(error).message


def test_a_long_message_is_cut_to_what_may_travel() -> None:
    body = body_of(RefusedError("x", "m" * 900, where="w" * 900))
    assert (len(body.message), len(body.where)) == (500, 500)
