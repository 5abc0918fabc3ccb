"""Who may upload and who may read which content; see `tables.grants`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from nunet_dms.errors import RefusedError
from nunet_dms.oracle.blobs import BlobStore, Upload
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.states import AT_THE_NODE
from nunet_dms.oracle.tables import grants, job_blobs, jobs
from nunet_dms.protocol.job import FileEntry, Manifest
from nunet_dms.protocol.node import MissingBlobs

GRANT_LIFE_S = 86_400
"""For that long a content may be uploaded, and one that no job took is kept."""
HASHES_A_QUERY = 500
"""SQLite takes at most 32,766 parameters (older ones 999)."""
SWEPT_AT_ONCE = 200
"""Grants looked at in one sweep: a write transaction of milliseconds."""

INPUT = "input"
RESULT = "result"
CHECKPOINT = "checkpoint"
"""Of the job's last checkpoint that is whole."""
RESUMED = "resumed"
"""Of the checkpoint of another job from which this one goes on."""


def grant(db: Connection, subject: str, manifest: Manifest, expires_s: int) -> None:
    """Let the subject upload what a manifest names."""
    known = _grants(db, subject, manifest.files)
    for entry in _contents(manifest):
        here = (grants.c.subject == subject, grants.c.sha256 == entry.sha256)
        if entry.sha256 not in known:
            db.execute(
                insert(grants).values(
                    subject=subject,
                    sha256=entry.sha256,
                    size=entry.size,
                    uploaded=False,
                    expires_s=expires_s,
                )
            )
        elif known[entry.sha256][1]:
            db.execute(update(grants).where(*here).values(expires_s=expires_s))
        else:
            db.execute(update(grants).where(*here).values(expires_s=expires_s, size=entry.size))


def missing(db: Connection, blobs: BlobStore, subject: str, manifest: Manifest) -> MissingBlobs:
    """Return what the subject has still to upload.

    A content that only others uploaded counts as missing: a hash is no proof of having it.
    """
    known = _grants(db, subject, manifest.files)
    return MissingBlobs(
        missing=tuple(
            [
                entry.sha256
                for entry in _contents(manifest)
                if known.get(entry.sha256) != (entry.size, True)
                or not blobs.has(entry.sha256, entry.size)
            ]
        )
    )


def lend(db: Connection, subject: str, job_id: str, manifest: Manifest, expires_s: int) -> None:
    """Count those contents as uploaded by the subject that a job of its own already has.

    It may read them anyway: so it need not prove that it has them.
    """
    here = bound(db, job_id, INPUT, RESUMED, CHECKPOINT)
    lent = Manifest(files=tuple([each for each in manifest.files if each.sha256 in here]))
    grant(db, subject, lent, expires_s)
    for part in _parts(here & {each.sha256 for each in lent.files}):
        db.execute(
            update(grants)
            .where(grants.c.subject == subject, grants.c.sha256.in_(part))
            .values(uploaded=True)
        )


def let_go(db: Connection, subject: str, hashes: frozenset[str], now_s: int) -> None:
    """End the grants of those contents that no job names any more: the next sweep removes them."""
    for part in _parts(hashes):
        needed = select(job_blobs.c.sha256).where(job_blobs.c.sha256.in_(part))
        db.execute(
            update(grants)
            .where(
                grants.c.subject == subject,
                grants.c.sha256.in_(part),
                grants.c.sha256.not_in(needed),
            )
            .values(expires_s=now_s)
        )


def bound(db: Connection, job_id: str, *roles: str) -> frozenset[str]:
    """Return the contents that are tied to a job in one of these roles."""
    found = select(job_blobs.c.sha256).where(
        job_blobs.c.job_id == job_id, job_blobs.c.role.in_(roles)
    )
    return frozenset(db.execute(found).scalars())


def bind(db: Connection, job_id: str, manifest: Manifest, role: str) -> None:
    """Tie a manifest's contents to a job, in place of an earlier manifest of that role."""
    db.execute(delete(job_blobs).where(job_blobs.c.job_id == job_id, job_blobs.c.role == role))
    rows = [
        {"job_id": job_id, "sha256": entry.sha256, "role": role} for entry in _contents(manifest)
    ]
    if rows:
        db.execute(insert(job_blobs), rows)


def unbind(db: Connection, job_id: str) -> None:
    """Forget the contents of a job that never came to be."""
    db.execute(delete(job_blobs).where(job_blobs.c.job_id == job_id))


def begin_upload(oracle: Oracle, subject: str, sha256: str) -> Upload:
    """Begin an upload; raises RefusedError `not_granted` for what nobody asked of the subject."""
    with oracle.store.reading() as db:
        size = db.execute(
            select(grants.c.size).where(
                grants.c.subject == subject,
                grants.c.sha256 == sha256,
                grants.c.expires_s > oracle.clock(),
            )
        ).scalar()
    if size is None:
        raise RefusedError(
            "not_granted", f"cannot take blob {sha256}: no manifest of yours names it"
        )
    return oracle.blobs.upload(sha256, size)


