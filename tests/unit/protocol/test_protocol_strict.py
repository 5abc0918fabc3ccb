"""What travels is the canonical JSON of a value's fields, whatever is nested in them."""

from __future__ import annotations

import dataclasses
import json

import pytest

from nunet_dms.protocol import strict
from nunet_dms.protocol.api import Empty
from nunet_dms.protocol.job import FileEntry, JobSpec, Manifest, Resources
from nunet_dms.protocol.node import HeartbeatReply

SPEC = JobSpec(
    image="x@sha256:" + "a" * 64,
    command=("run", "ä"),
    resources=Resources(cpu_mhz=1000, ram_mb=64, disk_mb=10),
    time_limit_s=60,
    inputs=Manifest(files=(FileEntry(path="a/b", size=1, sha256="0" * 64),)),
)


@pytest.mark.parametrize("value", [Empty(), SPEC, HeartbeatReply(time_s=1, lost=("a" * 32,))])
def test_a_value_is_written_as_its_fields_are_and_read_back(value: object) -> None:
    plain = dataclasses.asdict(value)  # type: ignore[call-overload]
    data = strict.encode(value)
    assert json.loads(data) == json.loads(json.dumps(plain))
    assert strict.encode(plain) == data
    assert strict.decode(type(value), data) == value


def test_what_has_no_fields_is_an_empty_object() -> None:
    assert strict.encode(Empty()) == b"{}"
    assert strict.encode((Empty(), {"a": Empty()})) == b'[{},{"a":{}}]'
