"""What a worker does once at its start: clear away what no open job owns.

Containers are joined by label with the journal's rows. Running jobs need nothing here: their
rows are still open, and the runner goes on from their state.
"""

from __future__ import annotations

import logging

from nunet_dms.node.deps import Deps
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.housekeeping import job_folders
from nunet_dms.node.states import HAS_CONTAINER

log = logging.getLogger(__name__)


def recover(deps: Deps) -> None:
    """Remove our containers and folders that no open job needs; raises EngineUnreachableError."""
    needed = {row.job_id for row in deps.journal.open_jobs() if row.state in HAS_CONTAINER}
    for owned in deps.engine.owned(deps.identity.node_id):
        if owned.job_id not in needed:
            log.warning("leftover_removed container=%s job=%s", owned.name, owned.job_id)
            deps.engine.remove(owned.name)
    for folder in job_folders(deps.jobs_dir):
        if folder.name not in needed:
            JobFolder(folder).clean()
