"""A job that goes on from a checkpoint starts with an empty folder."""

from nunet_dms.node.folder import Fetch, JobFolder
from nunet_dms.protocol.job import Manifest


def stage_checkpoint(_self: JobFolder, _files: Manifest, _fetch: Fetch, _user: str) -> None:
    """Do nothing."""


CHANGES = ((JobFolder, "stage_checkpoint", stage_checkpoint),)
