"""What a node clears away by itself, so that it can run for years; never anything of others.

    look (in the pool) --Seen--> choose (in the step) --Chores--> tidy (in the pool) --Tidied-->

`choose` reads the journal after the engine was asked: a job's row is older than its container, so
what is here and has no open job is a leftover, and never a job that has only just begun. It is
removed at the second look that finds it: a call that was given up on may still be at work.

Receipts are money and never go. Nor does a job's row, see `Journal.trim`.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.machine.disk import DiskFacts, read_disk
from nunet_dms.machine.kernelfile import is_folder
from nunet_dms.node.availability import DISK_FLOOR_MB
from nunet_dms.node.deps import Deps
from nunet_dms.node.engine.types import Labelled, Owned, StoredImage
from nunet_dms.node.rows import ImageRow, JobRow
from nunet_dms.node.states import HAS_CONTAINER

log = logging.getLogger(__name__)

LOOK_EVERY_S = 120.0
"""Between two looks: a disk that fills at 20 MB/s is noticed before the floor is passed."""
LOW_PERCENT = 10
LOW_RANGE_MB = (2 * DISK_FLOOR_MB, 10 * DISK_FLOOR_MB)
"""Images go once less than this share of the engine's disk is free: always before the worker has
to stop taking jobs, and on a large disk not before it is worth a pull."""
ENOUGH_PERCENT_OF_LOW = 150
"""Up to which they go: room for the next image, so that it is not one image at a time."""
LOG_KEPT_S = 30 * 86_400
"""A log is evidence in a dispute, whose window and hold end within two weeks of the job."""
LOGS_KEPT_BYTES = 1024 * 1024 * 1024
"""All logs of finished jobs together: 16 of the largest, and thousands as they usually are."""
LOGS_KEPT_MIN = 10
"""The newest stay whatever their age: a machine that was off, or whose clock jumps, keeps them."""
ROWS_KEPT_MS = 90 * 86_400 * 1000
"""A job's story in the journal: three months of questions; the account itself stays."""
NOTE_EVERY_S = 86_400.0
"""Between two lines about images in `nunet status`, which also tells of the machine's health."""

TRIM_EVERY_S = 3600.0
"""Between two looks for rows of the journal that may go."""

JOB_ID = re.compile(r"[0-9a-f]{32}")
UNKNOWN = DiskFacts(None, None)


@dataclass(frozen=True, slots=True)
class KeptFolder:
    """A job's folder: what its files take, and when the last of them changed; Unix seconds."""

    job_id: str
    size_bytes: int
    changed_s: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What is on this machine."""

    containers: tuple[Owned, ...] = ()
    """With our label."""
    others: tuple[Labelled, ...] = ()
    """Volumes and networks with our label."""
    images: tuple[StoredImage, ...] = ()
    """Everybody's."""
    folders: tuple[KeptFolder, ...] = ()
    disk: DiskFacts = UNKNOWN
    """Where the engine keeps its data; not known where that is on another machine."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known besides: by the journal, from the look before, and by the clock."""

    jobs: tuple[JobRow, ...]
    """Those still open."""
    pulled: tuple[ImageRow, ...]
    """By us, the least recently used first."""
    suspects: frozenset[str] = frozenset()
    """Leftovers at the look before, and images that were missing then."""
    now_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Chores:
    """What is to be removed."""

    containers: tuple[Owned, ...] = ()
    others: tuple[Labelled, ...] = ()
    images: tuple[ImageRow, ...] = ()
    """One after the other, until enough is free."""
    folders: tuple[str, ...] = ()
    suspects: frozenset[str] = frozenset()
    """What is a leftover, or missing, should the next look find it so again."""
    gone_images: tuple[str, ...] = ()
    """References of images that others removed: what comes back under that name is not ours."""

    @property
    def are_none(self) -> bool:
        """Whether nothing is to be removed."""
        return not (self.containers or self.others or self.images or self.folders)


@dataclass(frozen=True, slots=True)
class Tidied:
    """What was removed; `freed_mb` is what the disk gained by the images."""

    containers: tuple[Owned, ...] = ()
    others: tuple[Labelled, ...] = ()
    images: tuple[ImageRow, ...] = ()
    folders: tuple[str, ...] = ()
    freed_mb: int = 0


