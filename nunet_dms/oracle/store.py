"""The Oracle's database: opened once, read and written in short transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event

from nunet_dms.oracle.tables import METADATA

BUSY_TIMEOUT_MS = 15_000
"""How long a writer waits for another; our transactions take milliseconds."""
POOL_CONNECTIONS = 16
"""Connections kept; more than SQLite can use at once."""
POOL_OVERFLOW = 48
"""Further connections: one for each thread of the server, at most."""


class Store:
    """One database; any thread may use it, no network call belongs inside a transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        METADATA.create_all(engine)

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open or make the SQLite database at `path` (WAL, every commit synced to the disk)."""
        engine = create_engine(
            f"sqlite:///{path}", pool_size=POOL_CONNECTIONS, max_overflow=POOL_OVERFLOW
        )
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        return cls(engine)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a transaction that sees one state of the database."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give the one writing transaction; it commits at the end and rolls back on any error."""
        with self._engine.connect() as plain:
            connection = plain.execution_options(nunet_writes=True)
            with connection.begin():
                yield connection


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN would come too late
    cursor = connection.cursor()
    for setting in (
        "journal_mode = WAL",
        "synchronous = FULL",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "foreign_keys = ON",
    ):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A transaction that begins as a reader and then writes fails when another wrote between.
    writes = connection.get_execution_options().get("nunet_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
