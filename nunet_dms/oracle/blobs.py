"""Files of jobs on the disk, named by their SHA-256: written whole and checked, or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from types import TracebackType

from nunet_dms.errors import RefusedError

TEMPORARY_PREFIX = ".part-"


class BlobStore:
    """A folder of contents; the file of one lies at `ab/<sha256>`, ab its first two digits."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in folder.glob(f"*/{TEMPORARY_PREFIX}*"):
            left.unlink(missing_ok=True)  # from an upload that a crash cut off

    def path(self, sha256: str) -> Path:
        """Return where a content lies, or would lie; `sha256` is lower-case hex."""
        return self._folder / sha256[:2] / sha256

    def has(self, sha256: str, size: int) -> bool:
        """Say whether the content is there."""
        try:
            return self.path(sha256).stat().st_size == size
        except FileNotFoundError:
            return False

    def upload(self, sha256: str, size: int) -> Upload:
        """Begin an upload, to be used as a context manager."""
        return Upload(self.path(sha256), sha256, size)

    def remove(self, sha256: str) -> None:
        """Remove a content."""
        self.path(sha256).unlink(missing_ok=True)


class Upload:
    """One content on its way in; leaving the context without `finish` leaves nothing behind."""

    def __init__(self, path: Path, sha256: str, size: int) -> None:
        self._path = path
        self._sha256 = sha256
        self._size = size
        self._written = 0
        self._hash = hashlib.sha256()
        path.parent.mkdir(exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=path.parent)
        self._temporary = Path(name)
        self._file = os.fdopen(handle, "wb")

    def __enter__(self) -> Upload:
        """Return the upload."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove what is not finished."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def write(self, piece: bytes) -> None:
        """Append; raises RefusedError `size_mismatch` at the first byte too many."""
        self._written += len(piece)
        if self._written > self._size:
            raise self._wrong_size(f"more than {self._size} bytes")
        self._hash.update(piece)
        self._file.write(piece)

    def check(self) -> None:
        """Sync to the disk; raises RefusedError `size_mismatch` or `hash_mismatch`."""
        if self._written != self._size:
            raise self._wrong_size(f"{self._written} bytes instead of {self._size}")
        if (found := self._hash.hexdigest()) != self._sha256:
            raise RefusedError(
                "hash_mismatch", f"cannot keep blob {self._sha256}: its content hashes to {found}"
            )
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self) -> None:
        """Give the checked content its name."""
        self._temporary.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _wrong_size(self, why: str) -> RefusedError:
        return RefusedError("size_mismatch", f"cannot keep blob {self._sha256}: it has {why}")
