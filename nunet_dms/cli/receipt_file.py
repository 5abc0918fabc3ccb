"""Where a receipt is read from, and which Oracle's key it is held to."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nunet_dms import config
from nunet_dms.cli.contact import records, requests_dir
from nunet_dms.errors import MalformedError, NotOnboardedError, NunetError, UsageError
from nunet_dms.paths import Paths
from nunet_dms.wholefile import failing_to

if TYPE_CHECKING:
    from nunet_dms.protocol.signing import Sealed
    from nunet_dms.requester.pins import OraclePin

STDIN = "-"
KEPT_NAME = re.compile(r"([0-9a-f]{32})\.json")
PREFIX = re.compile(r"[0-9a-f]{4,32}")


@dataclass(frozen=True, slots=True)
class Trust:
    """The Oracle's key, and who says that it is the Oracle's."""

    key: str
    said_by: str
    """Empty where nobody does: then it is the key in the receipt itself."""


def read_receipt(where: Paths, what: str) -> Sealed:
    """Return the sealed receipt in a file, on stdin, or kept here for a job.

    Raises UsageError when there is none, MalformedError for what is no receipt, NunetError.
    """
    from nunet_dms.protocol import strict  # noqa: PLC0415 - the decoder, when needed
    from nunet_dms.protocol.signing import Sealed  # noqa: PLC0415 - nacl

    most = strict.TEXT_MAX_BYTES + 1  # one more than is taken: longer ones are refused, not cut
    if what == STDIN:
        name, content = "stdin", sys.stdin.buffer.read(most)
    else:
        path = _file(where, what)
        with failing_to("read", path), path.open("rb") as file:
            name, content = str(path), file.read(most)
    try:
        return strict.decode(Sealed, content)
    except MalformedError as error:
        raise MalformedError(f"cannot take {name} for a receipt: {error}") from error


def trusted_key(where: Paths, given: str, sealed: Sealed) -> Trust:
    """Return the key to verify with, and who says that it is the Oracle's.

    As given; of a job of ours the key of the Oracle that had it; else the receipt's own, which
    may be one that is pinned here. Raises UsageError for a key that is none.
    """
    if given:
        if not config.is_ticket_key(given):
            raise UsageError("cannot use --oracle-key: it must be 32 bytes as lower-case hex")
        return Trust(given, "as given")
    return _of_our_job(where, sealed) or _of_a_pin(where, sealed.public_key)


def _of_our_job(where: Paths, sealed: Sealed) -> Trust | None:
    """Return the key of the Oracle that a job of ours is with, None for a job of others.

    What cannot be read is no help: then it is as if the job were not ours.
    """
    from nunet_dms.node.journal_reader import JournalReader  # noqa: PLC0415 - when needed
    from nunet_dms.protocol import strict  # noqa: PLC0415 - as above
    from nunet_dms.protocol.node import Offer  # noqa: PLC0415 - as above
    from nunet_dms.protocol.receipt import Receipt  # noqa: PLC0415 - as above

    with suppress(NunetError):
        job_id = strict.decode(Receipt, sealed.payload).job_id
        if (record := records(where).find(job_id)) is not None:
            for pin in _pins(where):
                if pin.url == record.oracle_url:
                    return Trust(pin.ticket_key, "at whom the job was paid from here")
        with JournalReader(where.journal) as journal:
            if journal.find(job_id) is not None:
                offer = strict.decode(Offer, journal.offer(job_id))
                return Trust(offer.ticket.public_key, "from whom this node took the job")
    return None


def _of_a_pin(where: Paths, key: str) -> Trust:
    """Return the receipt's own key, and who here trusts it."""
    if key in _node_keys(where):
        return Trust(key, "which this node trusts")
    if any(key == pin.ticket_key for pin in _pins(where)):
        return Trust(key, "pinned here at first contact")
    return Trust(key, "")


def _file(where: Paths, what: str) -> Path:
    """Return the file that is meant: one that is there, or what is kept of a job."""
    path = Path(what)
    if path.exists():
        return path
    if not PREFIX.fullmatch(what):
        raise UsageError(
            f"cannot find a receipt {what!r:.80}: there is no such file, and a job is named by 4 to"
            " 32 characters of its id",
        )
    kept = {
        found[1]: path
        for folder in (records(where).receipts_folder, where.receipts_dir)
        if folder.is_dir()
        for path in folder.iterdir()
        if (found := KEPT_NAME.fullmatch(path.name)) and found[1].startswith(what)
    }
    if len(kept) != 1:
        why = f"{len(kept)} jobs begin so" if kept else "none is kept here"
        raise UsageError(
            f"cannot find a receipt of job {what}: {why}",
            hint="a node keeps those of its settled jobs; a requester's: nunet request receipt JOB",
        )
    return next(iter(kept.values()))


def _node_keys(where: Paths) -> set[str]:
    """Return the key that the settings name and the one that the worker pinned."""
    from nunet_dms.node.oracle_pin import look_up_pin  # noqa: PLC0415 - nacl

    found = look_up_pin(where.journal)
    keys = {found[1].ticket_key} if found else set()
    try:
        return (keys | {config.load(where.config_file).oracle.ticket_key}) - {""}
    except NotOnboardedError:
        return keys


def _pins(where: Paths) -> tuple[OraclePin, ...]:
    from nunet_dms.requester.pins import recorded_pins  # noqa: PLC0415 - requests

    return recorded_pins(requests_dir(where))
