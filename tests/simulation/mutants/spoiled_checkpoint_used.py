"""What is fetched of a checkpoint is taken as it came, whatever its hash."""

from nunet_dms.node.folder import Fetch, JobFolder
from nunet_dms.protocol.job import Manifest


def stage_checkpoint(self: JobFolder, files: Manifest, fetch: Fetch, _user: str) -> None:
    for entry in files.files:
        with (self.checkpoint / entry.path).open("wb") as file:
            fetch(entry.sha256, file, entry.size)


CHANGES = ((JobFolder, "stage_checkpoint", stage_checkpoint),)