def low_mb(disk: DiskFacts) -> int:
    """Return below how much free space images go."""
    smallest, largest = LOW_RANGE_MB
    return min(max((disk.total_mb or 0) * LOW_PERCENT // 100, smallest), largest)


def enough_mb(disk: DiskFacts) -> int:
    """Return up to how much free space images go."""
    return low_mb(disk) * ENOUGH_PERCENT_OF_LOW // 100


def choose(seen: Seen, known: Known) -> Chores:
    """Return what is to be removed: a function of its arguments alone."""
    open_ids = {job.job_id for job in known.jobs}
    at_work = {job.job_id for job in known.jobs if job.state in HAS_CONTAINER}
    stray = [each for each in seen.containers if each.job_id not in at_work]
    strays = [each for each in seen.others if each.job_id not in at_work]
    missing = _missing(seen, known)
    found = {each.container_id for each in stray} | {each.name for each in strays} | set(missing)
    return Chores(
        containers=tuple(each for each in stray if each.container_id in known.suspects),
        others=tuple(each for each in strays if each.name in known.suspects),
        images=_images(seen, known),
        folders=_folders(seen.folders, open_ids, known.now_s),
        suspects=frozenset(found),
        gone_images=tuple(each for each in missing if each in known.suspects),
    )


def _missing(seen: Seen, known: Known) -> list[str]:
    """Return the references of images that we pulled, or began to, and that are not here."""
    here = {image.image_id for image in seen.images}
    coming = {job.image for job in known.jobs if job.state in HAS_CONTAINER}
    return [
        row.reference
        for row in known.pulled
        if row.image_id not in here and (row.image_id or row.reference not in coming)
    ]


def _images(seen: Seen, known: Known) -> tuple[ImageRow, ...]:
    """Return the images that may go, the least recently used first; none while disk is plenty."""
    free_mb = seen.disk.free_mb
    if free_mb is None or free_mb >= low_mb(seen.disk):
        return ()
    here = {image.image_id: image for image in seen.images}
    at_work = [job for job in known.jobs if job.state in HAS_CONTAINER]
    needed = {name for job in at_work for name in (job.image_id, _digest(job.image))}
    return tuple(
        row
        for row in sorted(known.pulled, key=lambda row: (row.used_ms, row.reference))
        if (image := here.get(row.image_id)) is not None
        and not image.in_use
        and not needed & {row.image_id, _digest(row.reference)}
        and _is_only_ours(image, row)
    )


def _is_only_ours(image: StoredImage, row: ImageRow) -> bool:
    """Whether an image has the name by which we pulled it, and no other.

    A tag is somebody's: we pull by digest. The part before it may be written in two ways
    (`docker.io/library/busybox`, `busybox`).
    """
    names = [each for each in image.references if "@" in each]
    return len(image.references) == 1 and [_digest(row.reference)] == list(map(_digest, names))


def _digest(reference: str) -> str:
    return reference.rpartition("@")[2]


def _folders(folders: tuple[KeptFolder, ...], open_ids: set[str], now_s: float) -> tuple[str, ...]:
    """Return the jobs whose kept files go: too old, or the oldest of too many bytes."""
    finished = [each for each in folders if each.job_id not in open_ids]
    finished.sort(key=lambda each: (-each.changed_s, each.job_id))
    total, gone = 0, []
    for number, each in enumerate(finished):
        total += each.size_bytes
        is_old = now_s - each.changed_s > LOG_KEPT_S
        if number >= LOGS_KEPT_MIN and (is_old or total > LOGS_KEPT_BYTES):
            gone.append(each.job_id)
    return tuple(gone)


class Housekeeping:
    """Asked at every step for the next piece of work; told what came of it."""

    def __init__(self, deps: Deps, disk: Callable[[Path], DiskFacts] = read_disk) -> None:
        self._deps = deps
        self._disk = disk
        self._next_look_s = 0.0
        self._next_trim_s = 0.0
        self._next_note_s = 0.0
        self._suspects: frozenset[str] = frozenset()
        self._chores: Chores | None = None
        self._root: Path | None = None

    def next_work(self) -> Callable[[], Seen | Tidied] | None:
        """Return what is to be done in the pool now, or None."""
        chores = self._chores
        if chores is not None:
            return lambda: self._tidy(chores)
        return self._look if self._deps.clock.monotonic_s() >= self._next_look_s else None

    def take(self, value: object) -> None:
        """Take what came of the last piece of work."""
        if isinstance(value, Seen):
            self._seen(value)
        elif isinstance(value, Tidied):
            self._tidied(value)

    def failed(self) -> None:
        """Give up on what was chosen: the next look sees what is left, and chooses anew."""
        self._chores = None

    def _look(self) -> Seen:
        engine, node_id = self._deps.engine, self._deps.identity.node_id
        return Seen(
            containers=engine.owned(node_id),
            others=engine.labelled(node_id),
            images=engine.images(),
            folders=tuple(map(_kept, job_folders(self._deps.jobs_dir))),
            disk=self._engine_disk(),
        )

    def _seen(self, seen: Seen) -> None:
        journal, clock = self._deps.journal, self._deps.clock
        now_s = clock.monotonic_s()
        self._next_look_s = now_s + LOOK_EVERY_S
        known = Known(journal.open_jobs(), journal.images(), self._suspects, clock.wall_s())
        chores = choose(seen, known)
        self._suspects = chores.suspects
        self._chores = None if chores.are_none else chores
        for reference in chores.gone_images:
            journal.forget_image(reference)
        if now_s >= self._next_trim_s:
            rows = journal.trim(clock.now_ms() - ROWS_KEPT_MS)
            self._next_trim_s = now_s + (0.0 if rows else TRIM_EVERY_S)
            if rows:
                log.info("journal_trimmed rows=%d", rows)

    def _tidy(self, chores: Chores) -> Tidied:
        """Remove what was chosen; it may be done again."""
        engine = self._deps.engine
        for each in chores.containers:
            engine.remove(each.container_id)
        others = tuple(each for each in chores.others if engine.remove_labelled(each))
        images, freed_mb = self._remove_images(chores.images)
        for job_id in chores.folders:
            shutil.rmtree(self._deps.jobs_dir / job_id, ignore_errors=True)
        return Tidied(chores.containers, others, images, chores.folders, freed_mb)

    def _remove_images(self, rows: tuple[ImageRow, ...]) -> tuple[tuple[ImageRow, ...], int]:
        """Remove images until enough is free; return which, and by how much the disk has grown.

        Images share layers: what one frees shows only once it is gone.
        """
        removed: list[ImageRow] = []
        disk = before = self._engine_disk() if rows else UNKNOWN
        for row in rows:
            if disk.free_mb is None or disk.free_mb >= enough_mb(disk):
                break
            if self._deps.engine.remove_image(row.image_id):
                removed.append(row)
                disk = self._engine_disk()
        return tuple(removed), max(0, (disk.free_mb or 0) - (before.free_mb or 0))

    def _tidied(self, done: Tidied) -> None:
        self._chores = None
        for each in done.containers:
            log.warning("leftover_removed container=%s job=%s", each.name, each.job_id)
        for thing in done.others:
            log.warning("leftover_removed %s=%s job=%s", thing.kind, thing.name, thing.job_id)
        for row in done.images:
            log.info("image_removed image=%s reference=%s", row.image_id, row.reference)
            self._deps.journal.forget_image(row.reference)
        if done.folders:
            log.info("logs_removed jobs=%d", len(done.folders))
        if not done.images:
            return
        now_s = self._deps.clock.monotonic_s()
        if now_s >= self._next_note_s:
            self._next_note_s = now_s + NOTE_EVERY_S
            self._deps.journal.note_machine(_words(done))

    def _engine_disk(self) -> DiskFacts:
        """Return the space where the engine keeps its data, if that is on this machine."""
        if self._root is None:
            self._root = self._deps.engine.data_root()
        return self._disk(self._root) if is_folder(self._root) else UNKNOWN


def job_folders(jobs_dir: Path) -> tuple[Path, ...]:
    """Return the folders of jobs; what is not named like a job, or is a link, is not ours."""
    try:
        with os.scandir(jobs_dir) as entries:
            return tuple(
                Path(each.path)
                for each in entries
                if JOB_ID.fullmatch(each.name) and each.is_dir(follow_symlinks=False)
            )
    except (FileNotFoundError, NotADirectoryError):
        return ()


def _kept(folder: Path) -> KeptFolder:
    size_bytes, changed_s = 0, folder.stat().st_mtime
    for each in folder.iterdir():
        try:
            known = each.lstat()
        except FileNotFoundError:  # of a job at work
            continue
        size_bytes += known.st_blocks * 512
        changed_s = max(changed_s, known.st_mtime)
    return KeptFolder(folder.name, size_bytes, changed_s)


def _words(done: Tidied) -> str:
    count = len(done.images)
    images = "1 image that we pulled was" if count == 1 else f"{count} images that we pulled were"
    return (
        f"disk was low: {images} removed, {done.freed_mb} MB freed; a job that needs one pulls it"
        " again"
    )
