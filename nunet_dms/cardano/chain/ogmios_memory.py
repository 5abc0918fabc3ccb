"""The Ogmios backend's own file: transactions handed in, and when each was first seen."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.errors import ConfigError, UnreachableError
from nunet_dms.sql import queries

SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 10.0

Row = tuple[bytes, int | None, bytes | None]


@dataclass(frozen=True, slots=True)
class Remembered:
    """A transaction that was handed in; the place is None until an output of it was seen."""

    raw: bytes
    height: int | None
    block_hash: bytes | None


class OgmiosMemory:
    """One SQLite file; any thread may call. Raises ConfigError when it cannot be used."""

    def __init__(self, path: Path) -> None:
        self._queries = queries("nunet_dms.cardano.chain", "ogmios.sql")
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(
                path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise ConfigError(f"cannot open {path}: {error}") from error
        try:
            for name in ("use_wal", "use_full_sync"):
                self._db.execute(self._queries[name]).fetchall()
            version = self._db.execute(self._queries["user_version"]).fetchone()[0]
            if version not in (0, SCHEMA_VERSION):
                raise ConfigError(f"cannot open {path}: its version is {version}, not 1")
            self._db.executescript(self._queries["schema"])
        except sqlite3.Error as error:
            self._db.close()
            raise ConfigError(f"cannot open {path}: {error}") from error
        except ConfigError:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file; what was kept is on disk."""
        with self._lock:
            self._db.close()

    def keep(self, tx_id: bytes, raw: bytes) -> None:
        """Remember a transaction before it is handed in."""
        self._run("keep", tx_id=tx_id, raw=raw)

    def find(self, tx_id: bytes) -> Remembered | None:
        """Return what was handed in under that id."""
        rows = self._run("find", tx_id=tx_id)
        return Remembered(*rows[0]) if rows else None

    def seen(self, tx_id: bytes, height: int, block_hash: bytes) -> None:
        """Note the tip at which a transaction was first seen; later ones change nothing."""
        self._run("seen", tx_id=tx_id, height=height, block_hash=block_hash)

    def vanished(self, tx_id: bytes) -> None:
        """Forget where it was seen: a rollback took it out again."""
        self._run("vanished", tx_id=tx_id)

    def _run(
        self, name: str, **values: bytes | int
    ) -> list[tuple[bytes, int | None, bytes | None]]:
        with self._lock:
            try:
                return self._db.execute(self._queries[name], values).fetchall()
            except sqlite3.OperationalError as error:
                raise UnreachableError(f"cannot use the chain's memory: {error}") from error