def end_upload(oracle: Oracle, upload: Upload, subject: str, sha256: str) -> None:
    """Check the content and keep it; raises RefusedError and keeps nothing otherwise."""
    upload.check()
    # Inside the transaction, so that no sweep removes the file between the two.
    with oracle.store.writing() as db:
        upload.finish()
        db.execute(
            update(grants)
            .where(grants.c.subject == subject, grants.c.sha256 == sha256)
            .values(uploaded=True)
        )


def readable(oracle: Oracle, subject: str, sha256: str) -> Path:
    """Return a content's file; raises RefusedError `unknown_blob` unless a job lets one read it.

    A requester reads inputs, checkpoints and reported results of its jobs; a node the inputs of
    what it runs, and the checkpoint from which that goes on.
    What a manifest names before the report may be there from others only: it stays closed.
    """
    at_node = [state.value for state in AT_THE_NODE]
    with oracle.store.reading() as db:
        found = db.execute(
            select(job_blobs.c.job_id)
            .join(jobs, jobs.c.job_id == job_blobs.c.job_id)
            .where(
                job_blobs.c.sha256 == sha256,
                or_(
                    and_(
                        jobs.c.requester == subject,
                        or_(job_blobs.c.role != RESULT, jobs.c.report_hash.is_not(None)),
                    ),
                    and_(
                        jobs.c.node_id == subject,
                        job_blobs.c.role.in_((INPUT, RESUMED)),
                        jobs.c.state.in_(at_node),
                    ),
                ),
            )
            .limit(1)
        ).first()
    path = oracle.blobs.path(sha256)
    if found is None or not path.is_file():
        raise RefusedError("unknown_blob", f"cannot find blob {sha256}: no job of yours has it")
    return path


def sweep(oracle: Oracle, now_s: float) -> int:
    """Remove expired grants, and contents that no job and no other grant needs; return how many."""
    removed = 0
    with oracle.store.writing() as db:
        expired = db.execute(
            select(grants.c.subject, grants.c.sha256)
            .where(grants.c.expires_s <= now_s)
            .limit(SWEPT_AT_ONCE)
        ).all()
        for subject, sha256 in expired:
            db.execute(delete(grants).where(grants.c.subject == subject, grants.c.sha256 == sha256))
            removed += _remove_unneeded(db, oracle.blobs, sha256)
    return removed


def release(oracle: Oracle, job_id: str) -> int:
    """Untie some contents from a job, and remove those that nobody else needs; return how many.

    As many as are looked at in one sweep: call again until the answer is 0.
    """
    with oracle.store.writing() as db:
        tied = db.execute(
            select(job_blobs.c.sha256, job_blobs.c.role)
            .where(job_blobs.c.job_id == job_id)
            .limit(SWEPT_AT_ONCE)
        ).all()
        for sha256, role in tied:
            here = (job_blobs.c.job_id == job_id, job_blobs.c.sha256 == sha256)
            db.execute(delete(job_blobs).where(*here, job_blobs.c.role == role))
            _remove_unneeded(db, oracle.blobs, sha256)
    return len(tied)


def _remove_unneeded(db: Connection, blobs: BlobStore, sha256: str) -> bool:
    """Remove a content that no job and no grant needs; say whether it was."""
    needed = (
        select(grants.c.sha256).where(grants.c.sha256 == sha256),
        select(job_blobs.c.sha256).where(job_blobs.c.sha256 == sha256),
    )
    if any(db.execute(query.limit(1)).first() is not None for query in needed):
        return False
    blobs.remove(sha256)
    return True


def _contents(manifest: Manifest) -> Iterator[FileEntry]:
    """Yield one entry for each content; raises RefusedError when one has two sizes."""
    sizes: dict[str, int] = {}
    for entry in manifest.files:
        if sizes.setdefault(entry.sha256, entry.size) != entry.size:
            raise RefusedError(
                "size_mismatch", f"cannot take the manifest: {entry.sha256} has two sizes"
            )
    seen: set[str] = set()
    for entry in manifest.files:
        if entry.sha256 not in seen:
            seen.add(entry.sha256)
            yield entry


def _grants(
    db: Connection, subject: str, files: Iterable[FileEntry]
) -> dict[str, tuple[int, bool]]:
    """Return size and whether uploaded, by hash, of those contents that the subject may upload."""
    found: dict[str, tuple[int, bool]] = {}
    for part in _parts({entry.sha256 for entry in files}):
        for row in db.execute(
            select(grants.c.sha256, grants.c.size, grants.c.uploaded).where(
                grants.c.subject == subject, grants.c.sha256.in_(part)
            )
        ):
            found[row.sha256] = (row.size, row.uploaded)
    return found


def _parts(hashes: Iterable[str]) -> Iterator[list[str]]:
    """Yield hashes in lists that fit into one query each."""
    left = iter(sorted(hashes))
    while part := list(islice(left, HASHES_A_QUERY)):
        yield part
