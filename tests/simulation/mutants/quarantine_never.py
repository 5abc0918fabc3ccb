"""A job that kills the worker each time is taken up again each time."""

from nunet_dms.node import runner
from nunet_dms.node.rows import JobRow


def is_poison(_row: JobRow) -> bool:
    return False


CHANGES = ((runner, "is_poison", is_poison),)
