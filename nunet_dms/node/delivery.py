"""What a finished job owes its requester: the rest of the log, the results, the report; last.

Every part may be repeated from the start: the Oracle says what it already has.
"""

from __future__ import annotations

from pathlib import Path

from nunet_dms.errors import NunetError, RefusedError
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.oracle_client import OracleClient
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import LOG_CHUNK_MAX_BYTES
from nunet_dms.protocol.job import Manifest
from nunet_dms.wholefile import write_whole


def ship_log(oracle: OracleClient, job_id: str, path: Path, offset: int) -> int:
    """Send one chunk of the log from `offset`; return where the Oracle's copy now ends."""
    with path.open("rb") as file:
        file.seek(offset)
        chunk = file.read(LOG_CHUNK_MAX_BYTES)
    return oracle.put_log(job_id, offset, chunk)


def save_results(folder: JobFolder, results: Manifest) -> None:
    """Write the manifest before the report that names its hash is stored."""
    write_whole(folder.path / "results.json", strict.encode(results))


def deliver(oracle: OracleClient, job_id: str, folder: JobFolder, report: bytes) -> None:
    """Send log, results, then the report; raises OracleUnreachableError to be called again."""
    _deliver_log(oracle, job_id, folder.log)
    results = strict.decode(Manifest, (folder.path / "results.json").read_bytes())
    missing = set(oracle.missing_results(job_id, results).missing)
    for entry in results.files:
        if entry.sha256 in missing:
            with folder.open_result(entry.path) as content:
                oracle.put_blob(entry.sha256, content)
            missing.discard(entry.sha256)
    if missing:
        raise NunetError(f"cannot deliver job {job_id}: the Oracle asks for unknown results")
    oracle.report(job_id, report)


def _deliver_log(oracle: OracleClient, job_id: str, path: Path) -> None:
    size = path.stat().st_size if path.exists() else 0
    offset = 0
    while offset < size:
        try:
            reached = ship_log(oracle, job_id, path, offset)
        except RefusedError as refused:
            if refused.code == "log_full":
                return
            raise
        if reached == offset:
            raise NunetError(f"cannot deliver job {job_id}: the Oracle's log does not grow")
        offset = reached
