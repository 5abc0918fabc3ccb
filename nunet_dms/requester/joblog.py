"""A job's log as the Oracle has it, piece by piece."""

from __future__ import annotations

import io

from nunet_dms.oracle_http import LONG_POLL_MARGIN_S, OracleHttp
from nunet_dms.protocol.api import LOG_CHUNK_MAX_BYTES, LOG_COMPLETE_HEADER
from nunet_dms.protocol.submission import JobState, JobView

LOG_WAIT_S = 20
"""One long poll for more of a running job's log."""
START_WAIT_S = 2
"""The same before the job runs, so that its states and phases are told as they change."""


def piece(http: OracleHttp, job_id: str, offset: int, view: JobView | None) -> tuple[bytes, bool]:
    """Return the next piece of a log, and whether it will not grow any more.

    Waits for more as long as fits how the job stands; with None not at all.
    """
    wait_s = 0 if view is None else LOG_WAIT_S if _runs(view) else START_WAIT_S
    found = io.BytesIO()
    headers = http.get_bytes(
        f"/v1/jobs/{job_id}/log?offset={offset}&wait_s={wait_s}",
        to=found,
        limit=LOG_CHUNK_MAX_BYTES,
        timeout_s=wait_s + LONG_POLL_MARGIN_S,
    )
    return found.getvalue(), headers.get(LOG_COMPLETE_HEADER) == "true"


def _runs(view: JobView) -> bool:
    is_ahead = view.phase is not None and view.phase.name != "running"
    return view.state is JobState.RUNNING and not is_ahead
