"""A journal that no worker may start with is put out of the way, whole: it stays as evidence."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from nunet_dms.node.journal_file import open_as_it_is
from nunet_dms.node.journal_life import id_file, log_file, statements
from nunet_dms.node.journal_trouble import JournalError, trouble_told
from nunet_dms.wholefile import failing_to, sync_folder


@dataclass(frozen=True, slots=True)
class LastWords:
    """What a journal still tells, be it damaged; None where it cannot be read."""

    open_jobs: int | None = None
    """Jobs that run, or are to be reported or paid."""
    reports_waiting: int | None = None
    """Of these, the reports that the Oracle does not have."""


def journal_files(path: Path) -> tuple[Path, ...]:
    """Return what there is of a journal; its id comes last, and is what says that there was one."""
    index = path.with_name(f"{path.name}-shm")
    return tuple(each for each in (path, log_file(path), index, id_file(path)) if each.exists())


def last_words(path: Path) -> LastWords:
    """Return what can be read of a journal as it is, whole or not."""
    sql = statements()
    try:
        with trouble_told(path), closing(open_as_it_is(path)) as db:
            open_jobs = len(db.execute(sql["open_jobs"]).fetchall())
            waiting = [row for row in db.execute(sql["outbox"]) if not row["parked"]]
            return LastWords(open_jobs, len(waiting))
    except JournalError:
        return LastWords()


def set_aside(path: Path, now_s: float) -> Path:
    """Move all of a journal into a new folder beside it, named by the time; returns the folder.

    To be called under the worker's lock. What an interruption leaves is moved by the next call.
    Raises NunetError where the system refuses.
    """
    now = datetime.fromtimestamp(now_s, tz=timezone.utc)
    folder = path.with_name(f"{path.stem}-{now:%Y%m%dT%H%M%SZ}")
    with failing_to("make", folder):
        folder.mkdir(mode=0o700)
    for file in journal_files(path):
        with failing_to("move", file):
            file.rename(folder / file.name)
    with failing_to("sync", folder):
        sync_folder(folder)
        sync_folder(path.parent)
    return folder
