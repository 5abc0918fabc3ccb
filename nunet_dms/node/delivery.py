"""What a finished job owes its requester: the rest of the log, the results, the report; last.

Every part may be repeated from the start: the Oracle says what it already has.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
from pathlib import Path
from typing import BinaryIO

from nunet_dms.errors import NunetError, RefusedError
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.oracle_client import OracleClient
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import LOG_CHUNK_MAX_BYTES
from nunet_dms.protocol.job import FileEntry, Manifest
from nunet_dms.wholefile import write_whole

CHUNKS_AT_ONCE = 16
"""Of a log's backlog in one task, so that it does not wait for a step each."""
REWINDS_MAX = 8
"""How often one delivery goes back in the log because the Oracle says so."""
NOT_YET = frozenset(
    {"bad_login", "busy", "cut_off", "not_authenticated", "not_granted", "results_missing"}
)
"""Refusals that another try may turn: the session or the upload has to begin anew. Every other one
is final: the Oracle understood and said no."""
OTHER_BYTES = frozenset({"hash_mismatch", "size_mismatch"})
"""Refusals of a file: it broke on its way, or it is not what it was when it was collected."""
NO_MORE_LOG = frozenset({"log_full", "not_running"})
"""Refusals after which the log stays as the Oracle has it; the report then learns its own fate."""
GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO})
"""What the system says of a file that is not there any more, or is another kind of thing now."""

log = logging.getLogger(__name__)


class UndeliverableError(NunetError):
    """A report that can never be delivered: refused for good, or what it names is lost."""


def log_bytes(path: Path) -> int:
    """Return how long a log is, in bytes; one that was never begun is empty."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def ship_log(oracle: OracleClient, job_id: str, path: Path, offset: int) -> int:
    """Send some of the log from `offset`; return where the Oracle's copy now ends.

    That may be elsewhere than where we are: then the next chunk begins there.
    """
    with path.open("rb") as file:
        for _ in range(CHUNKS_AT_ONCE):
            file.seek(offset)
            chunk = file.read(LOG_CHUNK_MAX_BYTES)
            reached = oracle.put_log(job_id, offset, chunk)
            if reached > (size := os.fstat(file.fileno()).st_size):
                # Ours was lost. The Oracle compares length and hash at the end, and says so.
                log.warning("log_shorter job=%s here=%d oracle=%d bytes", job_id, size, reached)
            if reached != offset + len(chunk) or len(chunk) < LOG_CHUNK_MAX_BYTES:
                return reached
            offset = reached
    return offset


def save_results(folder: JobFolder, results: Manifest) -> None:
    """Write the manifest before the report that names its hash is stored."""
    write_whole(folder.path / "results.json", strict.encode(results))


def deliver(oracle: OracleClient, job_id: str, folder: JobFolder, report: bytes) -> None:
    """Send log, results, then the report.

    Raises UndeliverableError when that can never be done; any other error means: call again.
    """
    try:
        _deliver_log(oracle, job_id, folder.log)
        _deliver_results(oracle, job_id, folder)
        oracle.report(job_id, report)
    except RefusedError as refused:
        if refused.code in NOT_YET | OTHER_BYTES:
            raise
        raise UndeliverableError(f"{refused.code}: {refused}") from refused


def _deliver_log(oracle: OracleClient, job_id: str, path: Path) -> None:
    size = log_bytes(path)
    offset = rewinds = 0
    while offset < size:
        try:
            reached = ship_log(oracle, job_id, path, offset)
        except RefusedError as refused:
            if refused.code in NO_MORE_LOG:
                return
            raise
        rewinds += reached <= offset
        if rewinds > REWINDS_MAX:
            raise NunetError(f"cannot deliver job {job_id}: the Oracle's log does not grow")
        offset = reached


def _deliver_results(oracle: OracleClient, job_id: str, folder: JobFolder) -> None:
    try:
        results = strict.decode(Manifest, (folder.path / "results.json").read_bytes())
    except FileNotFoundError as error:
        raise UndeliverableError("the list of its results is gone from this machine") from error
    missing = set(oracle.missing_results(job_id, results).missing)
    for entry in results.files:
        if entry.sha256 in missing:
            _upload(oracle, folder, entry)
            missing.discard(entry.sha256)
    if missing:
        raise NunetError(f"cannot deliver job {job_id}: the Oracle asks for unknown results")


def _upload(oracle: OracleClient, folder: JobFolder, entry: FileEntry) -> None:
    """Send one file; raises UndeliverableError when it is gone, or not what it was any more."""
    try:
        with folder.open_result(entry.path) as content:
            try:
                oracle.put_blob(entry.sha256, content)
            except RefusedError as refused:
                content.seek(0)
                if refused.code in OTHER_BYTES and _sha256(content) != entry.sha256:
                    raise UndeliverableError(
                        f"its result {entry.path} is not what it was when the job ended"
                    ) from refused
                raise
    except OSError as error:
        if error.errno not in GONE:
            raise
        raise UndeliverableError(
            f"its result {entry.path} is gone from this machine: {error.strerror}"
        ) from error


def _sha256(content: BinaryIO) -> str:
    found = hashlib.sha256()
    while part := content.read(LOG_CHUNK_MAX_BYTES):
        found.update(part)
    return found.hexdigest()
