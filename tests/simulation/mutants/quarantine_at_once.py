"""One death of the worker is held against every job in hand."""

from nunet_dms.node import runner
from nunet_dms.node.rows import JobRow


def is_poison(row: JobRow) -> bool:
    return row.deaths >= 1 and row.death_state == row.state.value


CHANGES = ((runner, "is_poison", is_poison),)
