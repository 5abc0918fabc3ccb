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
TIMEOUT_S = 30
"""Of a silence; what it asks for is all there."""


def read_history(
    client: docker.DockerClient, container: str, since_ms: int, now_s: float
) -> History:
    """Return what happened to a container; `now_s` is the wall clock, where the reading stops.

    Everything that the engine has is asked for, and chosen here: the oldest of it tells whether its
    memory reaches back to `since_ms`, and a wall clock that was set back hides nothing.
    """
    found: list[EngineEvent] = []
    oldest_ms: int | None = None
    api: Any = client.api
    # Not the SDK's own `events`: it takes an answer that breaks off for a whole one.
    asked = {"since": "0", "until": f"{now_s:.9f}"}
    with api.get(api._url("/events"), params=asked, stream=True, timeout=TIMEOUT_S) as answer:
        answer.raise_for_status()
        for text in itertools.islice(filter(None, answer.iter_lines()), EVENTS_MAX):
            line = json.loads(text)
            event = _event(line)
            oldest_ms = event.at_ms if oldest_ms is None else min(oldest_ms, event.at_ms)
            if _is_of(line, container):
                found.append(event)
    reaches_back = oldest_ms is not None and oldest_ms <= since_ms
    return History(tuple(found), reaches_back or any(each.action == "start" for each in found))


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
