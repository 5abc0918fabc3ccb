"""What a Docker engine remembers of a container: its own events, for as long as it has them.

Docker Engine API 1.41, `GET /events`. Docker 20.10 keeps the last 256 events, of everything, in
memory: a restart forgets them, and a busy machine pushes them out.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

import docker

from nunet_dms.node.engine.types import EngineEvent, History

EVENTS_MAX = 10_000
"""Events read at most."""
ACTION_MAX = 100
ALL_OF_THE_PAST = "0"
"""An `until` of time zero, which lies in the past (so the engine does not wait for more) and bounds
nothing (moby, daemon/events: a bound of zero is none); so seen on Docker 20.10."""
TIMEOUT_S = 30
"""Of a silence; what it asks for is all there."""


def read_history(client: docker.DockerClient, container: str) -> History:
    """Return what happened to a container.

    Everything that the engine has is asked for, and chosen here. Our clock has no say in it: one
    that was set back would hide the end of a job, one that is ahead would wait. Nor does a time
    tell how far back the engine's memory reaches, for it may have been set since; it is whole where
    it knows of the start.
    """
    found: list[EngineEvent] = []
    api: Any = client.api
    # Not the SDK's own `events`: it takes an answer that breaks off for a whole one.
    asked = {"since": "0", "until": ALL_OF_THE_PAST}
    with api.get(api._url("/events"), params=asked, stream=True, timeout=TIMEOUT_S) as answer:
        answer.raise_for_status()
        for text in itertools.islice(filter(None, answer.iter_lines()), EVENTS_MAX):
            line = json.loads(text)
            if _is_of(line, container):
                found.append(_event(line))
    return History(tuple(found), any(each.action == "start" for each in found))


def _event(line: Mapping[str, Any]) -> EngineEvent:
    signal = (line.get("Actor") or {}).get("Attributes", {}).get("signal", "")
    return EngineEvent(
        at_ms=int(line["timeNano"]) // 1_000_000,
        action=str(line["Action"])[:ACTION_MAX],
        signal=int(signal) if str(signal).isdecimal() else None,
    )


def _is_of(line: Mapping[str, Any], container: str) -> bool:
    actor = line.get("Actor") or {}
    names = (actor.get("ID"), (actor.get("Attributes") or {}).get("name"))
    return line.get("Type") == "container" and container in names
