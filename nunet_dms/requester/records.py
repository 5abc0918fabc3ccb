"""What a requester must not lose: each job that it has signed a payment for.

Written before the payment leaves the machine. Until the escrow is paid out, the record holds all
that a refund needs, without the help of any Oracle's memory.
"""

# No `from __future__ import annotations`: strict.decode needs the fields' real types.

import re
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.errors import ConfigError, UsageError
from nunet_dms.protocol import strict
from nunet_dms.protocol.bounds import AddressText, Hex16, ShortText, UnixSeconds
from nunet_dms.protocol.job import JobSpec
from nunet_dms.protocol.quote import JobRequest, Quote
from nunet_dms.protocol.signing import Sealed
from nunet_dms.protocol.submission import JobSubmission
from nunet_dms.wholefile import write_whole

RECORD_MODE = 0o600
RECORD_MAX_BYTES = strict.TEXT_MAX_BYTES
RECORD_NAME = re.compile(r"[0-9a-f]{32}\.json")
PREFIX_MIN = 4
"""Characters of a job id that may stand for the whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionRecord:
    """One job: what was quoted, what was signed, and whether the Oracle is known to have it."""

    oracle_url: ShortText
    wallet: ShortText
    """Name of the wallet that pays."""
    signed_s: UnixSeconds
    spec: JobSpec
    quote: Quote
    submission: JobSubmission
    submitted: bool = False
    unsigned: bool = False
    """Whether the payment still lacks its signature, which another wallet is to give."""
    pay_from: AddressText | None = None
    """Whose tokens pay, where they are not the wallet's own."""

    @property
    def request(self) -> JobRequest:
        """The request that the payment is bound to."""
        return self.quote.request

    @property
    def job_id(self) -> Hex16:
        """The job's id."""
        return self.quote.request.job_id


class Records:
    """The records in one folder, a file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.receipts_folder = folder / "receipts"
        """Every receipt that was fetched, a file each, to be verified without the Oracle."""

    def save(self, record: SubmissionRecord) -> None:
        """Write or replace a record, synced to the disk; raises ConfigError if that fails."""
        write_private(self.folder / f"{record.job_id}.json", strict.encode(record))

    def keep_receipt(self, job_id: str, sealed: Sealed) -> Path:
        """Write a job's receipt beside the records, and return its file; raises ConfigError."""
        path = self.receipts_folder / f"{job_id}.json"
        write_private(path, strict.encode(sealed))
        return path

    def find(self, prefix: str) -> SubmissionRecord | None:
        """Return the one record whose job id begins so, None if there is none.

        Raises UsageError when several do or the prefix is too short.
        """
        found = [job_id for job_id in self.job_ids() if job_id.startswith(prefix)]
        if len(found) > 1 or (found and len(prefix) < PREFIX_MIN):
            raise UsageError(f"cannot tell which job {prefix!r:.40} is: give more of its id")
        return self._read(found[0]) if found else None

    def all(self) -> tuple[SubmissionRecord, ...]:
        """Return every record, newest first."""
        records = [self._read(job_id) for job_id in self.job_ids()]
        return tuple(sorted(records, key=lambda record: record.signed_s, reverse=True))

    def job_ids(self) -> tuple[str, ...]:
        """Return the ids of all recorded jobs."""
        try:
            names = [entry.name for entry in self.folder.iterdir()]
        except FileNotFoundError:
            return ()
        return tuple(sorted(name[:32] for name in names if RECORD_NAME.fullmatch(name)))

    def _read(self, job_id: str) -> SubmissionRecord:
        path = self.folder / f"{job_id}.json"
        try:
            with path.open("rb") as file:
                return strict.decode(
                    SubmissionRecord, file.read(RECORD_MAX_BYTES + 1), at=str(path)
                )
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from error


def write_private(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, mode 0600, synced; raises ConfigError."""
    try:
        write_whole(path, content, RECORD_MODE)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
