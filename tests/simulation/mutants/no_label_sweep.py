"""At its start the worker does not look for containers that no job needs."""

from nunet_dms.node import worker
from nunet_dms.node.deps import Deps


def recover(deps: Deps) -> None:
    deps.engine.ping()


CHANGES = ((worker, "recover", recover),)
