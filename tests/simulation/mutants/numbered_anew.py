"""A worker that starts again numbers the checkpoints of its jobs from one."""

from nunet_dms.node.journal_reader import JournalReader


def checkpoint(_self: JournalReader, _job_id: str) -> None:
    return None


CHANGES = ((JournalReader, "checkpoint", checkpoint),)
