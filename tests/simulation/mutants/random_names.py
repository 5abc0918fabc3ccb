"""A container has another name each time it is looked for after a restart."""

from nunet_dms.node import prepare, runner
from nunet_dms.node.engine.profile import container_name

lives: dict[int, int] = {}


def fresh_name(node_id: str, job_id: str, attempt: int) -> str:
    lives[0] = lives.get(0, 0) + 1
    names[job_id] = f"{container_name(node_id, job_id, attempt)}-{lives[0]}"
    return names[job_id]


def last_name(_node_id: str, job_id: str, _attempt: int) -> str:
    return names[job_id]


names: dict[str, str] = {}
CHANGES = ((runner, "container_name", fresh_name), (prepare, "container_name", last_name))
