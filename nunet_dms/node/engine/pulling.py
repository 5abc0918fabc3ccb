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
    *("manifest unknown", "unknown blob", "not found", "does not exist", "denied", "unauthorized"),
    *("verification failed", "no matching manifest", "invalid", "unsupported"),
    *("not implemented", "filesystem layer", "unexpected media type", "no such host"),
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
        if _count(line, layers):
            done, total = map(sum, zip(*layers.values(), strict=True))
            heard(PullProgress(done, total))
    return ""


def _count(line: Mapping[str, Any], layers: dict[str, tuple[int, int]]) -> bool:
    """Note a layer's bytes that are here, and its size; False for a line that tells of none."""
    layer, status = str(line.get("id", "")), line.get("status")
    before = layers.get(layer)
    if status == "Download complete" and before is not None:
        layers[layer] = (before[1], before[1])  # the last bytes have no line of their own
        return True
    detail = line.get("progressDetail")
    if status != "Downloading" or not isinstance(detail, Mapping):
        return False
    done, total = detail.get("current"), detail.get("total")
    if not isinstance(done, int) or not isinstance(total, int):
        return False
    if before is None and len(layers) >= LAYERS_MAX:
        return False
    layers[layer] = (min(max(done, 0), total), max(total, 0))
    return True


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
