"""A checkpoint counts as stored at the Oracle before it is sent."""

from nunet_dms.node.checkpoints import Checkpoints
from nunet_dms.node.live import Live
from nunet_dms.node.rows import CheckpointRow

PLAIN = Checkpoints._store


def store(self: Checkpoints, live: Live, row: CheckpointRow) -> None:
    self._deps.journal.checkpoint_stored(live.row.job_id, row.number)
    PLAIN(self, live, row)


CHANGES = ((Checkpoints, "_store", store),)
