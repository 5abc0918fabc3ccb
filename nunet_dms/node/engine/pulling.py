"""Fetching an image: what the engine says while it pulls, and how it may end.

Docker Engine API 1.41, `POST /images/create`: one JSON object a line, each about one layer. An
error before the first line is an HTTP status, a later one a line of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import docker
import docker.errors

from nunet_dms.errors import UnreachableError
from nunet_dms.node.engine.types import Failure, PullProgress
from nunet_dms.protocol.report import Reason

LAYERS_MAX = 512
"""Layers whose bytes are counted; an image has at most 127."""
PULL_SILENCE_S = 300
"""Between two lines of a pull; checking a large layer is silent for a while."""
DETAIL_MAX = 300

FINAL = (
    *("manifest unknown", "not found", "does not exist", "denied", "unauthorized"),
    *("verification failed", "no matching manifest", "invalid", "unsupported"),
    *("not implemented", "filesystem layer", "unexpected media type"),
)
"""Words of an answer that another try will not change; anything else is silence."""
DISK_FULL = "no space left on device"
"""Ours and nobody else's: said by the engine of its own disk."""


def pull(
    client: docker.DockerClient, reference: str, heard: Callable[[PullProgress], None]
) -> Failure | None:
    """Pull; raises UnreachableError while the registry is silent, and what `heard` raises.

    The host's registry credentials stay out of it: jobs are anybody's.
    """
    try:
        lines = client.api.pull(reference, stream=True, decode=True, auth_config={})
        problem = _listen(lines, heard)
    except docker.errors.APIError as error:
        problem = str(error.explanation or error)
        if error.status_code is not None and error.status_code < 500:
            return _unavailable(reference, problem)
    return _judge(reference, problem) if problem else None


def _listen(lines: Iterator[Any], heard: Callable[[PullProgress], None]) -> str:
    """Tell of progress until the pull ends; return the engine's error, or nothing."""
    layers: dict[str, tuple[int, int]] = {}
    for line in lines:
        if not isinstance(line, Mapping):
            continue
        if "error" in line:
            return str(line["error"]) or "an error without a word"
        seen = _layer(line)
        if seen is not None and (seen[0] in layers or len(layers) < LAYERS_MAX):
            layer, done, total = seen
            before = layers.get(layer, (0, 0))
            layers[layer] = (max(done, before[0]), max(total, before[1]))
            heard(
                PullProgress(
                    sum(each[0] for each in layers.values()),
                    sum(each[1] for each in layers.values()),
                )
            )
    return ""


def _layer(line: Mapping[str, Any]) -> tuple[str, int, int] | None:
    """Return a layer, its bytes that are here and its size, where a line tells them."""
    detail = line.get("progressDetail")
    if line.get("status") != "Downloading" or not isinstance(detail, Mapping):
        return None
    done, total = detail.get("current"), detail.get("total")
    if not isinstance(done, int) or not isinstance(total, int):
        return None
    return str(line.get("id", "")), max(done, 0), max(total, 0)


def _judge(reference: str, problem: str) -> Failure:
    """Return what a pull's error means for the job; raises UnreachableError for silence."""
    said = problem.lower()
    if DISK_FULL in said:
        return Failure(Reason.NODE_FAULT, f"cannot pull {reference}: the node's disk is full")
    if any(words in said for words in FINAL):
        return _unavailable(reference, problem)
    raise UnreachableError(f"cannot pull {reference}: {problem[:DETAIL_MAX]}")


def _unavailable(reference: str, problem: str) -> Failure:
    return Failure(Reason.IMAGE_UNAVAILABLE, f"cannot pull {reference}: {problem[:DETAIL_MAX]}")
